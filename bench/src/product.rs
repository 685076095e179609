//! The product: its release binary, with everything on.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use pulsestream_domain::api_key::ApiKey;

use crate::process::Process;

/// Too many to be reached, so that the limiter does all its work and never refuses.
const LIMIT: &str = "1000000000";

/// The product on one store.
pub(crate) struct Product {
    binary: PathBuf,
    /// Takes its log and the address it listens at.
    directory: PathBuf,
    database_url: String,
    redis_url: Option<String>,
    key: ApiKey,
}

impl Product {
    /// Prepares a store: the schema, and one tenant with a key and a limit that never bites.
    ///
    /// # Errors
    /// When the binary does not run, or the store has this tenant.
    pub(crate) fn prepare(binary: &Path, directory: &Path, database_url: String) -> Result<Self> {
        // The same in all runs: it guards nothing.
        let key = ApiKey::from_entropy([42; 32]);
        let directory = directory.to_owned();
        let product = Self { binary: binary.to_owned(), directory, database_url, redis_url: None, key };
        crate::schema::migrate(&product.database_url)?;
        product.add_tenant("bench", &product.key)?;
        Ok(product)
    }

    /// Makes one more tenant, with this key and a limit that never bites.
    ///
    /// # Errors
    /// When the binary does not run, or the store has this tenant.
    pub(crate) fn add_tenant(&self, slug: &str, key: &ApiKey) -> Result<()> {
        let mut command = self.command();
        command.args(["tenant", "create", slug, "--rate-limit-per-minute", LIMIT]);
        command.args(["--api-key", key.reveal()]);
        let output = command.output().context("starting the product")?;
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "making a tenant ended with {}:\n{problems}", output.status);
        Ok(())
    }

    /// The same, sharing its limits over a Redis.
    pub(crate) fn with_redis(&self, url: String) -> Self {
        Self {
            binary: self.binary.clone(),
            directory: self.directory.clone(),
            database_url: self.database_url.clone(),
            redis_url: Some(url),
            key: ApiKey::from_entropy([42; 32]),
        }
    }

    /// The tenant's key.
    pub(crate) fn key(&self) -> &str {
        self.key.reveal()
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
        if let Some(url) = &self.redis_url {
            command.env("REDIS_URL", url);
        }
        command
    }
}
