//! Tenants that register, passwords that are forgotten.

use std::sync::{Arc, Mutex};

use actix_web::http::Method;
use async_trait::async_trait;
use pulsestream_api::Registration;
use pulsestream_domain::{
    identity::Role,
    ports::{BoxError, Clock},
    tenant::{Limits, TenantId},
};
use pulsestream_identity::{
    invitations::Invitations,
    mail::{AccountMail, Mail},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{PASSWORD, assert_forbidden, refusals, text};
use crate::harness::{EVENTS, SEARCH, SECRET, Surface, event};

const REGISTER: &str = "/api/v1/auth/register/tenant";

fn acme() -> Value {
    json!({"name": "Acme", "slug": "acme", "contact_email": "Ann@Acme.example"})
}

#[actix_web::test]
async fn a_tenant_registers_and_its_owner_chooses_a_password_before_anything_else() {
    let surface = Surface::registering(Registration::Open).await;

    let made = surface.anonymous(Method::POST, REGISTER, Some(&acme())).await.ok();

    assert_eq!((&made["slug"], &made["contact_email"]), (&json!("acme"), &json!("ann@acme.example")));
    assert_eq!((&made["subscription_tier"], &made["rate_limit_per_minute"]), (&json!("free"), &json!(100)));
    let key = text(&made["api_key"]);
    surface.as_bearer(&key, Method::POST, EVENTS, Some(&event("a"))).await.ok();
    let users = surface.as_bearer(&key, Method::GET, "/api/v1/auth/users", None).await;
    assert_forbidden(&users, "insufficient_scope");

    let (email, once) = (text(&made["owner"]["email"]), text(&made["owner"]["one_time_password"]));
    let login = async |password: &str| {
        let body = json!({"email": email, "password": password, "tenant_slug": "acme"});
        surface.anonymous(Method::POST, "/api/v1/auth/login", Some(&body)).await
    };
    let tokens = login(&once).await.ok();
    assert_eq!((&tokens["role"], &tokens["must_change_password"]), (&json!("owner"), &json!(true)));
    let access = text(&tokens["access_token"]);
    let search = async || surface.as_bearer(&access, Method::GET, SEARCH, None).await;
    assert_forbidden(&search().await, "password_change_required");
    let change = json!({"current_password": once, "new_password": PASSWORD});
    surface.as_bearer(&access, Method::POST, "/api/v1/auth/change-password", Some(&change)).await.ok();
    assert_eq!(search().await.ok()["total_count"], 1);
    assert_eq!(login(&once).await.problem().0, 401);
    login(PASSWORD).await.ok();
}

#[actix_web::test]
async fn a_registration_that_makes_no_sense_makes_nothing() {
    let surface = Surface::registering(Registration::Open).await;
    let register = async |body: Value| surface.anonymous(Method::POST, REGISTER, Some(&body)).await;
    let bad = json!({"name": "", "slug": "Not a slug", "contact_email": "x", "billing_email": 7, "id": 1});
    let expected = [
        "422 invalid",
        "/name empty",
        "/slug bad_parameter",
        "/contact_email bad_email",
        "/billing_email wrong_type",
        "/id unknown_field",
    ];
    assert_eq!(refusals(&register(bad).await), expected);
    register(acme()).await.ok();
    assert_eq!(refusals(&register(acme()).await), ["409 slug_taken", "/slug taken"]);
    assert_eq!(surface.store.tenants().await.expect("they are listed").len(), 2);
}

#[actix_web::test]
async fn one_address_does_not_register_without_end() {
    let surface = Surface::registering(Registration::Open).await;
    let mut statuses = Vec::new();
    for _ in 0..31 {
        // Refused for its body, and counted all the same.
        let answer = surface.anonymous(Method::POST, REGISTER, Some(&json!({}))).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 30);
    assert_eq!(statuses.last(), Some(&429));
}

#[actix_web::test]
async fn registration_can_be_closed_or_by_invitation() {
    let closed = Surface::registering(Registration::Closed).await;
    assert_forbidden(&closed.anonymous(Method::POST, REGISTER, Some(&acme())).await, "registration_closed");

    let surface = Surface::registering(Registration::Invite).await;
    let now = surface.clock.now();
    let invitations = Invitations::new(&SECRET.parse().expect("long enough"));
    let id = TenantId(Uuid::from_u128(77));
    let register = async |slug: &str, invitation: Option<String>| {
        let body =
            json!({"name": "A", "slug": slug, "contact_email": "a@example.com", "invitation": invitation});
        surface.anonymous(Method::POST, REGISTER, Some(&body)).await
    };
    let good = invitations.issue(id, now, now.plus_secs(600));
    let old = invitations.issue(id, now.plus_secs(-600), now.plus_secs(-61));
    for invitation in [None, Some("x".to_owned()), Some(old)] {
        assert_forbidden(&register("acme", invitation).await, "invitation_required");
    }
    assert_eq!(register("acme", Some(good.clone())).await.ok()["id"], json!(id));
    assert_forbidden(&register("other", Some(good)).await, "invitation_required");
}

/// Keeps mails instead of sending them.
#[derive(Default)]
struct Letterbox(Mutex<Vec<Mail>>);

#[async_trait]
impl AccountMail for Letterbox {
    async fn send(&self, mail: Mail) -> Result<(), BoxError> {
        self.0.lock().expect("no holder panics").push(mail);
        Ok(())
    }
}

#[actix_web::test]
async fn a_forgotten_password_is_reset_once_with_a_mail() {
    let letterbox = Arc::new(Letterbox::default());
    let mail = Arc::clone(&letterbox);
    let surface = Surface::with(Limits::default(), |parts| {
        parts.settings.public_url = "https://events.example".to_owned();
        parts.settings.key_cache_life = std::time::Duration::ZERO;
        parts.identity.mail = Some(mail);
    })
    .await;
    let viewer = surface.person(Role::Viewer).await;
    let request = async |email: &str| {
        let body = json!({"email": email, "tenant_slug": "first"});
        surface.anonymous(Method::POST, "/api/v1/auth/password-reset/request", Some(&body)).await.ok()
    };

    assert_eq!(request("nobody@example.com").await, request("viewer@example.com").await);
    surface.state.finish().await;

    let mails = letterbox.0.lock().expect("no holder panics").clone();
    let [mail] = mails.as_slice() else { panic!("one mail: {mails:?}") };
    assert_eq!(mail.to.as_str(), "viewer@example.com");
    let (_, link) = mail.text.split_once("https://events.example/reset-password#").expect("a link");
    let token = link.split_whitespace().next().expect("a token").to_owned();
    let confirm = async |token: &str, password: &str| {
        let body = json!({"token": token, "new_password": password});
        surface.anonymous(Method::POST, "/api/v1/auth/password-reset/confirm", Some(&body)).await
    };
    assert_eq!(refusals(&confirm(&token, "short").await), ["422 invalid", "/new_password bad_password"]);
    assert_eq!(confirm("x", "staple correct horse").await.problem(), (400, "invalid_token".to_owned()));
    assert_eq!(confirm(&viewer.refresh, "staple correct horse").await.problem().0, 400);
    confirm(&token, "staple correct horse").await.ok();

    assert_eq!(confirm(&token, "another correct horse").await.problem(), (400, "invalid_token".to_owned()));
    surface.login("viewer@example.com", "staple correct horse").await.ok();
    assert_eq!(surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await.problem().0, 401);
}

#[actix_web::test]
async fn without_mails_a_reset_says_so_to_everybody() {
    let surface = Surface::new().await;
    surface.new_user(surface.tenant_id, "ann@example.com", Role::Viewer).await;
    let request = async |email: &str| {
        let body = json!({"email": email, "tenant_slug": "first"});
        surface.anonymous(Method::POST, "/api/v1/auth/password-reset/request", Some(&body)).await
    };
    let known = request("ann@example.com").await.ok();
    assert!(text(&known["message"]).contains("not set up"));
    assert_eq!(known, request("nobody@example.com").await.ok());
    for _ in 0..2 {
        request("ann@example.com").await.ok();
    }
    assert_eq!(request("ann@example.com").await.problem(), (429, "too_many_tries".to_owned()));
}
