//! `GET` and `POST /api-keys`, `DELETE /api-keys/{key_id}`: the keys of a tenant.

use actix_web::{
    HttpRequest,
    web::{Json, Path, Payload},
};
use pulsestream_domain::{
    Timestamp,
    api_key::{ApiKey, KeyId, Network, Restrictions, Scope, StoredKey},
    event::{EventType, Reason},
    identity::Actor,
    tenant::TenantId,
};
use pulsestream_identity::authority::Action;
use serde::Serialize;
use utoipa::ToSchema;

use super::{logout::AuthDone, requests};
use crate::{
    caller::{Caller, origin},
    error::ApiError,
    fields::Fields,
    openapi,
    state::State,
};

/// How many services, types or networks a key may name.
const MAX_RESTRICTIONS: usize = 100;

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeyJson {
    /// Public.
    #[schema(value_type = String)]
    id: KeyId,
    name: String,
    /// How it begins.
    prefix: String,
    last_four: String,
    #[schema(value_type = Vec<String>)]
    scopes: Vec<Scope>,
    allowed_services: Vec<String>,
    #[schema(value_type = Vec<String>)]
    allowed_event_types: Vec<EventType>,
    #[schema(value_type = Vec<String>)]
    allowed_ips: Vec<Network>,
    require_signature: bool,
    #[schema(value_type = Option<String>)]
    created_by: Option<Actor>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// To the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Whether it is neither revoked nor expired.
    is_live: bool,
}

/// An API key that was made just now.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewApiKeyAnswer {
    #[serde(flatten)]
    key: ApiKeyJson,
    /// Shown once.
    api_key: String,
    /// What requests are signed with, when they have to be; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_secret: Option<String>,
}

/// The keys of a tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct ApiKeysAnswer {
    /// Oldest first; revoked ones, too.
    api_keys: Vec<ApiKeyJson>,
    total_count: usize,
}

impl ApiKeyJson {
    fn new(key: StoredKey, now: Timestamp) -> Self {
        let is_live = key.is_live(now);
        let Restrictions { services, event_types, networks, requires_signature } = key.restrictions;
        Self {
            prefix: format!("ps_live_{}", key.id),
            id: key.id,
            name: key.name,
            last_four: key.last_four,
            scopes: key.scopes,
            allowed_services: services,
            allowed_event_types: event_types,
            allowed_ips: networks,
            require_signature: requires_signature,
            created_by: key.created_by,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            is_live,
        }
    }
}

impl NewApiKeyAnswer {
    pub(super) fn new(state: &State, key: &ApiKey, stored: StoredKey) -> Self {
        let is_signed = stored.restrictions.requires_signature;
        let secret = || state.identity.signatures.secret(stored.tenant_id, &stored.id).reveal();
        Self {
            signing_secret: is_signed.then(secret),
            api_key: key.reveal().to_owned(),
            key: ApiKeyJson::new(stored, state.clock.now()),
        }
    }
}

/// A key with nothing allowed yet.
pub(super) fn new_key(key: &ApiKey, tenant_id: TenantId, name: String, now: Timestamp) -> StoredKey {
    StoredKey {
        id: key.id().clone(),
        tenant_id,
        name,
        digest: key.digest(),
        last_four: key.last_four().to_owned(),
        scopes: Vec::new(),
        restrictions: Restrictions::default(),
        created_by: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    }
}

