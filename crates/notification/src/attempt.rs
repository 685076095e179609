//! What became of one attempt.

use std::time::Duration;

/// One attempt to send one notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// What to do next.
    pub outcome: Outcome,
    /// The status of the answer, when one came: of HTTP, or of SMTP.
    pub status: Option<u16>,
    /// How long the attempt took.
    pub duration: Duration,
    /// The beginning of the answer: at most 1 KiB, without control characters. May be empty.
    pub excerpt: String,
}

/// What an attempt means for its delivery. The variants are what a caller does differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The receiver has it. Do not send it again.
    Delivered,
    /// It is not known to have arrived; later may work. It *may* have arrived: that is why a notice keeps
    /// its id over all attempts.
    Retry {
        /// What went wrong.
        reason: Reason,
        /// The pause that the receiver asked for; at most
        /// [`MAX_RETRY_AFTER`](crate::schedule::MAX_RETRY_AFTER).
        retry_after: Option<Duration>,
    },
    /// It was refused, and the same notice would be refused again.
    Failed {
        /// What went wrong.
        reason: Reason,
    },
    /// The receiver says that it does not exist any more (410): disable the channel.
    Gone,
    /// The destination is, or resolves to, an address that must not be reached. Nothing was sent.
    Blocked,
}

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// The name of the receiver has no address, or could not be looked up.
    NameNotResolved,
    /// No connection came about.
    Unreachable,
    /// The connection could not be encrypted, or the certificate is not one for this name.
    TlsFailed,
    /// No answer came in time.
    TimedOut,
    /// The connection ended, or what came was no answer.
    ConnectionLost,
    /// Too many requests to this host are under way. Nothing was sent, so it need not count as an attempt.
    HostBusy,
    /// The answer says no, but a later one may say yes.
    BadStatus,
    /// The answer refuses this very request.
    Refused,
    /// The answer points elsewhere. Redirects are not followed.
    Redirected,
    /// The mail server does not accept our credentials.
    NotAuthenticated,
    /// This kind of channel is not set up here: no mail server.
    NotConfigured,
}

impl Reason {
    /// A stable code, for columns and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NameNotResolved => "name_not_resolved",
            Self::Unreachable => "unreachable",
            Self::TlsFailed => "tls_failed",
            Self::TimedOut => "timed_out",
            Self::ConnectionLost => "connection_lost",
            Self::HostBusy => "host_busy",
            Self::BadStatus => "bad_status",
            Self::Refused => "refused",
            Self::Redirected => "redirected",
            Self::NotAuthenticated => "not_authenticated",
            Self::NotConfigured => "not_configured",
        }
    }
}

impl Outcome {
    /// A stable code, for columns and logs: `delivered`, `retry`, `failed`, `gone` or `blocked_address`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retry { .. } => "retry",
            Self::Failed { .. } => "failed",
            Self::Gone => "gone",
            Self::Blocked => "blocked_address",
        }
    }

    /// An outcome that asks for another attempt, without a pause.
    pub(crate) const fn retry(reason: Reason) -> Self {
        Self::Retry { reason, retry_after: None }
    }
}
