//! `pulsestream tenant`.

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand, value_parser};
use pulsestream_domain::{
    api_key::ApiKey,
    tenant::{DuplicatePolicy, Limits, Slug, Tenant, TenantId},
};
use pulsestream_identity::invitations::Invitations;
use pulsestream_storage::{CreateError, Store, TenantChange};
use serde::Serialize;

use super::{output::Output, secret::KeyArgument, target::find_tenant};
use crate::{
    compose,
    secret_key::secret_key,
    settings::Settings,
    tenancy::{Draft, FIRST_KEY_SCOPES, new_key, stored_key},
};

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make a tenant with one API key, which is shown only now
    Create(Create),
    /// List all tenants
    List,
    /// Show one tenant
    Show {
        /// Short name of the tenant
        slug: Slug,
    },
    /// Print a token that lets somebody make one tenant over HTTP, also where `auth.registration` is `invite`
    Invite {
        /// How long it is good
        #[arg(long, default_value_t = 168, value_parser = value_parser!(i64).range(1..=8_760))]
        hours: i64,
    },
    /// Change a tenant; what is not named stays. Servers notice within `auth.key_cache_life`
    Set(Set),
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Short name: 1 to 100 of a-z, 0-9 and '-'
    slug: Slug,
    /// Name for people; without it, the short name
    #[arg(long)]
    name: Option<String>,
    /// Adopt this key, of any format from 16 characters on, instead of making one; `-` reads it from standard
    /// input. Other users of this host can see the arguments of commands
    #[arg(long, value_name = "KEY|-")]
    api_key: Option<KeyArgument>,
    #[command(flatten)]
    rules: Rules,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Short name of the tenant
    slug: Slug,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    rules: Rules,
}

#[derive(Args, Debug)]
struct Rules {
    /// Newly stored events in any 60 seconds; a new tenant has 100
    #[arg(long, value_name = "EVENTS", value_parser = value_parser!(u32).range(1..))]
    rate_limit_per_minute: Option<u32>,
    /// Newly stored events in any second; a new tenant has as many as per minute
    #[arg(long, value_name = "EVENTS", value_parser = value_parser!(u32).range(1..))]
    rate_limit_burst: Option<u32>,
    /// What a resent event id is answered: strict, lenient or reject; a new tenant has strict
    #[arg(long, value_name = "POLICY")]
    duplicate_policy: Option<DuplicatePolicy>,
}

impl Rules {
    /// The limits asked for, over those there are. A burst that was as large as the minute grows with it.
    fn limits(&self, current: Limits) -> Limits {
        current.changed(self.rate_limit_per_minute, self.rate_limit_burst)
    }

    fn asks_for_limits(&self) -> bool {
        self.rate_limit_per_minute.is_some() || self.rate_limit_burst.is_some()
    }
}

/// A tenant as it is printed.
#[derive(Serialize)]
struct Shown {
    id: String,
    slug: String,
    name: String,
    rate_limit_per_minute: u32,
    rate_limit_burst: u32,
    duplicate_policy: &'static str,
    created_at: String,
    /// Only for a tenant just made with a new key.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

impl From<Tenant> for Shown {
    fn from(tenant: Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            slug: tenant.slug.to_string(),
            name: tenant.name,
            rate_limit_per_minute: tenant.limits.per_minute,
            rate_limit_burst: tenant.limits.burst,
            duplicate_policy: tenant.duplicate_policy.as_str(),
            created_at: tenant.created_at.to_string(),
            api_key: None,
        }
    }
}

impl Shown {
    fn print(&self, output: Output) -> Result<()> {
        let mut fields = vec![
            ("slug", self.slug.clone()),
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("rate limit per minute", self.rate_limit_per_minute.to_string()),
            ("rate limit burst", self.rate_limit_burst.to_string()),
            ("duplicate policy", self.duplicate_policy.to_owned()),
            ("created at", self.created_at.clone()),
        ];
        if let Some(key) = &self.api_key {
            fields.push(("API key, shown only now", key.clone()));
        }
        output.fields(self, &fields).context("printing")
    }
}

/// Runs the command on the store that the settings name.
pub(crate) async fn run(command: Command, settings: &Settings, output: Output) -> Result<()> {
    let store = compose::store(settings).await?;
    match command {
        Command::Create(arguments) => create(arguments, &store, output).await?,
        Command::List => list(&store, output).await?,
        Command::Show { slug } => Shown::from(find_tenant(&store, &slug).await?).print(output)?,
        Command::Invite { hours } => invite(hours, settings, output)?,
        Command::Set(arguments) => set(arguments, &store, output).await?,
    }
    store.close().await;
    Ok(())
}

