//! Logging in and out, tokens, passwords.

use std::time::Duration;

use actix_web::{http::Method, test::TestRequest};
use pulsestream_domain::{
    identity::{Role, SessionId},
    ports::Clock,
};
use pulsestream_identity::access_tokens::{AccessTokens, Subject};
use pulsestream_storage::UserChange;
use serde_json::json;
use uuid::Uuid;

use super::{PASSWORD, assert_forbidden, refusals, text};
use crate::harness::{EVENTS, SEARCH, SECRET, Surface, event};

const PROFILE: &str = "/api/v1/auth/profile";

#[actix_web::test]
async fn a_login_gives_tokens_that_open_every_door_of_the_role() {
    let surface = Surface::forgetful().await;
    let id = surface.new_user(surface.tenant_id, "Ann@Example.com", Role::Admin).await;

    let tokens = surface.login("ann@example.COM", PASSWORD).await.ok();

    assert_eq!(tokens["token_type"], "bearer");
    assert_eq!((&tokens["expires_in"], &tokens["refresh_expires_in"]), (&json!(1_800), &json!(604_800)));
    assert_eq!((&tokens["user_id"], &tokens["role"]), (&json!(id), &json!("admin")));
    assert_eq!(
        (&tokens["email"], &tokens["tenant_id"]),
        (&json!("ann@example.com"), &json!(surface.tenant_id))
    );
    let access = text(&tokens["access_token"]);
    surface.as_bearer(&access, Method::POST, EVENTS, Some(&event("a"))).await.ok();
    assert_eq!(surface.as_bearer(&access, Method::GET, SEARCH, None).await.ok()["total_count"], 1);
    let profile = surface.as_bearer(&access, Method::GET, PROFILE, None).await.ok();
    assert_eq!((&profile["id"], &profile["must_change_password"]), (&json!(id), &json!(false)));
    assert_eq!(profile["last_login_at"], surface.clock.now().to_string());
}

#[actix_web::test]
async fn a_viewer_reads_and_changes_nothing_but_themselves() {
    let surface = Surface::forgetful().await;
    let viewer = surface.person(Role::Viewer).await;
    surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await.ok();
    surface.as_bearer(&viewer.access, Method::GET, "/api/v1/auth/tenant/profile", None).await.ok();

    for (method, path, body) in [
        (Method::POST, EVENTS, Some(event("a"))),
        (Method::GET, "/api/v1/auth/users", None),
        (Method::GET, "/api/v1/auth/api-keys", None),
        (Method::GET, "/api/v1/auth/audit-log", None),
        (Method::POST, "/api/v1/auth/tenant/regenerate-api-key", None),
        (Method::PUT, "/api/v1/auth/tenant/profile", Some(json!({"name": "x"}))),
        (Method::POST, "/api/v1/auth/register/user", Some(json!({"email": "x@example.com"}))),
    ] {
        let refused = surface.as_bearer(&viewer.access, method, path, body.as_ref()).await;
        assert_forbidden(&refused, "insufficient_role");
    }
    let renamed = json!({"full_name": "Vi"});
    let profile = surface.as_bearer(&viewer.access, Method::PUT, PROFILE, Some(&renamed)).await.ok();
    assert_eq!(profile["full_name"], "Vi");
    let promoted =
        surface.as_bearer(&viewer.access, Method::PUT, PROFILE, Some(&json!({"role": "owner"}))).await;
    assert_eq!(refusals(&promoted), ["422 invalid", "/role unknown_field"]);
}

