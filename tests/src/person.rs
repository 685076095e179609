//! People, made with the command line and logged in over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Answer, App, Client, Tenant, command, unique};

/// What every person here chooses.
pub const PASSWORD: &str = "correct horse battery";

/// Somebody with a password of their own.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their id, a UUID.
    pub id: String,
    /// What they log in with.
    pub email: String,
    /// Whose tenant's user they are, by its short name.
    pub slug: String,
}

impl Person {
    /// Makes a user of the tenant, who changes the one-time password to [`PASSWORD`].
    pub async fn create(app: &App, tenant: &Tenant, role: &str) -> Self {
        let email = format!("{}-{}@example.com", unique(role), tenant.canary);
        let mut command = command::program(app.ground(), app.settings());
        command.args(["user", "create", &email, "--tenant", &tenant.slug, "--role", role, "--json"]);
        let made = command::json(command).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        let person = Self { id, email, slug: tenant.slug.clone() };
        let once = made["one_time_password"].as_str().expect("a password").to_owned();
        let tokens = person.login(app, &once).await.expect(200).json();
        let change = json!({"current_password": once, "new_password": PASSWORD});
        let client = with_token(app, &tokens);
        client.post("/api/v1/auth/change-password", &change).await.expect(200);
        person
    }

    /// Tries a password.
    pub async fn login(&self, app: &App, password: &str) -> Answer {
        let body = json!({"email": self.email, "password": password, "tenant_slug": self.slug});
        app.anonymous().post("/api/v1/auth/login", &body).await
    }

    /// Logs in, and answers with the tokens.
    pub async fn tokens(&self, app: &App) -> Value {
        self.login(app, PASSWORD).await.expect(200).json()
    }
}

/// A client that carries the access token of a login.
pub fn with_token(app: &App, tokens: &Value) -> Client {
    app.anonymous().with_token(tokens["access_token"].as_str().expect("a token"))
}

impl Client {
    /// `PUT` of a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.execute(self.request(Method::PUT, path).json(body)).await
    }
}
