//! People over HTTP.

mod administration;
mod book;
mod keys;
mod people;
mod registration;
mod signing;

use actix_web::{
    http::{Method, StatusCode},
    test::TestRequest,
};
use pulsestream_api::Registration;
use pulsestream_domain::{
    identity::{Password, Role, User, UserId},
    ports::{Clock, IdSource},
    tenant::{Limits, TenantId},
};
use pulsestream_identity::{
    entropy::SystemEntropy,
    passwords::{Passwords, Settings},
};
use pulsestream_ingestion::SystemIds;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

use crate::harness::{Answer, Surface};

const PASSWORD: &str = "correct horse battery";

/// Somebody who is logged in.
struct Person {
    id: UserId,
    access: String,
    refresh: String,
}

impl Surface {
    /// A surface on which nothing that was looked up is remembered.
    async fn forgetful() -> Self {
        Self::with(Limits::per_minute(10_000), |parts| parts.settings.key_cache_life = Duration::ZERO).await
    }

    async fn registering(registration: Registration) -> Self {
        Self::with(Limits::default(), |parts| parts.settings.registration = registration).await
    }

    async fn new_user(&self, tenant_id: TenantId, email: &str, role: Role) -> UserId {
        let passwords = Passwords::new(Settings::default(), Arc::new(SystemEntropy));
        let password = Password::new(PASSWORD.to_owned()).expect("it is long enough");
        let id = UserId(SystemIds::default().uuid_v7(self.clock.now()));
        let user = User {
            id,
            tenant_id,
            email: email.parse().expect("an address"),
            full_name: None,
            role,
            password_hash: passwords.hash(password).await.expect("it hashes"),
            must_change_password: false,
            is_active: true,
            created_at: self.clock.now(),
            last_login_at: None,
        };
        self.store.create_user(&user, &self.origin()).await.expect("the user is new");
        id
    }

    /// Makes a user of the first tenant and logs them in.
    async fn person(&self, role: Role) -> Person {
        let email = format!("{role}@example.com");
        let id = self.new_user(self.tenant_id, &email, role).await;
        let tokens = self.login(&email, PASSWORD).await.ok();
        Person { id, access: text(&tokens["access_token"]), refresh: text(&tokens["refresh_token"]) }
    }

    async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password, "tenant_slug": "first"});
        self.anonymous(Method::POST, "/api/v1/auth/login", Some(&body)).await
    }

    async fn anonymous(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.send_with(TestRequest::with_uri(path).method(method), body).await
    }

    /// As somebody with this API key or access token.
    async fn as_bearer(&self, token: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = TestRequest::with_uri(path).method(method);
        self.send_with(request.insert_header(("authorization", format!("Bearer {token}"))), body).await
    }

    async fn send_with(&self, request: TestRequest, body: Option<&Value>) -> Answer {
        let request = request.peer_addr("192.0.2.7:1234".parse().expect("an address"));
        self.send(match body {
            Some(body) => request.set_json(body),
            None => request,
        })
        .await
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The problem's code, and those of its errors with their pointers.
#[track_caller]
fn refusals(answer: &Answer) -> Vec<String> {
    let (status, code) = answer.problem();
    let problem = answer.json();
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let errors = errors.iter().map(|error| format!("{} {}", text(&error["pointer"]), text(&error["code"])));
    std::iter::once(format!("{status} {code}")).chain(errors).collect()
}

#[track_caller]
fn assert_forbidden(answer: &Answer, code: &str) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text());
    assert_eq!(answer.problem().1, code);
}
