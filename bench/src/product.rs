//! The product: its release binary, with everything on.

use std::{
    fs::OpenOptions,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use pulsestream_domain::api_key::ApiKey;
use serde_json::Value;

use crate::{process::Process, setup::Setup};

/// Too many to be reached, so that the limiter does all its work and never refuses.
const LIMIT: &str = "1000000000";

/// The product on one store.
pub(crate) struct Product {
    binary: PathBuf,
    /// Takes its log and the address it listens at.
    directory: PathBuf,
    database_url: String,
    /// Environment variables beyond those that say where things are.
    settings: Vec<(&'static str, String)>,
    /// Of its tenants.
    keys: Vec<ApiKey>,
}

impl Product {
    /// Prepares a store: the schema, and tenants, each with a key and a limit that never bites.
    ///
    /// # Errors
    /// When the binary does not run, or the store has these tenants.
    pub(crate) fn prepare(
        binary: &Path,
        directory: &Path,
        database_url: String,
        tenants: u8,
    ) -> Result<Self> {
        // The same in all runs: they guard nothing.
        let keys = (1..=tenants).map(|tenant| ApiKey::from_entropy([tenant; 32])).collect();
        let (binary, directory) = (binary.to_owned(), directory.to_owned());
        let product = Self { binary, directory, database_url, settings: Vec::new(), keys };
        crate::schema::migrate(&product.database_url)?;
        for (number, key) in product.keys.iter().enumerate() {
            product.add_tenant(&format!("bench-{number:02}"), key, LIMIT)?;
        }
        Ok(product)
    }

    /// Makes one more tenant, which may store so many events a minute, and answers with its key.
    ///
    /// # Errors
    /// When the binary does not run, or the store has this tenant.
    pub(crate) fn add_limited_tenant(&self, slug: &str, limit: u32) -> Result<String> {
        let key = ApiKey::from_entropy([u8::MAX; 32]);
        self.add_tenant(slug, &key, &limit.to_string())?;
        Ok(key.reveal().to_owned())
    }

    /// Has the program send events to a server, and answers with what it says came of them.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn bench(&self, address: SocketAddr, key: &str, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command();
        command
            .args(["bench", "--json", "--url", &format!("http://{address}"), "--key", key])
            .args(arguments);
        let output = command.output().context("starting the product")?;
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sending events ended with {}:\n{problems}", output.status);
        serde_json::from_slice(&output.stdout).context("reading what came of the events")
    }

    /// Brings the schema to what the settings want.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn migrate(&self) -> Result<()> {
        let output = self.command().arg("migrate").output().context("starting the product")?;
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "migrating ended with {}:\n{problems}", output.status);
        Ok(())
    }

    fn add_tenant(&self, slug: &str, key: &ApiKey, limit: &str) -> Result<()> {
        let mut command = self.command();
        command.args(["tenant", "create", slug, "--rate-limit-per-minute", limit]);
        command.args(["--api-key", key.reveal()]);
        let output = command.output().context("starting the product")?;
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "making a tenant ended with {}:\n{problems}", output.status);
        Ok(())
    }

    /// The same store, to be served in this way. `redis` is the URL of a Redis.
    pub(crate) fn set_up(&self, setup: Setup, redis: &str) -> Self {
        let mut settings = setup.settings().to_vec();
        if setup.has_redis() {
            settings.push(("REDIS_URL", redis));
        }
        Self {
            binary: self.binary.clone(),
            directory: self.directory.clone(),
            database_url: self.database_url.clone(),
            settings: settings.into_iter().map(|(name, value)| (name, value.to_owned())).collect(),
            keys: self.keys.clone(),
        }
    }

    /// The keys of its tenants.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.keys.iter().map(ApiKey::reveal).collect()
    }

    /// Starts the server. Its settings are the defaults, apart from where things are.
    ///
    /// # Errors
    /// When it does not come to listen.
    pub(crate) fn serve(&self) -> Result<Process> {
        let log = self.directory.join("server.log");
        let log = OpenOptions::new().create(true).append(true).open(log).context("opening the log")?;
        let address_file = self.directory.join("address");
        let mut command = self.command();
        command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.env("PULSESTREAM_BIND", "127.0.0.1:0").env("PULSESTREAM_SERVER__ADDRESS_FILE", &address_file);
        Process::start(&mut command, &address_file).context("starting the product")
    }

    /// The program, seeing nothing of the environment but its store.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().current_dir(&self.directory).env("DATABASE_URL", &self.database_url);
        // The same in all runs: it guards nothing.
        command.env("PULSESTREAM_AUTH__SECRET_KEY", "the secret of benchmarks, which guards nothing");
        command.env("PULSESTREAM_ALERTING__SECRET_KEY", "the secret of benchmarks, which guards nothing");
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }
}
