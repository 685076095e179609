//! Tenants and keys, made with the command line beside the running server.

use std::ops::Deref;

use serde_json::Value;

use crate::{App, Client, canary, command, unique};

/// What a new tenant has of its own; the rest is as by default.
#[derive(Clone, Default, Debug)]
pub struct TenantOptions {
    arguments: Vec<String>,
}

impl TenantOptions {
    /// At most this many new events in any 60 s.
    #[must_use]
    pub fn per_minute(self, events: u64) -> Self {
        self.with("--rate-limit-per-minute", events)
    }

    /// At most this many new events in any second.
    #[must_use]
    pub fn burst(self, events: u64) -> Self {
        self.with("--rate-limit-burst", events)
    }

    /// `strict`, `lenient` or `reject`.
    #[must_use]
    pub fn duplicate_policy(self, policy: &str) -> Self {
        self.with("--duplicate-policy", policy)
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.arguments.extend([name.to_owned(), value.to_string()]);
        self
    }
}

/// A tenant that nobody else uses, and a client with its first key.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its id, a UUID.
    pub id: String,
    /// Its short name.
    pub slug: String,
    /// What only its data has.
    pub canary: String,
    /// Its first key, which may send and read events.
    pub key: String,
    /// A client with this key.
    pub client: Client,
}

/// A key besides the first.
#[derive(Clone, Debug)]
pub struct CreatedKey {
    /// Its id.
    pub id: String,
    /// The key, as it was shown once.
    pub key: String,
    /// A client with it.
    pub client: Client,
}

impl Tenant {
    pub(crate) async fn create(app: &App, options: TenantOptions) -> Self {
        let canary = canary::new();
        let slug = format!("{}-{canary}", unique("tenant"));
        let mut command = command::program(app.ground(), app.settings());
        command.args(["tenant", "create", &slug, "--json"]);
        command.args(options.arguments);
        let made = command::json(command).await;
        let (id, key) = (text(&made, "id"), text(&made, "api_key"));
        canary::add_tenant(&id, &canary);
        canary::add_key(&key, &canary);
        let client = app.anonymous().with_key(&key);
        Self { id, slug, canary, key, client }
    }

    /// The same tenant as a client of another server of the same store.
    pub fn at(&self, app: &App) -> Client {
        app.anonymous().with_key(&self.key)
    }

    /// Makes another key with the command line and these options of `key create`.
    pub async fn create_key(&self, app: &App, arguments: &[&str]) -> CreatedKey {
        let mut command = command::program(app.ground(), app.settings());
        let name = format!("{} {}", unique("key"), self.canary);
        command.args(["key", "create", "--json", "--tenant", &self.slug, "--name", &name]);
        command.args(arguments);
        let made = command::json(command).await;
        let key = text(&made, "api_key");
        canary::add_key(&key, &self.canary);
        CreatedKey { id: text(&made, "id"), client: app.anonymous().with_key(&key), key }
    }

    /// Revokes a key by its id with the command line.
    pub async fn revoke_key(&self, app: &App, id: &str) {
        let mut command = command::program(app.ground(), app.settings());
        command.args(["key", "revoke", id, "--json", "--tenant", &self.slug]);
        command::json(command).await;
    }
}

impl Deref for Tenant {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

#[track_caller]
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}
