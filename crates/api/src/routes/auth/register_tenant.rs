//! `POST /register/tenant`: a tenant with a key and an owner.

use actix_web::{
    HttpRequest,
    web::{Json, Payload},
};
use pulsestream_domain::{
    Timestamp,
    api_key::{ApiKey, Scope, StoredKey},
    event::Reason,
    identity::{Actor, Role, TenantProfile, User, UserId},
    tenant::{DuplicatePolicy, Limits, Slug, Tenant, TenantId},
};
use pulsestream_identity::{passwords::one_time_password, throttle::Attempt};
use pulsestream_storage::NewTenant;
use serde::Serialize;
use utoipa::ToSchema;

use super::{api_keys::new_key, requests, tenant_profile::TenantJson};
use crate::{
    Registration,
    caller::{client_address, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// What the first key of a tenant may do: everything its services need, and nothing about keys or people.
pub(super) const FIRST_KEY_SCOPES: [Scope; 3] = [Scope::EventsWrite, Scope::EventsRead, Scope::RulesWrite];

/// A tenant that was made just now.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewTenantAnswer {
    success: bool,
    message: &'static str,
    #[serde(flatten)]
    tenant: TenantJson,
    /// Its first API key; shown once.
    api_key: String,
    owner: NewOwner,
}

/// The first user of a tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewOwner {
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    email: String,
    #[schema(value_type = String)]
    role: Role,
    /// Shown once. All it is good for is to log in and choose another one.
    one_time_password: String,
}

/// Makes a tenant, its first API key, and its owner.
#[utoipa::path(
    post,
    path = "/api/v1/auth/register/tenant",
    tag = "auth",
    request_body(content = requests::NewTenantBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the tenant", body = NewTenantAnswer),
        openapi::responses::RegistrationProblems,
    ),
)]
pub(crate) async fn register_tenant(
    state: State,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<NewTenantAnswer>, ApiError> {
    if state.settings.registration == Registration::Closed {
        return Err(ApiError::RegistrationClosed);
    }
    let now = state.clock.now();
    // What comes of it can't be taken back with a better try: it counts whatever happens.
    state.identity.throttle.admit(Attempt::Registration, None, client_address(&request), now).await?;
    let asked = Asked::read(Fields::read(&state, &request, payload).await?)?;
    let tenant_id = tenant_id(&state, asked.invitation.as_deref(), now)?;
    let tenant = Tenant {
        id: tenant_id,
        name: asked.name,
        slug: asked.slug,
        limits: Limits::default(),
        duplicate_policy: DuplicatePolicy::default(),
        created_at: now,
    };
    let password = one_time_password(&*state.identity.entropy);
    let owner = User {
        id: UserId(state.ids.uuid_v7(now)),
        tenant_id,
        email: asked.contact_email.clone(),
        full_name: None,
        role: Role::Owner,
        password_hash: state.identity.passwords.hash(password.clone()).await?,
        must_change_password: true,
        is_active: true,
        created_at: now,
        last_login_at: None,
    };
    let key = ApiKey::from_entropy(state.identity.entropy.bytes());
    let first_key = StoredKey {
        scopes: FIRST_KEY_SCOPES.to_vec(),
        created_by: Some(Actor::User(owner.id)),
        ..new_key(&key, tenant_id, "first key".to_owned(), now)
    };
    let profile = TenantProfile { contact_email: Some(asked.contact_email), ..asked.profile };
    let new =
        NewTenant { tenant: &tenant, profile: &profile, first_key: Some(&first_key), owner: Some(&owner) };
    state.store.register_tenant(&new, &origin(&state, &request, Actor::User(owner.id))).await?;

    Ok(Json(NewTenantAnswer {
        success: true,
        message: "Tenant registered successfully",
        tenant: TenantJson::new(&tenant, profile),
        api_key: key.reveal().to_owned(),
        owner: NewOwner {
            user_id: owner.id,
            email: owner.email.to_string(),
            role: owner.role,
            one_time_password: password.reveal().to_owned(),
        },
    }))
}

/// The id of the new tenant, if there may be one.
fn tenant_id(state: &State, invitation: Option<&str>, now: Timestamp) -> Result<TenantId, ApiError> {
    match (state.settings.registration, invitation) {
        (Registration::Closed, _) => Err(ApiError::RegistrationClosed),
        (Registration::Invite, None) => Err(ApiError::InvitationRequired),
        (Registration::Open, None) => Ok(TenantId(state.ids.uuid_v7(now))),
        (_, Some(invitation)) => {
            let invited = state.identity.invitations.verify(invitation, now);
            invited.map_err(|_| ApiError::InvitationRequired)
        }
    }
}

/// What was asked for.
struct Asked {
    name: String,
    slug: Slug,
    contact_email: pulsestream_domain::identity::Email,
    profile: TenantProfile,
    invitation: Option<String>,
}

impl Asked {
    fn read(mut fields: Fields) -> Result<Self, ApiError> {
        let default = TenantProfile::default();
        let name = fields.text("name", 1..=255);
        let name = fields.required("name", name);
        let slug = fields.parsed::<Slug>("slug", Reason::BadParameter);
        let slug = fields.required("slug", slug);
        let contact_email = fields.email("contact_email");
        let contact_email = fields.required("contact_email", contact_email);
        let profile = TenantProfile {
            contact_email: None,
            billing_email: fields.email("billing_email"),
            subscription_tier: fields.text("subscription_tier", 1..=50).unwrap_or(default.subscription_tier),
            timezone: fields.text("timezone", 1..=64).unwrap_or(default.timezone),
            retention_days: None,
        };
        let invitation = fields.text("invitation", 1..=2_048);
        let (Some(name), Some(slug), Some(contact_email)) = (name, slug, contact_email) else {
            return Err(fields.refused());
        };
        fields.finish()?;
        Ok(Self { name, slug, contact_email, profile, invitation })
    }
}
