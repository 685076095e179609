//! `pulsestream key`.

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand, value_parser};
use pulsestream_domain::{
    ParseTimestampError, Timestamp,
    api_key::{KeyId, Scope, StoredKey},
    tenant::Slug,
};
use pulsestream_storage::Store;
use serde::Serialize;

use super::{output::Output, target::find_tenant};
use crate::{
    compose, first_start,
    settings::Settings,
    tenancy::{new_key, stored_key},
};

/// Long enough to put a new key everywhere: one day.
const DEFAULT_GRACE_SECONDS: i64 = 24 * 60 * 60;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a key, which is shown only now
    Create(Create),
    /// List a tenant's keys, oldest first, without the secret
    List(Of),
    /// Make a key with the name and scopes of another, which is refused after a while
    Rotate(Rotate),
    /// Refuse a key from now on. Servers notice within `auth.key_cache_life`
    Revoke(Revoke),
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    /// Whose key
    #[arg(long, value_name = "SLUG", default_value = first_start::DEFAULT_TENANT)]
    tenant: Slug,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    of: Of,
    /// What it is for; 1 to 100 characters
    #[arg(long)]
    name: String,
    /// What it may do: events:write, events:read, rules:write or admin. May be given several times
    #[arg(long = "scope", value_name = "SCOPE", default_values = ["events:write"], value_parser = parse_scope)]
    scopes: Vec<Scope>,
    /// From when on it is refused, as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    expires_at: Option<Timestamp>,
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// The key's id, as listed
    id: String,
    #[command(flatten)]
    of: Of,
    /// How long the old key is still taken
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_GRACE_SECONDS, value_parser = value_parser!(i64).range(0..=2_592_000))]
    grace_seconds: i64,
}

#[derive(Args, Debug)]
pub(crate) struct Revoke {
    /// The key's id, as listed
    id: String,
    #[command(flatten)]
    of: Of,
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    text.parse().map_err(|_| format!("must be one of {}", Scope::ALL.map(Scope::as_str).join(", ")))
}

fn parse_time(text: &str) -> Result<Timestamp, ParseTimestampError> {
    Timestamp::parse(text)
}

/// A key as it is printed.
#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    last_four: String,
    scopes: Vec<Scope>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    is_live: bool,
    /// Only for a key just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

impl Shown {
    fn new(key: &StoredKey, now: Timestamp, api_key: Option<&str>) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            last_four: key.last_four.clone(),
            scopes: key.scopes.clone(),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
            is_live: key.is_live(now),
            api_key: api_key.map(str::to_owned),
        }
    }

    fn scopes(&self) -> String {
        self.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
    }

    fn print(&self, output: Output) -> Result<()> {
        let fields = [
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("scopes", self.scopes()),
            ("expires at", shown_time(self.expires_at)),
            ("API key, shown only now", self.api_key.clone().unwrap_or_default()),
        ];
        output.fields(self, &fields).context("printing")
    }
}

fn shown_time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}

/// Runs the command on the store that the settings name.
pub(crate) async fn run(command: Command, settings: &Settings, output: Output) -> Result<()> {
    let store = compose::store(settings).await?;
    let now = compose::clock().now();
    match command {
        Command::Create(arguments) => create(arguments, &store, now, output).await?,
        Command::List(of) => list(&of, &store, now, output).await?,
        Command::Rotate(arguments) => rotate(arguments, &store, now, output).await?,
        Command::Revoke(arguments) => revoke(arguments, &store, now, output).await?,
    }
    store.close().await;
    Ok(())
}

async fn create(arguments: Create, store: &Store, now: Timestamp, output: Output) -> Result<()> {
    let Create { of, name, scopes, expires_at } = arguments;
    ensure!((1..=100).contains(&name.chars().count()), "a key's name has 1 to 100 characters");
    ensure!(expires_at.is_none_or(|at| at > now), "the key would have expired already");
    let tenant = find_tenant(store, &of.tenant).await?;
    let key = new_key().context("making an API key")?;
    let stored = stored_key(&key, tenant.id, &name, &scopes, now, expires_at);
    store.create_key(&stored, &compose::operator()).await.context("making the key")?;
    Shown::new(&stored, now, Some(key.reveal())).print(output)
}

async fn list(of: &Of, store: &Store, now: Timestamp, output: Output) -> Result<()> {
    let tenant = find_tenant(store, &of.tenant).await?;
    let keys = store.keys(tenant.id).await.context("reading the keys")?;
    let shown: Vec<Shown> = keys.iter().map(|key| Shown::new(key, now, None)).collect();
    let head = ["ID", "NAME", "ENDS IN", "SCOPES", "STATE", "EXPIRES", "LAST USED"];
    let cells = |key: &Shown| {
        let state = match (key.is_live, key.revoked_at) {
            (true, _) => "live",
            (false, Some(_)) => "revoked",
            (false, None) => "expired",
        };
        [
            key.id.clone(),
            key.name.clone(),
            key.last_four.clone(),
            key.scopes(),
            state.to_owned(),
            shown_time(key.expires_at),
            shown_time(key.last_used_at),
        ]
    };
    output.table(head, &shown, cells).context("printing")
}

async fn rotate(arguments: Rotate, store: &Store, now: Timestamp, output: Output) -> Result<()> {
    let tenant = find_tenant(store, &arguments.of.tenant).await?;
    let id = KeyId::from_stored(arguments.id);
    let keys = store.keys(tenant.id).await.context("reading the keys")?;
    let Some(old) = keys.iter().find(|key| key.id == id && key.is_live(now)) else {
        bail!("the tenant `{}` has no live key {id}", tenant.slug);
    };
    let key = new_key().context("making an API key")?;
    let stored = stored_key(&key, tenant.id, &old.name, &old.scopes, now, old.expires_at);
    let stored = StoredKey { restrictions: old.restrictions.clone(), ..stored };
    let until = now.plus_secs(arguments.grace_seconds);
    let until = old.expires_at.map_or(until, |at| at.min(until));
    let was_rotated = store.rotate_key(tenant.id, &id, &stored, until, &compose::operator()).await;
    let was_rotated = was_rotated.context("rotating the key")?;
    ensure!(was_rotated, "the key {id} is gone");
    Shown::new(&stored, now, Some(key.reveal())).print(output)
}

async fn revoke(arguments: Revoke, store: &Store, now: Timestamp, output: Output) -> Result<()> {
    let tenant = find_tenant(store, &arguments.of.tenant).await?;
    let id = KeyId::from_stored(arguments.id);
    let was_there =
        store.revoke_key(tenant.id, &id, &compose::operator()).await.context("revoking the key")?;
    ensure!(was_there, "the tenant `{}` has no key {id}", tenant.slug);
    let data = serde_json::json!({ "id": id, "revoked_at": now });
    output.done(&format!("the key {id} is refused from now on"), &data).context("printing")
}
