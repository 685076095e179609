//! A cluster of an experiment's own: one store, servers on it, and a proxy on every link.

use std::{fs, path::PathBuf, time::Duration};

use pulsestream_testing::{postgres::PostgresServer, redis::RedisServer};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    disk::Disk,
    proxy::{Mode, Proxy, Upstream},
};
use crate::{App, Client, Combination, Database, Limiter, StoredRow, Tenant, TenantOptions};

/// How long a store may take to come back after a crash.
const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// Everything of one experiment. Dropping it ends it, servers first.
pub struct Cluster {
    /// The servers.
    pub nodes: Vec<Node>,
    /// The database, unless it is SQLite.
    pub postgres: Option<PostgresServer>,
    /// Where limits are counted, unless that is in the servers.
    pub redis: Option<RedisServer>,
    /// What SQLite's file lies on, if that is a disk of its own.
    pub disk: Option<Disk>,
}

/// One server with its links.
pub struct Node {
    /// The server; another process after it was killed.
    pub app: App,
    /// From clients to it.
    pub front: Proxy,
    /// From it to PostgreSQL.
    pub database: Option<Proxy>,
    /// From it to Redis.
    pub limiter: Option<Proxy>,
}

/// What a cluster is made of.
pub struct Plan<'a> {
    /// The backends.
    pub combination: Combination,
    /// How many servers; SQLite has one.
    pub nodes: usize,
    /// Settings of all of them.
    pub settings: &'a [(&'a str, &'a str)],
    /// What the last of them does wrong, in the words of the sabotage crate.
    pub sabotage: Option<&'a str>,
}

impl Plan<'_> {
    /// As many servers as the backends are made for, with nothing special about them.
    pub fn usual(combination: Combination) -> Self {
        let nodes = if combination.database == Database::Postgres { 2 } else { 1 };
        Self { combination, nodes, settings: &[], sabotage: None }
    }
}

impl Cluster {
    /// Starts everything.
    ///
    /// # Panics
    /// When something of it is not installed or does not start.
    pub async fn start(plan: Plan<'_>) -> Self {
        Self::start_on(plan, None).await
    }

