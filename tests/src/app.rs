//! A server under test.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    AppBuilder, Client, Combination, Overheard, StoredRow, Tenant, TenantOptions, command, ground::Ground,
    process::Process, shared,
};

/// Longer than any time limit of the server.
const EXCHANGE_PATIENCE: Duration = Duration::from_secs(20);
const LOG_PATIENCE: Duration = Duration::from_secs(10);
const LOG_POLL: Duration = Duration::from_millis(10);

/// A running server and what it stands on. Dropping it stops it and checks its log.
pub struct App {
    combination: Combination,
    settings: Vec<(String, String)>,
    process: Process,
    // After the process, which writes to it until its end.
    ground: Arc<Ground>,
}

impl App {
    pub(crate) fn new(
        combination: Combination,
        ground: Arc<Ground>,
        settings: Vec<(String, String)>,
        process: Process,
    ) -> Self {
        Self { combination, settings, process, ground }
    }

    /// The one server of this combination for all trials that don't break it.
    pub async fn shared(combination: Combination) -> Arc<Self> {
        shared::app(combination).await
    }

    /// A server of the trial's own, on an empty store.
    pub async fn start(combination: Combination) -> Self {
        Self::builder(combination).start().await
    }

    /// A server with settings of its own, to be started.
    pub fn builder(combination: Combination) -> AppBuilder {
        AppBuilder::new(combination)
    }

    /// Another process on the same store, with the same settings.
    pub async fn another(&self) -> Self {
        self.another_with(&[], None).await
    }

    /// Another process on the same store, with these settings over the same, doing this wrong.
    pub async fn another_with(&self, settings: &[(&str, &str)], sabotage: Option<&str>) -> Self {
        let own = settings.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = self.settings.iter().cloned().chain(own).collect();
        let command = command::serve(&self.ground, &settings, sabotage);
        let process = Process::start(command, self.ground.directory()).await;
        Self::new(self.combination, Arc::clone(&self.ground), settings, process)
    }

    /// The backends it runs on.
    pub fn combination(&self) -> Combination {
        self.combination
    }

    /// What it stands on.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The settings it was given.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A client without a credential.
    pub fn anonymous(&self) -> Client {
        Client::new(self.url(""))
    }

    /// A new tenant with the limits that tenants have by default.
    pub async fn tenant(&self) -> Tenant {
        self.tenant_with(TenantOptions::default()).await
    }

    /// A new tenant.
    pub async fn tenant_with(&self, options: TenantOptions) -> Tenant {
        Tenant::create(self, options).await
    }

    /// A new tenant that no trial brings to its limit.
    pub async fn unlimited_tenant(&self) -> Tenant {
        self.tenant_with(TenantOptions::default().per_minute(10_000_000)).await
    }

    /// A connection without a client.
    pub async fn connect(&self) -> Overheard<TcpStream> {
        Overheard::new(TcpStream::connect(self.address()).await.expect("the server listens"))
    }

    /// Sends bytes on a connection of their own, and answers with all that comes until it is closed, or
    /// for 20 s.
    pub async fn exchange(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.connect().await;
        // A server that has heard enough may close before all is written.
        _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut part = vec![0; 64 * 1024];
        _ = timeout(EXCHANGE_PATIENCE, async {
            while let Ok(length @ 1..) = stream.read(&mut part).await {
                answer.extend_from_slice(&part[..length]);
            }
        })
        .await;
        answer
    }

    /// All events of a tenant, straight from the database, oldest first, deleted ones included.
    pub async fn rows(&self, tenant: &Tenant) -> Vec<StoredRow> {
        self.ground.rows(tenant).await
    }

    /// What it has logged so far. Its lines come a moment after what they tell of: see [`logged`](Self::logged).
    pub fn log_lines(&self) -> Vec<Value> {
        self.process.log_lines()
    }

    /// Waits until so many lines of the log have this in their message, and returns the last of them.
    ///
    /// # Panics
    /// When it is not logged in time.
    pub async fn logged(&self, text: &str, times: usize) -> Value {
        let deadline = Instant::now() + LOG_PATIENCE;
        loop {
            let lines = self.log_lines();
            let mut found =
                lines.iter().filter(|line| line["message"].as_str().is_some_and(|m| m.contains(text)));
            if let Some(line) = found.nth(times - 1) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "{text} is not logged {times} times");
            sleep(LOG_POLL).await;
        }
    }

    /// The memory it has resident now, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        self.process.rss_bytes()
    }
}
