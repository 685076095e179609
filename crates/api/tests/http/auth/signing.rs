//! Keys that ask for signed requests.

use std::time::Duration;

use actix_web::{http::Method, test::TestRequest};
use pulsestream_domain::{identity::Role, ports::Clock};
use pulsestream_identity::signatures::Signatures;
use serde_json::json;

use super::text;
use crate::harness::{Answer, EVENTS, SEARCH, SECRET, Surface, event};

/// A key that asks for signatures.
struct SignedKey {
    id: String,
    key: String,
}

async fn signed_key(surface: &Surface) -> SignedKey {
    let admin = surface.person(Role::Admin).await;
    let body = json!({"name": "s", "scopes": ["events:write", "events:read"], "require_signature": true});
    let made =
        surface.as_bearer(&admin.access, Method::POST, "/api/v1/auth/api-keys", Some(&body)).await.ok();
    let signatures = Signatures::new(&SECRET.parse().expect("long enough"));
    let id = text(&made["id"]);
    let secret = signatures.secret(surface.tenant_id, &pulsestream_domain::api_key::KeyId::from_stored(&*id));
    assert_eq!(made["signing_secret"], secret.reveal());
    SignedKey { id, key: text(&made["api_key"]) }
}

impl SignedKey {
    /// Sends a body with the signature of another, at most.
    async fn send(&self, surface: &Surface, message: &str, signed: &str, sent: &str) -> Answer {
        let signatures = Signatures::new(&SECRET.parse().expect("long enough"));
        let key_id = pulsestream_domain::api_key::KeyId::from_stored(&*self.id);
        let now = surface.clock.now().as_secs();
        let signature = signatures.secret(surface.tenant_id, &key_id).sign(message, now, signed.as_bytes());
        let request = TestRequest::post()
            .uri(EVENTS)
            .insert_header(("x-api-key", self.key.as_str()))
            .insert_header(("content-type", "application/json"))
            .insert_header(("webhook-id", message))
            .insert_header(("webhook-timestamp", now.to_string()))
            .insert_header(("webhook-signature", signature))
            .set_payload(sent.to_owned());
        surface.send(request).await
    }
}

#[actix_web::test]
async fn a_signed_request_is_taken_once_and_whole() {
    let surface = Surface::new().await;
    let key = signed_key(&surface).await;
    let (body, other) = (event("a").to_string(), event("b").to_string());

    assert_eq!(key.send(&surface, "m1", &body, &body).await.ok()["status"], "accepted");
    let replayed = key.send(&surface, "m1", &body, &body).await;
    assert_eq!(replayed.problem(), (401, "bad_signature".to_owned()));
    let changed = key.send(&surface, "m2", &body, &other).await;
    assert_eq!(changed.problem(), (401, "bad_signature".to_owned()));
    // What was not good is not remembered either: it would let strangers use up ids.
    assert_eq!(key.send(&surface, "m2", &other, &other).await.ok()["status"], "accepted");
    assert_eq!(surface.get(SEARCH).await.ok()["total_count"], 2);
}

#[actix_web::test]
async fn a_key_that_asks_for_signatures_does_nothing_without() {
    let surface = Surface::new().await;
    let key = signed_key(&surface).await;
    for (method, path) in [(Method::GET, SEARCH), (Method::POST, EVENTS)] {
        let unsigned = surface.as_bearer(&key.key, method, path, None).await;
        assert_eq!(unsigned.problem(), (401, "bad_signature".to_owned()));
    }
    let malformed = TestRequest::with_uri(SEARCH)
        .insert_header(("x-api-key", key.key.as_str()))
        .insert_header(("webhook-signature", "v1,"));
    assert_eq!(surface.send(malformed).await.problem(), (401, "bad_signature".to_owned()));
}

#[actix_web::test]
async fn an_old_signature_is_refused() {
    let surface = Surface::new().await;
    let key = signed_key(&surface).await;
    let body = event("a").to_string();
    let signatures = Signatures::new(&SECRET.parse().expect("long enough"));
    let key_id = pulsestream_domain::api_key::KeyId::from_stored(&*key.id);
    let then = surface.clock.now().as_secs();
    let signature = signatures.secret(surface.tenant_id, &key_id).sign("m1", then, body.as_bytes());
    surface.clock.advance(Duration::from_secs(301));
    let request = TestRequest::post()
        .uri(EVENTS)
        .insert_header(("x-api-key", key.key.as_str()))
        .insert_header(("content-type", "application/json"))
        .insert_header(("webhook-id", "m1"))
        .insert_header(("webhook-timestamp", then.to_string()))
        .insert_header(("webhook-signature", signature))
        .set_payload(body);
    let late = surface.send(request).await;
    assert_eq!(late.problem(), (401, "bad_signature".to_owned()));
    assert!(late.text().contains("five minutes"));
}

#[actix_web::test]
async fn a_signature_that_nobody_asked_for_is_let_through() {
    let surface = Surface::new().await;
    let request = surface
        .request(Method::POST, EVENTS)
        .insert_header(("webhook-signature", "whatever"))
        .set_json(event("a"));
    assert_eq!(surface.send(request).await.ok()["status"], "accepted");
}