    /// Starts everything, with SQLite's file on this disk.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn start_on(plan: Plan<'_>, disk: Option<Disk>) -> Self {
        let Combination { database, limiter } = plan.combination;
        let postgres = (database == Database::Postgres)
            .then(|| PostgresServer::start().unwrap_or_else(|missing| panic!("{missing:#}")));
        let redis = (limiter == Limiter::Redis)
            .then(|| RedisServer::start().unwrap_or_else(|missing| panic!("{missing:#}")));
        let mut cluster = Self { nodes: Vec::new(), postgres, redis, disk };
        for number in 0..plan.nodes {
            let sabotage = plan.sabotage.filter(|_| number + 1 == plan.nodes);
            let node = cluster.node(&plan, sabotage).await;
            cluster.nodes.push(node);
        }
        cluster
    }

    async fn node(&self, plan: &Plan<'_>, sabotage: Option<&str>) -> Node {
        let mut settings: Vec<(&str, String)> =
            plan.settings.iter().map(|(path, value)| (*path, (*value).to_owned())).collect();
        let (mut database, mut limiter) = (None, None);
        if let Some(postgres) = &self.postgres {
            let directory = postgres.data_directory();
            let socket = directory.parent().expect("it is in one").join(".s.PGSQL.5432");
            let proxy = Proxy::start(Upstream::Unix(socket)).await;
            // Without TLS the proxy understands what it passes.
            let url = format!("postgres://postgres@{}/events?sslmode=disable", proxy.address());
            settings.push(("database.url", url));
            database = Some(proxy);
        }
        if let Some(redis) = &self.redis {
            let socket = PathBuf::from(redis.url().trim_start_matches("redis+unix://"));
            let proxy = Proxy::start(Upstream::Unix(socket)).await;
            settings.push(("redis.url", format!("redis://{}", proxy.address())));
            limiter = Some(proxy);
        }
        let app = match self.nodes.first() {
            Some(first) => {
                let settings: Vec<(&str, &str)> =
                    settings.iter().map(|(path, value)| (*path, value.as_str())).collect();
                first.app.another_with(&settings, sabotage).await
            }
            None => {
                let mut builder = App::builder(plan.combination);
                if let Some(postgres) = &self.postgres {
                    let url = postgres.create_database("events").unwrap_or_else(|error| panic!("{error:#}"));
                    builder = builder.postgres(url);
                }
                if let Some(disk) = &self.disk {
                    builder = builder.sqlite(&disk.directory.join("events.db"));
                }
                if let Some(redis) = &self.redis {
                    builder = builder.redis(redis.url());
                }
                for (path, value) in settings {
                    builder = builder.set(path, value);
                }
                if let Some(sabotage) = sabotage {
                    builder = builder.sabotage(sabotage);
                }
                builder.start().await
            }
        };
        let front = Proxy::start(Upstream::Tcp(app.address())).await;
        Node { app, front, database, limiter }
    }

    /// A new tenant.
    pub async fn tenant(&self, options: TenantOptions) -> Tenant {
        self.nodes[0].app.tenant_with(options).await
    }

    /// A new tenant that no experiment brings to its limit.
    pub async fn unlimited_tenant(&self) -> Tenant {
        self.nodes[0].app.unlimited_tenant().await
    }

    /// The tenant as a client of each server, through its front link.
    pub fn ways(&self, tenant: &Tenant) -> Vec<Client> {
        let way = |node: &Node| Client::new(format!("http://{}", node.front.address())).with_key(&tenant.key);
        self.nodes.iter().map(way).collect()
    }

    /// All events of a tenant, straight from the store.
    pub async fn rows(&self, tenant: &Tenant) -> Vec<StoredRow> {
        self.nodes[0].app.rows(tenant).await
    }

    /// Sends a signal to the database server and all its processes.
    pub fn signal_postgres(&self, signal: Signal) {
        let postmaster = self.postgres.as_ref().and_then(PostgresServer::pid).expect("it runs");
        for pid in children(postmaster).into_iter().chain([postmaster]) {
            // One that has just ended is as good as signalled.
            _ = send(pid, signal);
        }
    }

    /// Ends one of the processes that serve the servers, without warning. Answers whether there was one.
    pub fn kill_backend(&self, choice: usize) -> bool {
        let postmaster = self.postgres.as_ref().and_then(PostgresServer::pid).expect("it runs");
        let serves = |pid: &u32| {
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.contains(" events ")
        };
        let backends: Vec<u32> = children(postmaster).into_iter().filter(serves).collect();
        !backends.is_empty() && send(backends[choice % backends.len()], Signal::KILL)
    }

    /// Waits until the database answers.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait_for_store(&self) {
        let Some(postgres) = &self.postgres else { return };
        let deadline = tokio::time::Instant::now() + STORE_PATIENCE;
        while let Err(error) = postgres.databases().setting("data_directory") {
            assert!(tokio::time::Instant::now() < deadline, "PostgreSQL does not come back: {error:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes every link pass again.
    pub fn mend_links(&self) {
        for node in &self.nodes {
            node.front.set(Mode::Pass);
            node.database.iter().chain(&node.limiter).for_each(|link| link.set(Mode::Pass));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Servers say goodbye to a database that is there, over links that work.
        self.mend_links();
        if self.postgres.as_ref().is_some_and(|postgres| postgres.pid().is_some()) {
            self.signal_postgres(Signal::CONT);
        }
        self.nodes.clear();
    }
}

impl Node {
    /// Ends the server as a crash would.
    pub fn kill(&self) {
        self.app.process().kill();
    }

    /// Starts another process in its place; the front link leads there.
    pub async fn start_again(&mut self) {
        self.app = self.app.another().await;
        self.front.lead_to(Upstream::Tcp(self.app.address()));
    }
}

/// The children of a process of this test.
fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn send(pid: u32, signal: Signal) -> bool {
    i32::try_from(pid).ok().and_then(Pid::from_raw).is_some_and(|pid| kill_process(pid, signal).is_ok())
}
