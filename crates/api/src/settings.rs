//! How much the HTTP surface takes on.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Networks;

/// Limits of the HTTP surface. The defaults suit one instance with 1 GiB of memory.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many bytes a body may have, compressed and decompressed.
    pub max_body_bytes: usize,
    /// How long a whole body may take to arrive.
    pub body_timeout: Duration,
    /// How many bytes the bodies of all requests may have together. Beyond it: 503, at once.
    pub max_body_bytes_in_flight: usize,
    /// How many requests may be worked on at the same time. Beyond it: 503, at once. Probes always get in.
    pub max_requests_in_flight: usize,
    /// How long a worker's thread may be busy with what has arrived. The rest of it is refused: 503. Probes always get in.
    pub max_lag: Duration,
    /// How many exports may run at the same time.
    pub max_exports: usize,
    /// How long what was found out about an API key is used: a revoked one is taken no longer than this.
    pub key_cache_life: Duration,
    /// How many requests may wait to be stored before `GET /readyz` sends traffic elsewhere.
    pub ready_queue_depth: usize,
    /// Whether `GET /metrics` answers on the [app](crate::app()) for everybody.
    pub public_metrics: bool,
    /// Whether `GET /readyz` tells everybody the reasons and the queue, and not only how it stands.
    pub public_readiness_details: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
    /// How many connections an address may have. Beyond it: 503, and beyond twice of it none at all.
    pub max_connections_per_address: usize,
    /// Addresses that may have any number of connections, besides those of trusted proxies.
    pub uncapped_networks: Networks,
    /// The origins whose pages may use the API from a browser, such as `https://console.example.com`.
    pub allowed_origins: Vec<String>,
    /// Who may make a tenant over HTTP.
    pub registration: Registration,
    /// The highest limit per minute that a tenant may give itself.
    pub max_rate_limit_per_minute: u32,
    /// Where people reach the service, without a slash at the end: links in mails begin with it.
    pub public_url: String,
}

/// Who may make a tenant over HTTP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registration {
    /// Anybody, as often as the throttle lets them.
    Open,
    /// Who has an invitation.
    Invite,
    /// Nobody.
    Closed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body_bytes: 11 * 1024 * 1024,
            body_timeout: Duration::from_secs(15),
            max_body_bytes_in_flight: 256 * 1024 * 1024,
            max_requests_in_flight: 4_096,
            max_lag: Duration::from_millis(200),
            max_exports: 8,
            key_cache_life: Duration::from_secs(5),
            ready_queue_depth: 3_500,
            public_metrics: true,
            public_readiness_details: true,
            trusted_proxies: Networks::default(),
            max_connections_per_address: 64,
            uncapped_networks: loopback(),
            allowed_origins: Vec::new(),
            registration: Registration::Open,
            max_rate_limit_per_minute: 1_000_000,
            public_url: String::new(),
        }
    }
}

fn loopback() -> Networks {
    let networks: [IpNet; 2] = [
        Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
        Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
    ];
    networks.into_iter().collect()
}