/// Lists the tenant's API keys.
#[utoipa::path(
    get,
    path = "/api/v1/auth/api-keys",
    tag = "auth",
    responses(
        (status = 200, description = "keys without their secrets", body = ApiKeysAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_api_keys(state: State, caller: Caller) -> Result<Json<ApiKeysAnswer>, ApiError> {
    caller.require(Action::ManageKeys)?;
    let (now, keys) = (state.clock.now(), state.store.keys(caller.tenant_id()).await?);
    let api_keys: Vec<_> = keys.into_iter().map(|key| ApiKeyJson::new(key, now)).collect();
    Ok(Json(ApiKeysAnswer { total_count: api_keys.len(), api_keys }))
}

/// Makes an API key.
#[utoipa::path(
    post,
    path = "/api/v1/auth/api-keys",
    tag = "auth",
    request_body(content = requests::NewApiKeyBody, content_type = "application/json"),
    responses(
        (status = 200, description = "the key, in the clear this once", body = NewApiKeyAnswer),
        openapi::responses::SearchBodyProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn create_api_key(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<NewApiKeyAnswer>, ApiError> {
    caller.require(Action::ManageKeys)?;
    let now = state.clock.now();
    let mut fields = Fields::read(&state, &request, payload).await?;
    let name = fields.text("name", 1..=100);
    let name = fields.required("name", name);
    let scopes = fields.list::<Scope>("scopes", Scope::ALL.len(), Reason::UnknownValue);
    let mut scopes = scopes.unwrap_or_else(|| vec![Scope::EventsWrite]);
    scopes.dedup();
    if scopes.is_empty() {
        fields.refuse::<()>("scopes", Reason::Empty);
    }
    let expires_at = fields.timestamp("expires_at");
    if expires_at.is_some_and(|at| at <= now) {
        fields.refuse::<()>("expires_at", Reason::OutOfRange);
    }
    let restrictions = restrictions(&mut fields);
    let Some(name) = name else { return Err(fields.refused()) };
    fields.finish()?;
    caller.require_grant(&scopes)?;

    let key = ApiKey::from_entropy(state.identity.entropy.bytes());
    let created_by = Some(caller.actor());
    let stored = StoredKey {
        scopes,
        restrictions,
        created_by,
        expires_at,
        ..new_key(&key, caller.tenant_id(), name, now)
    };
    state.store.create_key(&stored, &origin(&state, &request, caller.actor())).await?;
    Ok(Json(NewApiKeyAnswer::new(&state, &key, stored)))
}

fn restrictions(fields: &mut Fields) -> Restrictions {
    let services = fields.list::<String>("allowed_services", MAX_RESTRICTIONS, Reason::WrongType);
    let services = services.unwrap_or_default();
    // What no event can have.
    if services.iter().any(|name| name.is_empty() || name.chars().count() > 100 || name.contains('\0')) {
        fields.refuse::<()>("allowed_services", Reason::BadParameter);
    }
    let event_types = fields.list("allowed_event_types", EventType::ALL.len(), Reason::UnknownValue);
    let networks = fields.list("allowed_ips", MAX_RESTRICTIONS, Reason::BadNetwork);
    Restrictions {
        services,
        event_types: event_types.unwrap_or_default(),
        networks: networks.unwrap_or_default(),
        requires_signature: fields.flag("require_signature").unwrap_or(false),
    }
}

/// Revokes an API key. Instances refuse it within five seconds.
#[utoipa::path(
    delete,
    path = "/api/v1/auth/api-keys/{key_id}",
    tag = "auth",
    params(requests::KeyPath),
    responses(
        (status = 200, description = "it is revoked", body = AuthDone),
        openapi::responses::AccountChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn revoke_api_key(
    state: State,
    caller: Caller,
    request: HttpRequest,
    id: Path<String>,
) -> Result<Json<AuthDone>, ApiError> {
    caller.require(Action::ManageKeys)?;
    let key = find_key(&state, &caller, &id).await?;
    caller.require_grant(&key.scopes)?;
    let origin = origin(&state, &request, caller.actor());
    match state.store.revoke_key(caller.tenant_id(), &key.id, &origin).await? {
        true => Ok(Json(AuthDone { message: "API key revoked successfully" })),
        false => Err(ApiError::NoSuch("API key")),
    }
}

/// A key of the caller's tenant.
pub(super) async fn find_key(state: &State, caller: &Caller, id: &str) -> Result<StoredKey, ApiError> {
    let none = || ApiError::NoSuch("API key");
    // No key has such an id, and not every database could look for it.
    if id.len() > 100 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(none());
    }
    state.store.key(caller.tenant_id(), &KeyId::from_stored(id)).await?.ok_or_else(none)
}
