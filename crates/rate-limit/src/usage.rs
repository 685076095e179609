//! How a tenant stands against its limits; everything that answers and headers say about it.

use pulsestream_domain::Timestamp;

/// A tenant's standing at one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The limit per minute.
    pub limit: u32,
    /// How many more events would be admitted right now, under both policies.
    pub remaining: u32,
    /// When the tenant has all its room again if it sends nothing more; the time of the answer if it has now.
    pub reset_at: Timestamp,
    /// Whole seconds until one more event fits: at least 1 when nothing remains, 0 otherwise.
    pub retry_after_seconds: u32,
    /// The policy that admits nothing more; the one with the longer wait if it is both.
    pub exhausted: Option<Policy>,
    /// The minute on its own.
    pub minute: Quota,
    /// The second on its own; `None` when the minute's limit is not above the burst limit, which then never bites.
    pub burst: Option<Quota>,
}

/// One of the two limits a tenant has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Policy {
    /// At most so many in any 60 seconds.
    PerMinute,
    /// At most so many in any second.
    Burst,
}

impl Policy {
    /// The name in headers and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PerMinute => "minute",
            Self::Burst => "burst",
        }
    }

    /// The length of the window, in seconds.
    pub const fn window_seconds(self) -> u32 {
        match self {
            Self::PerMinute => 60,
            Self::Burst => 1,
        }
    }
}

/// The standing against one policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    /// At most this many per window.
    pub limit: u32,
    /// How many more this policy alone would admit right now.
    pub remaining: u32,
    /// Whole seconds, rounded up, until this window is empty if nothing more is sent; 0 when it is.
    pub reset_after_seconds: u32,
}
