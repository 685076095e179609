//! `GET` and `PUT /tenant/profile`: the tenant itself.

use actix_web::{
    HttpRequest,
    web::{Json, Payload},
};
use pulsestream_domain::{
    Timestamp,
    event::Reason,
    identity::TenantProfile,
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use pulsestream_identity::authority::Action;
use pulsestream_storage::TenantChange;
use serde::Serialize;
use utoipa::ToSchema;

use super::requests;
use crate::{
    caller::{Caller, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// A tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantJson {
    #[schema(value_type = String, format = Uuid)]
    id: TenantId,
    /// The same.
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    name: String,
    slug: String,
    contact_email: Option<String>,
    billing_email: Option<String>,
    subscription_tier: String,
    timezone: String,
    /// Newly stored events in any 60 seconds.
    rate_limit_per_minute: u32,
    /// Newly stored events in any second.
    rate_limit_burst: u32,
    /// What a resent id with other content is answered.
    #[schema(value_type = String)]
    duplicate_policy: DuplicatePolicy,
    /// How many days events are kept after they were taken in; null for ever.
    retention_days: Option<u32>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl TenantJson {
    pub(super) fn new(tenant: &Tenant, profile: TenantProfile) -> Self {
        Self {
            id: tenant.id,
            tenant_id: tenant.id,
            name: tenant.name.clone(),
            slug: tenant.slug.to_string(),
            contact_email: profile.contact_email.map(|email| email.to_string()),
            billing_email: profile.billing_email.map(|email| email.to_string()),
            subscription_tier: profile.subscription_tier,
            timezone: profile.timezone,
            rate_limit_per_minute: tenant.limits.per_minute,
            rate_limit_burst: tenant.limits.burst,
            duplicate_policy: tenant.duplicate_policy,
            retention_days: profile.retention_days,
            created_at: tenant.created_at,
        }
    }
}

/// Tells about the tenant.
#[utoipa::path(
    get,
    path = "/api/v1/auth/tenant/profile",
    tag = "auth",
    responses(
        (status = 200, description = "the tenant", body = TenantJson),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_tenant_profile(state: State, caller: Caller) -> Result<Json<TenantJson>, ApiError> {
    caller.require(Action::Read)?;
    let (tenant, profile) = find(&state, &caller).await?;
    Ok(Json(TenantJson::new(&tenant, profile)))
}

/// Changes the tenant. Instances notice within five seconds.
#[utoipa::path(
    put,
    path = "/api/v1/auth/tenant/profile",
    tag = "auth",
    request_body(content = requests::TenantProfileBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the tenant as changed", body = TenantJson),
        openapi::responses::SearchBodyProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn put_tenant_profile(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<TenantJson>, ApiError> {
    caller.require(Action::ManageTenant)?;
    let fields = Fields::read(&state, &request, payload).await?;
    let (tenant, profile) = find(&state, &caller).await?;
    let change = change(fields, state.settings.max_rate_limit_per_minute, tenant.limits, profile.clone())?;
    let origin = origin(&state, &request, caller.actor());
    let changed = state.store.update_tenant(tenant.id, &change, &origin).await?;
    let changed = changed.ok_or(ApiError::Unauthenticated)?;
    Ok(Json(TenantJson::new(&changed, change.profile.unwrap_or(profile))))
}

async fn find(state: &State, caller: &Caller) -> Result<(Tenant, TenantProfile), ApiError> {
    let id = caller.tenant_id();
    let tenant = state.store.tenant(id).await?.ok_or(ApiError::Unauthenticated)?;
    let profile = state.store.tenant_profile(id).await?.ok_or(ApiError::Unauthenticated)?;
    Ok((tenant, profile))
}

/// What to change, given what there is.
fn change(
    mut fields: Fields,
    max_per_minute: u32,
    limits: Limits,
    mut profile: TenantProfile,
) -> Result<TenantChange, ApiError> {
    let name = fields.text("name", 1..=255);
    let per_minute = fields.number("rate_limit_per_minute", 1..=max_per_minute);
    let burst = fields.number("rate_limit_burst", 1..=max_per_minute);
    let duplicate_policy = fields.parsed::<DuplicatePolicy>("duplicate_policy", Reason::UnknownValue);
    if let Some(email) = fields.nullable("contact_email", |fields| fields.email("contact_email")) {
        profile.contact_email = email;
    }
    if let Some(email) = fields.nullable("billing_email", |fields| fields.email("billing_email")) {
        profile.billing_email = email;
    }
    if let Some(timezone) = fields.text("timezone", 1..=64) {
        profile.timezone = timezone;
    }
    if let Some(days) =
        fields.nullable("retention_days", |fields| fields.number("retention_days", 1..=36_500))
    {
        profile.retention_days = days;
    }
    fields.finish()?;
    Ok(TenantChange {
        name,
        limits: (per_minute.is_some() || burst.is_some()).then(|| limits.changed(per_minute, burst)),
        duplicate_policy,
        profile: Some(profile),
    })
}
