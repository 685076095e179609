//! Where a command goes: to the store itself, or to a server.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use pulsestream_domain::tenant::{Slug, Tenant};
use pulsestream_storage::Store;
use url::Url;

use super::secret::KeyArgument;
use crate::{client::Client, compose, first_start, settings::Settings};

/// Longer than the longest a server may take for a request.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The options that say where.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// Whose events, in the store that the settings name
    #[arg(long, value_name = "SLUG", default_value = first_start::DEFAULT_TENANT)]
    tenant: Slug,
    /// Go to this server instead of the store
    #[arg(long, requires = "key", conflicts_with = "tenant")]
    url: Option<Url>,
    /// API key for that server, or `-` to read it from standard input. Other users of this host can see the
    /// arguments of commands
    #[arg(long, requires = "url")]
    key: Option<KeyArgument>,
}

/// What the options came to.
pub(crate) enum Reached {
    Store { store: Box<Store>, tenant: Tenant },
    Server(Client),
}

impl Target {
    /// Whether standard input is where the key comes from.
    pub(crate) fn reads_standard_input(&self) -> bool {
        self.key.as_ref().is_some_and(KeyArgument::is_on_standard_input)
    }

    /// Opens the store and finds the tenant, or prepares a client.
    ///
    /// A store without any tenant gets its first one, exactly as when a server starts; its key is printed to
    /// standard error, which leaves standard output to the data.
    ///
    /// # Errors
    /// When the store can't be opened or has no such tenant.
    pub(crate) async fn reach(self, settings: &Settings) -> Result<Reached> {
        if let (Some(url), Some(key)) = (self.url, self.key) {
            return Ok(Reached::Server(Client::new(&url, Some(key.read()?), TIMEOUT)?));
        }
        let store = compose::store(settings).await?;
        if self.tenant.as_str() == first_start::DEFAULT_TENANT {
            let (clock, ids) = (compose::clock(), compose::ids());
            if let Some((_, key)) = first_start::ensure_default_tenant(&store, &*clock, &*ids).await? {
                let base_url = first_start::base_url(settings.tls.scheme(), settings.server.bind);
                eprintln!("{}", first_start::welcome(&base_url, &key));
            }
        }
        let tenant = find_tenant(&store, &self.tenant).await?;
        Ok(Reached::Store { store: Box::new(store), tenant })
    }
}

/// The tenant with this slug.
///
/// # Errors
/// When there is none, or the store fails.
pub(crate) async fn find_tenant(store: &Store, slug: &Slug) -> Result<Tenant> {
    let found = store.tenant_by_slug(slug).await.context("looking up the tenant")?;
    found.with_context(|| format!("there is no tenant `{slug}`"))
}