async fn create(arguments: Create, store: &Store, output: Output) -> Result<()> {
    let Create { slug, name, api_key, rules } = arguments;
    let name = name.unwrap_or_else(|| slug.to_string());
    check_name(&name)?;
    let is_adopted = api_key.is_some();
    let key: ApiKey = match api_key {
        Some(argument) => argument.read()?,
        None => new_key().context("making an API key")?,
    };
    let limits = rules.limits(Limits::default());
    let duplicate_policy = rules.duplicate_policy.unwrap_or_default();
    let draft = Draft { slug, name, limits, duplicate_policy };
    let tenant = draft.into_tenant(&*compose::clock(), &*compose::ids());
    let stored = stored_key(&key, tenant.id, "first key", &FIRST_KEY_SCOPES, tenant.created_at, None);
    store.create_tenant(&tenant, Some(&stored), &compose::operator()).await.map_err(|error| match error {
        CreateError::SlugTaken => anyhow::anyhow!("there is a tenant `{}` already", tenant.slug),
        CreateError::KeyTaken => anyhow::anyhow!("this API key is in use already"),
        other => anyhow::Error::new(other).context("making the tenant"),
    })?;
    let mut shown = Shown::from(tenant);
    // Whoever brought a key has it.
    shown.api_key = (!is_adopted).then(|| key.reveal().to_owned());
    shown.print(output)
}

fn invite(hours: i64, settings: &Settings, output: Output) -> Result<()> {
    let invitations = Invitations::new(&secret_key(settings)?);
    let now = compose::clock().now();
    let (id, expires_at) = (TenantId(compose::ids().uuid_v7(now)), now.plus_secs(hours * 3_600));
    let invitation = invitations.issue(id, now, expires_at);
    let data = serde_json::json!({ "invitation": invitation, "tenant_id": id, "expires_at": expires_at });
    output.done(&format!("{invitation}\n\nGood once, until {expires_at}."), &data).context("printing")
}

async fn list(store: &Store, output: Output) -> Result<()> {
    let tenants = store.tenants().await.context("reading the tenants")?;
    let shown: Vec<Shown> = tenants.into_iter().map(Shown::from).collect();
    let head = ["SLUG", "NAME", "PER MINUTE", "BURST", "DUPLICATES", "CREATED"];
    let cells = |tenant: &Shown| {
        [
            tenant.slug.clone(),
            tenant.name.clone(),
            tenant.rate_limit_per_minute.to_string(),
            tenant.rate_limit_burst.to_string(),
            tenant.duplicate_policy.to_owned(),
            tenant.created_at.clone(),
        ]
    };
    output.table(head, &shown, cells).context("printing")
}

async fn set(arguments: Set, store: &Store, output: Output) -> Result<()> {
    let Set { slug, name, rules } = arguments;
    name.as_deref().map_or(Ok(()), check_name)?;
    let tenant = find_tenant(store, &slug).await?;
    let limits = rules.asks_for_limits().then(|| rules.limits(tenant.limits));
    let change =
        TenantChange { name, limits, duplicate_policy: rules.duplicate_policy, ..TenantChange::default() };
    let changed =
        store.update_tenant(tenant.id, &change, &compose::operator()).await.context("changing the tenant")?;
    Shown::from(changed.with_context(|| format!("the tenant `{slug}` is gone"))?).print(output)
}

fn check_name(name: &str) -> Result<()> {
    ensure!((1..=255).contains(&name.chars().count()), "a name has 1 to 255 characters");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_follows_the_minute_until_somebody_sets_it() {
        let asked = |per_minute, burst| Rules {
            rate_limit_per_minute: per_minute,
            rate_limit_burst: burst,
            duplicate_policy: None,
        };
        let (following, own) = (Limits::per_minute(100), Limits { per_minute: 100, burst: 10 });
        assert_eq!(asked(Some(60), None).limits(following), Limits::per_minute(60));
        assert_eq!(asked(Some(60), None).limits(own), Limits { per_minute: 60, burst: 10 });
        assert_eq!(asked(None, Some(5)).limits(following), Limits { per_minute: 100, burst: 5 });
    }
}
