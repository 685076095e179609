//! `/api/v1/auth`: who somebody is, and what they may do.

pub(crate) mod api_keys;
pub(crate) mod audit_log;
pub(crate) mod audit_log_export;
pub(crate) mod change_password;
pub(crate) mod health;
pub(crate) mod login;
pub(crate) mod logout;
mod mails;
pub(crate) mod password_reset;
pub(crate) mod profile;
pub(crate) mod refresh;
pub(crate) mod regenerate_api_key;
pub(crate) mod register_tenant;
pub(crate) mod register_user;
pub(crate) mod requests;
pub(crate) mod rotate_api_key;
mod session;
pub(crate) mod tenant_profile;
mod user_json;
pub(crate) mod users;

use crate::endpoint::Endpoint;

/// Every route here.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let at = Endpoint::at;
    vec![
        at("/api/v1/auth/register/tenant").post(register_tenant::register_tenant),
        at("/api/v1/auth/register/user").post(register_user::register_user),
        at("/api/v1/auth/login").post(login::login),
        at("/api/v1/auth/refresh").post(refresh::refresh),
        at("/api/v1/auth/logout").post(logout::logout),
        at("/api/v1/auth/profile").get(profile::get_profile).put(profile::put_profile),
        at("/api/v1/auth/change-password").post(change_password::change_password),
        at("/api/v1/auth/users").get(users::list_users),
        at("/api/v1/auth/users/{user_id}").put(users::put_user),
        at("/api/v1/auth/tenant/profile")
            .get(tenant_profile::get_tenant_profile)
            .put(tenant_profile::put_tenant_profile),
        at("/api/v1/auth/tenant/regenerate-api-key").post(regenerate_api_key::regenerate_api_key),
        at("/api/v1/auth/password-reset/request").post(password_reset::request_password_reset),
        at("/api/v1/auth/password-reset/confirm").post(password_reset::confirm_password_reset),
        at("/api/v1/auth/api-keys").get(api_keys::list_api_keys).post(api_keys::create_api_key),
        at("/api/v1/auth/api-keys/{key_id}").delete(api_keys::revoke_api_key),
        at("/api/v1/auth/api-keys/{key_id}/rotate").post(rotate_api_key::rotate_api_key),
        at("/api/v1/auth/audit-log").get(audit_log::audit_log),
        at("/api/v1/auth/audit-log/export").get(audit_log_export::export_audit_log),
        at("/api/v1/auth/health").get(health::health),
    ]
}