#[actix_web::test]
async fn an_api_key_is_nobody() {
    let surface = Surface::new().await;
    for (method, path) in [(Method::GET, PROFILE), (Method::POST, "/api/v1/auth/logout")] {
        assert_forbidden(&surface.call(method, path).await, "insufficient_scope");
    }
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_login_the_answer_is_the_same() {
    let surface = Surface::forgetful().await;
    let id = surface.new_user(surface.tenant_id, "gone@example.com", Role::Viewer).await;
    surface.new_user(surface.tenant_id, "ann@example.com", Role::Viewer).await;
    let gone = UserChange { is_active: Some(false), ..UserChange::default() };
    surface.store.update_user(surface.tenant_id, id, &gone, &surface.origin()).await.expect("changed");

    let mut bodies = Vec::new();
    for (slug, email, password) in [
        ("first", "ann@example.com", "wrong horse battery"),
        ("first", "ann@example.com", ""),
        ("first", "nobody@example.com", PASSWORD),
        ("nowhere", "ann@example.com", PASSWORD),
        ("first", "gone@example.com", PASSWORD),
    ] {
        let body = json!({"email": email, "password": password, "tenant_slug": slug});
        let request =
            TestRequest::post().uri("/api/v1/auth/login").insert_header(("x-request-id", "same-request"));
        let refused = surface.send_with(request, Some(&body)).await;
        assert_eq!(refused.problem(), (401, "invalid_credentials".to_owned()), "{slug} {email}");
        assert!(refused.header("www-authenticate").starts_with("Bearer"));
        bodies.push(refused.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
}

#[actix_web::test]
async fn a_login_that_makes_no_sense_is_told_everything_that_is_wrong() {
    let surface = Surface::new().await;
    let login = async |body| surface.anonymous(Method::POST, "/api/v1/auth/login", Some(&body)).await;
    let none = login(json!({"is_admin": true})).await;
    let expected = [
        "422 invalid",
        "/email required",
        "/password required",
        "/tenant_slug required",
        "/is_admin unknown_field",
    ];
    assert_eq!(refusals(&none), expected);
    let long =
        login(json!({"email": "a@example.com", "password": "x".repeat(1 << 20), "tenant_slug": "first"}))
            .await;
    assert_eq!(refusals(&long), ["422 invalid", "/password bad_password"]);
}

#[actix_web::test]
async fn too_many_wrong_passwords_hold_an_account_up_and_not_for_ever() {
    let surface = Surface::new().await;
    surface.new_user(surface.tenant_id, "ann@example.com", Role::Viewer).await;
    surface.new_user(surface.tenant_id, "bob@example.com", Role::Viewer).await;
    for _ in 0..10 {
        let wrong = surface.login("ann@example.com", "wrong horse battery").await;
        assert_eq!(wrong.problem().0, 401);
    }

    let held_up = surface.login("ann@example.com", PASSWORD).await;

    assert_eq!(held_up.problem(), (429, "too_many_tries".to_owned()));
    let wait: u64 = held_up.header("retry-after").parse().expect("a number");
    assert!((1..=61).contains(&wait), "{wait}");
    surface.login("bob@example.com", PASSWORD).await.ok();
    surface.clock.advance(Duration::from_secs(wait));
    surface.login("ann@example.com", PASSWORD).await.ok();
}

#[actix_web::test]
async fn good_logins_hold_nobody_up() {
    let surface = Surface::new().await;
    surface.new_user(surface.tenant_id, "ann@example.com", Role::Viewer).await;
    for _ in 0..15 {
        surface.login("ann@example.com", PASSWORD).await.ok();
    }
}

#[actix_web::test]
async fn an_access_token_ends_after_half_an_hour_and_a_minute() {
    let surface = Surface::forgetful().await;
    let viewer = surface.person(Role::Viewer).await;
    surface.clock.advance(Duration::from_secs(1_805));
    surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await.ok();
    surface.clock.advance(Duration::from_secs(56));
    let over = surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await;
    assert_eq!(over.problem(), (401, "unauthenticated".to_owned()));
}

#[actix_web::test]
async fn a_token_for_a_session_of_somebody_else_or_none_is_refused() {
    let surface = Surface::forgetful().await;
    let (viewer, owner) = (surface.person(Role::Viewer).await, surface.person(Role::Owner).await);
    let tokens = AccessTokens::new(&SECRET.parse().expect("long enough"));
    let good = tokens.verify(&viewer.access, surface.clock.now()).expect("it is good");
    let (other, _) = surface.new_tenant("second", pulsestream_domain::tenant::Limits::default()).await;
    for subject in [
        Subject { user_id: owner.id, ..good },
        Subject { tenant_id: other, ..good },
        Subject { session_id: SessionId(Uuid::nil()), ..good },
    ] {
        let forged = tokens.issue(&subject, surface.clock.now());
        let refused = surface.as_bearer(&forged, Method::GET, SEARCH, None).await;
        assert_eq!(refused.problem(), (401, "unauthenticated".to_owned()), "{subject:?}");
    }
    let refresh_as_access = surface.as_bearer(&viewer.refresh, Method::GET, SEARCH, None).await;
    assert_eq!(refresh_as_access.problem(), (401, "unauthenticated".to_owned()));
}

#[actix_web::test]
async fn a_key_beside_a_token_is_ambiguous() {
    let surface = Surface::new().await;
    let viewer = surface.person(Role::Viewer).await;
    let both = surface.request(Method::GET, SEARCH);
    let both = both.insert_header(("authorization", format!("Bearer {}", viewer.access)));
    assert_eq!(surface.send(both).await.problem(), (400, "ambiguous_credentials".to_owned()));
}

#[actix_web::test]
async fn a_role_that_changes_counts_at_once_and_not_what_it_was_at_the_login() {
    let surface = Surface::forgetful().await;
    let admin = surface.person(Role::Admin).await;
    let users = async || surface.as_bearer(&admin.access, Method::GET, "/api/v1/auth/users", None).await;
    users().await.ok();

    let demoted = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    surface
        .store
        .update_user(surface.tenant_id, admin.id, &demoted, &surface.origin())
        .await
        .expect("changed");
    assert_forbidden(&users().await, "insufficient_role");

    let gone = UserChange { is_active: Some(false), ..UserChange::default() };
    surface.store.update_user(surface.tenant_id, admin.id, &gone, &surface.origin()).await.expect("changed");
    assert_eq!(users().await.problem().0, 401);
}

#[actix_web::test]
async fn a_refresh_token_is_good_once_and_ends_everything_the_second_time() {
    let surface = Surface::forgetful().await;
    let viewer = surface.person(Role::Viewer).await;
    let refresh = async |token: &str| {
        let body = json!({"refresh_token": token});
        surface.anonymous(Method::POST, "/api/v1/auth/refresh", Some(&body)).await
    };

    let next = refresh(&viewer.refresh).await.ok();
    let access = text(&next["access_token"]);
    surface.as_bearer(&access, Method::GET, SEARCH, None).await.ok();
    assert_ne!(next["refresh_token"], viewer.refresh);

    assert_eq!(refresh(&viewer.refresh).await.problem(), (401, "invalid_credentials".to_owned()));
    assert_eq!(refresh(&text(&next["refresh_token"])).await.problem().0, 401);
    assert_eq!(surface.as_bearer(&access, Method::GET, SEARCH, None).await.problem().0, 401);
    for junk in ["x", &access, &viewer.refresh.replace("psr_", "psp_")] {
        assert_eq!(refresh(junk).await.problem().0, 401, "{junk}");
    }
}

#[actix_web::test]
async fn a_session_is_remembered_for_a_month_at_most() {
    let surface = Surface::forgetful().await;
    surface.new_user(surface.tenant_id, "ann@example.com", Role::Viewer).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "tenant_slug": "first", "remember_me": true});
    let tokens = surface.anonymous(Method::POST, "/api/v1/auth/login", Some(&body)).await.ok();
    assert_eq!(tokens["refresh_expires_in"], 2_592_000);
    surface.clock.advance(Duration::from_secs(29 * 86_400));
    let body = json!({"refresh_token": tokens["refresh_token"]});
    let next = surface.anonymous(Method::POST, "/api/v1/auth/refresh", Some(&body)).await.ok();
    assert_eq!(next["refresh_expires_in"], 86_400);
}

#[actix_web::test]
async fn a_logout_ends_both_tokens_at_once_where_it_happened() {
    let surface = Surface::new().await;
    let viewer = surface.person(Role::Viewer).await;
    surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await.ok();

    surface.as_bearer(&viewer.access, Method::POST, "/api/v1/auth/logout", None).await.ok();

    assert_eq!(surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await.problem().0, 401);
    let body = json!({"refresh_token": viewer.refresh});
    let refused = surface.anonymous(Method::POST, "/api/v1/auth/refresh", Some(&body)).await;
    assert_eq!(refused.problem().0, 401);
}

#[actix_web::test]
async fn a_new_password_needs_the_old_one_and_ends_the_other_sessions() {
    let surface = Surface::forgetful().await;
    let viewer = surface.person(Role::Viewer).await;
    let elsewhere = text(&surface.login("viewer@example.com", PASSWORD).await.ok()["access_token"]);
    surface.as_bearer(&elsewhere, Method::GET, SEARCH, None).await.ok();
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        surface.as_bearer(&viewer.access, Method::POST, "/api/v1/auth/change-password", Some(&body)).await
    };

    assert_eq!(refusals(&change(PASSWORD, "short").await), ["422 invalid", "/new_password bad_password"]);
    assert_eq!(refusals(&change(PASSWORD, PASSWORD).await), ["422 invalid", "/new_password bad_password"]);
    assert_eq!(change("wrong horse battery", "staple correct horse").await.problem().0, 401);
    change(PASSWORD, "staple correct horse").await.ok();

    surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await.ok();
    assert_eq!(surface.as_bearer(&elsewhere, Method::GET, SEARCH, None).await.problem().0, 401);
    surface.login("viewer@example.com", "staple correct horse").await.ok();
    assert_eq!(surface.login("viewer@example.com", PASSWORD).await.problem().0, 401);
}

#[actix_web::test]
async fn a_store_that_is_away_makes_nobody_a_stranger() {
    let surface = Surface::forgetful().await;
    let viewer = surface.person(Role::Viewer).await;
    surface.store.close().await;
    let answer = surface.as_bearer(&viewer.access, Method::GET, SEARCH, None).await;
    assert_eq!(answer.problem(), (503, "store_unavailable".to_owned()));
    assert_eq!(surface.login("viewer@example.com", PASSWORD).await.problem().0, 503);
    let health = surface.anonymous(Method::GET, "/api/v1/auth/health", None).await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (503, &json!("unhealthy")));
}
