//! Users as they are answered.

use pulsestream_domain::{
    Timestamp,
    identity::{Role, User, UserId},
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserJson {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    /// The same.
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    email: String,
    full_name: Option<String>,
    #[schema(value_type = String)]
    role: Role,
    is_active: bool,
    must_change_password: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_login_at: Option<Timestamp>,
}

impl From<&User> for UserJson {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            user_id: user.id,
            tenant_id: user.tenant_id,
            email: user.email.to_string(),
            full_name: user.full_name.clone(),
            role: user.role,
            is_active: user.is_active,
            must_change_password: user.must_change_password,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}
