//! API keys over HTTP, and what narrows them down.

use actix_web::{http::Method, test::TestRequest};
use pulsestream_domain::{api_key::Scope, identity::Role, tenant::Limits};
use serde_json::{Value, json};

use super::{assert_forbidden, refusals, text};
use crate::harness::{BATCH, EVENTS, SEARCH, Surface, event};

const KEYS: &str = "/api/v1/auth/api-keys";

#[actix_web::test]
async fn a_key_is_made_listed_rotated_and_revoked() {
    let surface = Surface::forgetful().await;
    let admin = surface.person(Role::Admin).await;
    let call = async |method, path: &str, body: Option<Value>| {
        surface.as_bearer(&admin.access, method, path, body.as_ref()).await
    };

    let made = call(Method::POST, KEYS, Some(json!({"name": "ci", "scopes": ["events:read"]}))).await.ok();
    let (id, key) = (text(&made["id"]), text(&made["api_key"]));
    assert!(key.starts_with(&text(&made["prefix"])));
    assert_eq!(made["created_by"], format!("user:{}", admin.id));
    surface.as_bearer(&key, Method::GET, SEARCH, None).await.ok();

    let listed = call(Method::GET, KEYS, None).await;
    assert!(!listed.text().contains(&key[20..]), "the secret is in the list");
    assert_eq!(listed.ok()["total_count"], 2);

    let rotate = format!("{KEYS}/{id}/rotate");
    let rotated = call(Method::POST, &rotate, Some(json!({"grace_seconds": 60}))).await.ok();
    let new = text(&rotated["api_key"]);
    assert_eq!((&rotated["name"], &rotated["scopes"]), (&json!("ci"), &json!(["events:read"])));
    for key in [&key, &new] {
        surface.as_bearer(key, Method::GET, SEARCH, None).await.ok();
    }
    surface.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(surface.as_bearer(&key, Method::GET, SEARCH, None).await.problem().0, 401);
    assert_eq!(call(Method::POST, &rotate, None).await.problem().0, 404);

    let new_path = format!("{KEYS}/{}", text(&rotated["id"]));
    call(Method::DELETE, &new_path, None).await.ok();
    assert_eq!(surface.as_bearer(&new, Method::GET, SEARCH, None).await.problem().0, 401);
}

#[actix_web::test]
async fn nobody_makes_a_key_with_more_than_they_have() {
    let surface = Surface::forgetful().await;
    let (admin, owner) = (surface.person(Role::Admin).await, surface.person(Role::Owner).await);
    let body = json!({"name": "root", "scopes": ["admin"]});
    let refused = surface.as_bearer(&admin.access, Method::POST, KEYS, Some(&body)).await;
    assert_forbidden(&refused, "grants_too_much");
    let made = surface.as_bearer(&owner.access, Method::POST, KEYS, Some(&body)).await.ok();
    for (method, path) in [(Method::DELETE, String::new()), (Method::POST, "/rotate".to_owned())] {
        let path = format!("{KEYS}/{}{path}", text(&made["id"]));
        assert_forbidden(&surface.as_bearer(&admin.access, method, &path, None).await, "grants_too_much");
    }
}

#[actix_web::test]
async fn a_key_that_makes_no_sense_is_not_made() {
    let surface = Surface::new().await;
    let admin = surface.person(Role::Admin).await;
    let make = async |body: Value| surface.as_bearer(&admin.access, Method::POST, KEYS, Some(&body)).await;
    let bad = json!({
        "scopes": ["events:read", "everything"], "expires_at": "2020-01-01T00:00:00Z", "allowed_ips": ["10.0.0.1/8"],
        "allowed_event_types": ["party"], "allowed_services": [""], "key": "mine",
    });
    let expected = [
        "422 invalid",
        "/name required",
        "/scopes/1 unknown_value",
        "/expires_at out_of_range",
        "/allowed_services bad_parameter",
        "/allowed_event_types/0 unknown_value",
        "/allowed_ips/0 bad_network",
        "/key unknown_field",
    ];
    assert_eq!(refusals(&make(bad).await), expected);
    assert_eq!(refusals(&make(json!({"name": "x", "scopes": []})).await), ["422 invalid", "/scopes empty"]);
}

