//! Settings: one typed value out of defaults, a file and the environment.
//!
//! `config.default.toml` says what each key means and may be; the structs here have the same names.

mod alerting;
mod check;
mod load;
mod parts;
mod print;
mod secret;
mod units;

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use ipnet::IpNet;
use pulsestream_domain::search::TextIndex;
use serde::{Deserialize, Serialize};

pub(crate) use load::load;
pub(crate) use print::to_toml;
pub(crate) use secret::Secret;

/// All of them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: Server,
    pub(crate) tls: Tls,
    pub(crate) cors: Cors,
    pub(crate) database: Database,
    pub(crate) search: Search,
    pub(crate) redis: Redis,
    pub(crate) ingestion: Ingestion,
    pub(crate) auth: Auth,
    pub(crate) alerting: Alerting,
    pub(crate) smtp: Smtp,
    pub(crate) jobs: Jobs,
    pub(crate) log: Log,
}

/// The listener, what it takes on, and how it ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    #[serde(with = "units::address")]
    pub(crate) bind: SocketAddr,
    #[serde(with = "units::optional_path")]
    pub(crate) address_file: Option<PathBuf>,
    pub(crate) public_url: String,
    #[serde(with = "units::optional_address")]
    pub(crate) operations_bind: Option<SocketAddr>,
    #[serde(with = "units::networks")]
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) workers: usize,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    #[serde(with = "units::networks")]
    pub(crate) uncapped_networks: Vec<IpNet>,
    #[serde(with = "units::duration")]
    pub(crate) keep_alive: Duration,
    #[serde(with = "units::duration")]
    pub(crate) header_timeout: Duration,
    #[serde(with = "units::duration")]
    pub(crate) body_timeout: Duration,
    #[serde(with = "units::duration")]
    pub(crate) disconnect_timeout: Duration,
    #[serde(with = "units::size")]
    pub(crate) max_body: usize,
    #[serde(with = "units::size")]
    pub(crate) max_body_in_flight: usize,
    pub(crate) max_requests_in_flight: usize,
    #[serde(with = "units::duration")]
    pub(crate) max_lag: Duration,
    pub(crate) max_exports: usize,
    pub(crate) public_metrics: bool,
    #[serde(with = "units::duration")]
    pub(crate) drain_delay: Duration,
    #[serde(with = "units::duration")]
    pub(crate) finish_timeout: Duration,
}

/// Encryption of connections. With neither of the two there is none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    #[serde(with = "units::optional_path")]
    pub(crate) certificate: Option<PathBuf>,
    #[serde(with = "units::optional_path")]
    pub(crate) key: Option<PathBuf>,
}

/// Which pages may use the API from a browser.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cors {
    #[serde(with = "units::origins")]
    pub(crate) allowed_origins: Vec<String>,
}

/// Where events are kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) url: Secret,
    pub(crate) data_dir: PathBuf,
    pub(crate) migrate_on_start: bool,
    pub(crate) ingest_connections: u32,
    pub(crate) query_connections: u32,
    pub(crate) bookkeeping_connections: u32,
    #[serde(with = "units::duration")]
    pub(crate) acquire_timeout: Duration,
    #[serde(with = "units::duration")]
    pub(crate) ingest_timeout: Duration,
    #[serde(with = "units::duration")]
    pub(crate) query_timeout: Duration,
    #[serde(with = "units::optional_path")]
    pub(crate) programs: Option<PathBuf>,
}

/// How events are found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    pub(crate) text_index: TextIndex,
}

/// What instances share to limit tenants together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    pub(crate) url: Secret,
}

/// How events are committed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ingestion {
    pub(crate) lanes: usize,
    pub(crate) group_events: usize,
    #[serde(with = "units::size")]
    pub(crate) group_bytes: usize,
    pub(crate) queue_requests: usize,
    #[serde(with = "units::duration")]
    pub(crate) max_wait: Duration,
    pub(crate) direct_events: usize,
    pub(crate) direct_requests: usize,
    pub(crate) max_batch_events: usize,
    pub(crate) ready_queue_depth: usize,
}

/// Who may do what.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) secret_key: Secret,
    pub(crate) registration: Registration,
    pub(crate) max_rate_limit_per_minute: usize,
    #[serde(with = "units::duration")]
    pub(crate) key_cache_life: Duration,
}

/// Who may make a tenant over HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registration {
    /// One of the others: see [`Settings::registration`]. None is left once settings are loaded.
    Auto,
    Open,
    Invite,
    Closed,
}

/// When rules are evaluated, and where notices may go.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alerting {
    #[serde(with = "units::duration")]
    pub(crate) ingest_delay: Duration,
    pub(crate) secret_key: Secret,
    pub(crate) allow_http: bool,
    pub(crate) allow_private_destinations: bool,
    #[serde(with = "units::networks")]
    pub(crate) private_networks: Vec<IpNet>,
    #[serde(with = "units::ports")]
    pub(crate) private_ports: Vec<RangeInclusive<u16>>,
    pub(crate) letters_per_day: u32,
    pub(crate) max_rules: u32,
}

/// The server that takes mail. Without a host there is none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smtp {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: SmtpTls,
    #[serde(with = "units::optional_path")]
    pub(crate) certificate_authorities: Option<PathBuf>,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) from: String,
}

/// How connections to the server that takes mail are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SmtpTls {
    Implicit,
    Starttls,
}

/// Work in the background.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Jobs {
    pub(crate) workers: u32,
    #[serde(with = "units::duration")]
    pub(crate) lease: Duration,
    #[serde(with = "units::duration")]
    pub(crate) poll_interval: Duration,
}

/// What the process says about itself.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Json,
    Pretty,
}
