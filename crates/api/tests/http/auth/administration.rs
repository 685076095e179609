//! Users and the tenant, as administrators change them.

use actix_web::http::Method;
use pulsestream_domain::{
    api_key::Scope,
    identity::{Role, UserId},
    tenant::Limits,
};
use serde_json::{Value, json};

use super::{PASSWORD, assert_forbidden, refusals, text};
use crate::harness::{BATCH, SEARCH, Surface, event};

const USERS: &str = "/api/v1/auth/users";
const REGISTER: &str = "/api/v1/auth/register/user";
const TENANT: &str = "/api/v1/auth/tenant/profile";

fn path_of(id: UserId) -> String {
    format!("{USERS}/{id}")
}

#[actix_web::test]
async fn an_admin_makes_users_below_an_owner() {
    let surface = Surface::forgetful().await;
    let admin = surface.person(Role::Admin).await;
    let register =
        async |body: Value| surface.as_bearer(&admin.access, Method::POST, REGISTER, Some(&body)).await;

    let made =
        register(json!({"email": "Vi@example.com", "password": PASSWORD, "full_name": "Vi"})).await.ok();
    assert_eq!((&made["email"], &made["role"]), (&json!("vi@example.com"), &json!("viewer")));
    assert!(made.get("one_time_password").is_none());
    surface.login("vi@example.com", PASSWORD).await.ok();

    let made = register(json!({"email": "ad@example.com", "role": "admin"})).await.ok();
    let tokens = surface.login("ad@example.com", &text(&made["one_time_password"])).await.ok();
    assert_eq!(tokens["must_change_password"], true);

    let taken = register(json!({"email": "VI@example.com"})).await;
    assert_eq!(refusals(&taken), ["409 email_taken", "/email taken"]);
    let owner = register(json!({"email": "ow@example.com", "role": "owner"})).await;
    assert_forbidden(&owner, "insufficient_role");
    let bad = register(json!({"email": "x", "password": "short", "role": "root", "tenant_id": "x"})).await;
    let expected = [
        "422 invalid",
        "/email bad_email",
        "/password bad_password",
        "/role unknown_value",
        "/tenant_id unknown_field",
    ];
    assert_eq!(refusals(&bad), expected);

    let listed =
        surface.as_bearer(&admin.access, Method::GET, &format!("{USERS}?search=VI@&limit=1"), None).await;
    let listed = listed.ok();
    assert_eq!((&listed["total_count"], &listed["users"][0]["full_name"]), (&json!(1), &json!("Vi")));
    assert!(listed["users"][0].get("password_hash").is_none());
    let unknown = surface.as_bearer(&admin.access, Method::GET, &format!("{USERS}?page=1"), None).await;
    assert_eq!(refusals(&unknown), ["422 invalid", "/page unknown_field"]);
}

#[actix_web::test]
async fn only_an_owner_touches_owners_and_the_last_one_stays() {
    let surface = Surface::forgetful().await;
    let (admin, owner) = (surface.person(Role::Admin).await, surface.person(Role::Owner).await);
    let put = async |token: &str, id: UserId, body: Value| {
        surface.as_bearer(token, Method::PUT, &path_of(id), Some(&body)).await
    };

    for (id, body) in [(owner.id, json!({"is_active": false})), (admin.id, json!({"role": "owner"}))] {
        assert_forbidden(&put(&admin.access, id, body).await, "insufficient_role");
    }
    let last = put(&owner.access, owner.id, json!({"role": "viewer"})).await;
    assert_eq!(last.problem(), (409, "last_owner".to_owned()));
    assert_eq!(put(&owner.access, admin.id, json!({"role": "owner"})).await.ok()["role"], "owner");
    put(&admin.access, owner.id, json!({"is_active": false})).await.ok();
    assert_eq!(surface.as_bearer(&owner.access, Method::GET, SEARCH, None).await.problem().0, 401);
    let (key, _) = surface.new_key(surface.tenant_id, &[Scope::Admin]).await;
    assert_forbidden(&put(&key, admin.id, json!({"role": "viewer"})).await, "insufficient_scope");
}

#[actix_web::test]
async fn users_of_another_tenant_are_as_if_they_were_not() {
    let surface = Surface::forgetful().await;
    let owner = surface.person(Role::Owner).await;
    let (other, _) = surface.new_tenant("second", Limits::default()).await;
    let stranger = surface.new_user(other, "stranger@example.com", Role::Viewer).await;
    let nobody = UserId(uuid::Uuid::from_u128(7));
    for path in [path_of(stranger), path_of(nobody), format!("{USERS}/not-a-uuid")] {
        let refused =
            surface.as_bearer(&owner.access, Method::PUT, &path, Some(&json!({"role": "admin"}))).await;
        assert_eq!(refused.problem(), (404, "not_found".to_owned()), "{path}");
        assert_eq!(refused.json()["detail"], "there is no such user");
    }
    let listed = surface.as_bearer(&owner.access, Method::GET, USERS, None).await.ok();
    assert_eq!(listed["total_count"], 1);
}

#[actix_web::test]
async fn an_owner_changes_the_tenant_and_the_rest_stays() {
    let surface = Surface::forgetful().await;
    let (admin, owner) = (surface.person(Role::Admin).await, surface.person(Role::Owner).await);
    let put =
        async |token: &str, body: Value| surface.as_bearer(token, Method::PUT, TENANT, Some(&body)).await;
    assert_forbidden(&put(&admin.access, json!({"name": "x"})).await, "insufficient_role");

    let changed = put(
        &owner.access,
        json!({"rate_limit_per_minute": 2, "retention_days": 30, "billing_email": "b@example.com",
               "duplicate_policy": "lenient"}),
    )
    .await
    .ok();
    assert_eq!((&changed["name"], &changed["retention_days"]), (&json!("first"), &json!(30)));
    assert_eq!((&changed["rate_limit_per_minute"], &changed["rate_limit_burst"]), (&json!(2), &json!(2)));
    let batch = json!({"events": [event("a"), event("b"), event("c")]});
    let answer = surface.as_bearer(&admin.access, Method::POST, BATCH, Some(&batch)).await.ok();
    assert_eq!((&answer["successful_count"], &answer["failed_count"]), (&json!(2), &json!(1)));

    let again = put(&owner.access, json!({"retention_days": null, "billing_email": null})).await.ok();
    assert_eq!((&again["retention_days"], &again["billing_email"]), (&Value::Null, &Value::Null));
    assert_eq!(again["duplicate_policy"], "lenient");
    assert_eq!(surface.as_bearer(&admin.access, Method::GET, TENANT, None).await.ok(), again);
    let bad = json!({"rate_limit_per_minute": 0, "retention_days": 36_501, "slug": "x", "subscription_tier": "max"});
    let expected = [
        "422 invalid",
        "/rate_limit_per_minute out_of_range",
        "/retention_days out_of_range",
        "/slug unknown_field",
        "/subscription_tier unknown_field",
    ];
    assert_eq!(refusals(&put(&owner.access, bad).await), expected);
}