#[actix_web::test]
async fn keys_of_another_tenant_are_as_if_they_were_not() {
    let surface = Surface::new().await;
    let owner = surface.person(Role::Owner).await;
    let (other, _) = surface.new_tenant("second", Limits::default()).await;
    let (_, foreign) = surface.new_key(other, &[Scope::EventsRead]).await;
    for id in [foreign.id.as_str(), "none", "%00", "a%20b"] {
        for (method, path) in [(Method::DELETE, ""), (Method::POST, "/rotate")] {
            let path = format!("{KEYS}/{id}{path}");
            let refused = surface.as_bearer(&owner.access, method, &path, None).await;
            assert_eq!(refused.problem(), (404, "not_found".to_owned()), "{path}");
        }
    }
}

#[actix_web::test]
async fn a_key_sends_only_what_it_may_and_its_neighbours_are_stored() {
    let surface = Surface::new().await;
    let admin = surface.person(Role::Admin).await;
    let body = json!({"name": "shop", "allowed_services": ["shop"], "allowed_event_types": ["api_call"]});
    let key = text(&surface.as_bearer(&admin.access, Method::POST, KEYS, Some(&body)).await.ok()["api_key"]);
    let mut other = event("b");
    other["source"]["service"] = json!("bank");
    other["event_type"] = json!("user_action");

    let refused = surface.as_bearer(&key, Method::POST, EVENTS, Some(&other)).await;
    assert_eq!(refusals(&refused), ["422 invalid", "/source/service not_allowed", "/event_type not_allowed"]);
    let batch = json!([event("a"), other]);
    let answer = surface.as_bearer(&key, Method::POST, BATCH, Some(&batch)).await.ok();
    assert_eq!(answer["results"][0]["status"], "accepted");
    assert_eq!(
        (&answer["results"][1]["status"], &answer["results"][1]["event_id"]),
        (&json!("rejected"), &json!("b"))
    );
}

#[actix_web::test]
async fn a_key_is_taken_from_its_networks_only() {
    let surface = Surface::new().await;
    let admin = surface.person(Role::Admin).await;
    let body = json!({"name": "office", "scopes": ["events:read"], "allowed_ips": ["198.51.100.0/24", "2001:db8::/32"]});
    let key = text(&surface.as_bearer(&admin.access, Method::POST, KEYS, Some(&body)).await.ok()["api_key"]);
    let from = async |address: &str| {
        let request = TestRequest::with_uri(SEARCH).insert_header(("x-api-key", key.as_str()));
        surface.send(request.peer_addr(address.parse().expect("an address"))).await
    };
    from("198.51.100.9:1").await.ok();
    from("[2001:db8::1]:1").await.ok();
    from("[::ffff:198.51.100.9]:1").await.ok();
    assert_forbidden(&from("198.51.101.9:1").await, "address_not_allowed");
    let unknown = TestRequest::with_uri(SEARCH).insert_header(("x-api-key", key.as_str()));
    assert_forbidden(&surface.send(unknown).await, "address_not_allowed");
}

#[actix_web::test]
async fn regenerating_replaces_the_first_key_or_the_one_in_hand_at_once() {
    let surface = Surface::forgetful().await;
    let admin = surface.person(Role::Admin).await;
    let (in_hand, _) = surface.new_key(surface.tenant_id, &[Scope::Admin]).await;
    let path = "/api/v1/auth/tenant/regenerate-api-key";

    let first = surface.as_bearer(&admin.access, Method::POST, path, None).await.ok();
    assert!(text(&first["warning"]).contains("refused from now on"));
    assert_eq!(surface.get(SEARCH).await.problem().0, 401);
    let new = text(&first["new_api_key"]);
    surface.as_bearer(&new, Method::GET, SEARCH, None).await.ok();

    let second = surface.as_bearer(&in_hand, Method::POST, path, None).await.ok();
    assert_eq!(surface.as_bearer(&in_hand, Method::GET, SEARCH, None).await.problem().0, 401);
    surface.as_bearer(&new, Method::GET, SEARCH, None).await.ok();
    surface.as_bearer(&text(&second["new_api_key"]), Method::GET, KEYS, None).await.ok();
}
