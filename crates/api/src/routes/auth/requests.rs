//! What clients send, for the OpenAPI document only: the handlers take bodies apart member by member.
#![expect(dead_code, reason = "these types describe JSON and are never made")]

use utoipa::{IntoParams, ToSchema};

use crate::openapi::words::{DuplicatePolicyWord, EventTypeWord, FormatWord, RoleWord, ScopeWord};

/// A tenant to make.
#[derive(ToSchema)]
pub(crate) struct NewTenantBody {
    #[schema(min_length = 1, max_length = 255, example = "Acme")]
    name: String,
    /// 1 to 100 of a-z, 0-9 and '-'; unique.
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,99}$", example = "acme")]
    slug: String,
    /// Also what its owner logs in with.
    #[schema(format = "email")]
    contact_email: String,
    #[schema(format = "email")]
    billing_email: Option<String>,
    #[schema(max_length = 50, default = "free")]
    subscription_tier: Option<String>,
    #[schema(max_length = 64, default = "UTC")]
    timezone: Option<String>,
    /// Where tenants are made by invitation only.
    #[schema(max_length = 2_048)]
    invitation: Option<String>,
}

/// A login.
#[derive(ToSchema)]
pub(crate) struct LoginBody {
    #[schema(format = "email")]
    email: String,
    #[schema(format = "password", max_length = 1_024)]
    password: String,
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,99}$", example = "acme")]
    tenant_slug: String,
    /// Keeps the refresh token good for 30 days instead of 7.
    #[schema(default = false)]
    remember_me: Option<bool>,
}

/// A refresh token, which is good once.
#[derive(ToSchema)]
pub(crate) struct RefreshBody {
    #[schema(max_length = 1_024)]
    refresh_token: String,
}

/// A user to make.
#[derive(ToSchema)]
pub(crate) struct NewUserBody {
    #[schema(format = "email")]
    email: String,
    /// Made by the server when absent; the user then has to change it first.
    #[schema(format = "password", min_length = 12, max_length = 1_024)]
    password: Option<String>,
    #[schema(max_length = 255)]
    full_name: Option<String>,
    /// `viewer`, `admin` or `owner`.
    /// Without it: `viewer`.
    #[schema(inline, value_type = Option<RoleWord>)]
    role: Option<String>,
}

/// What to change about oneself.
#[derive(ToSchema)]
pub(crate) struct ProfileBody {
    /// Null takes it away.
    #[schema(max_length = 255)]
    full_name: Option<String>,
}

/// What to change about a user.
#[derive(ToSchema)]
pub(crate) struct UserBody {
    /// Null takes it away.
    #[schema(max_length = 255)]
    full_name: Option<String>,
    /// `viewer`, `admin` or `owner`.
    #[schema(inline, value_type = Option<RoleWord>)]
    role: Option<String>,
    /// False ends their sessions and lets them begin no other.
    is_active: Option<bool>,
}

/// A new password.
#[derive(ToSchema)]
pub(crate) struct ChangePasswordBody {
    #[schema(format = "password", max_length = 1_024)]
    current_password: String,
    #[schema(format = "password", min_length = 12, max_length = 1_024)]
    new_password: String,
}

/// Who forgot their password.
#[derive(ToSchema)]
pub(crate) struct PasswordResetBody {
    #[schema(format = "email")]
    email: String,
    #[schema(pattern = "^[a-z0-9][a-z0-9-]{0,99}$", example = "acme")]
    tenant_slug: String,
}

/// A token out of a mail, and a new password.
#[derive(ToSchema)]
pub(crate) struct PasswordResetConfirmBody {
    #[schema(max_length = 1_024)]
    token: String,
    #[schema(format = "password", min_length = 12, max_length = 1_024)]
    new_password: String,
}

/// What to change about the tenant; what is absent stays.
#[derive(ToSchema)]
pub(crate) struct TenantProfileBody {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    /// Null takes it away.
    #[schema(format = "email")]
    contact_email: Option<String>,
    /// Null takes it away.
    #[schema(format = "email")]
    billing_email: Option<String>,
    #[schema(max_length = 64)]
    timezone: Option<String>,
    /// Newly stored events in any 60 seconds.
    #[schema(minimum = 1)]
    rate_limit_per_minute: Option<u32>,
    /// Newly stored events in any second.
    #[schema(minimum = 1)]
    rate_limit_burst: Option<u32>,
    /// `strict`, `lenient` or `reject`.
    #[schema(inline, value_type = Option<DuplicatePolicyWord>)]
    duplicate_policy: Option<String>,
    /// How many days events are kept after they were taken in; null for ever.
    #[schema(minimum = 1, maximum = 36_500)]
    retention_days: Option<u32>,
}

/// An API key to make.
#[derive(ToSchema)]
pub(crate) struct NewApiKeyBody {
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// `events:write`, `events:read`, `rules:write`, `admin`.
    #[schema(inline, value_type = Option<Vec<ScopeWord>>)]
    scopes: Option<Vec<String>>,
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// It may send events of these services only.
    #[schema(max_items = 100)]
    allowed_services: Option<Vec<String>>,
    /// It may send events of these types only.
    #[schema(inline, value_type = Option<Vec<EventTypeWord>>)]
    allowed_event_types: Option<Vec<String>>,
    /// It is taken from these addresses only: CIDR ranges.
    #[schema(max_items = 100)]
    allowed_ips: Option<Vec<String>>,
    /// Whether each request has to be signed with the secret in the answer.
    #[schema(default = false)]
    require_signature: Option<bool>,
}

/// How an API key is replaced.
#[derive(ToSchema)]
pub(crate) struct RotateApiKeyBody {
    /// How long the old key is still taken.
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    grace_seconds: Option<u32>,
}

/// Which users.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserListing {
    /// How many to leave out.
    #[param(minimum = 0, maximum = 4_294_967_295_u64, default = 0, value_type = Option<u64>)]
    skip: Option<u32>,
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// In the address or the name, whatever its case.
    #[param(min_length = 0)]
    search: Option<String>,
}

/// Which user.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct UserPath {
    #[param(format = Uuid)]
    user_id: String,
}

/// Which API key.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct KeyPath {
    /// The key's public id, as listed.
    key_id: String,
}

/// Which entries of the book.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditListing {
    /// Not before.
    #[param(format = DateTime)]
    start_time: Option<String>,
    /// Not after.
    #[param(format = DateTime)]
    end_time: Option<String>,
    /// `user:<id>`, `key:<id>`, `operator` or `anonymous`.
    #[param(pattern = "^(operator|anonymous|(user|key):.+)$")]
    actor: Option<String>,
    /// Such as `key.created`.
    action: Option<String>,
    /// `user:<id>`, `key:<id>`, `session:<id>` or `tenant:<id>`.
    #[param(min_length = 0)]
    target: Option<String>,
}

/// Which part of them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditPaging {
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same conditions.
    cursor: Option<String>,
}

/// How they are written.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditFormat {
    /// `ndjson` or `csv`.
    /// Without it: `ndjson`.
    #[param(inline, value_type = Option<FormatWord>)]
    format: Option<String>,
}
