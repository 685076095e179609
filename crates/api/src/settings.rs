//! How much the HTTP surface takes on.

use std::time::Duration;

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
    /// How many exports may run at the same time.
    pub max_exports: usize,
    /// How long what was found out about an API key is used: a revoked one is taken no longer than this.
    pub key_cache_life: Duration,
    /// How many requests may wait to be stored before `GET /readyz` sends traffic elsewhere.
    pub ready_queue_depth: usize,
    /// Whether `GET /metrics` answers.
    pub public_metrics: bool,
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
            max_exports: 8,
            key_cache_life: Duration::from_secs(5),
            ready_queue_depth: 3_500,
            public_metrics: true,
            registration: Registration::Open,
            max_rate_limit_per_minute: 1_000_000,
            public_url: String::new(),
        }
    }
}
