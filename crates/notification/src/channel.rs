//! Where notices can go.

use std::{fmt, str::FromStr};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{Destination, Recipient, SigningSecrets};

/// A way to somebody, with its secrets in the clear.
#[derive(Clone, Debug)]
pub enum Channel {
    /// A receiver of signed webhooks.
    Webhook {
        /// Its URL.
        destination: Destination,
        /// What it understands.
        format: WebhookFormat,
        /// What it verifies signatures with.
        secrets: SigningSecrets,
        /// What it wants to be sent along.
        headers: ExtraHeaders,
    },
    /// An incoming webhook of Slack, or of what speaks its language.
    Slack {
        /// Its URL. It is the credential, too.
        destination: Destination,
    },
    /// A mailbox.
    Email {
        /// Whose.
        to: Recipient,
    },
    /// A service of PagerDuty.
    PagerDuty {
        /// The integration key of the service.
        routing_key: RoutingKey,
    },
    /// The log of this very service.
    Log,
}

/// What the body of a webhook looks like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum WebhookFormat {
    /// Type, timestamp and data; the data is Alertmanager's, and more.
    #[default]
    PulseStream,
    /// Exactly what Alertmanager sends, version 4 of it. Signed all the same.
    Alertmanager,
}

/// Headers that a receiver of webhooks asks for, such as a token. Those of the signature are never replaced.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ExtraHeaders(HeaderMap);

/// A name or a value is not one that a header can have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a header")]
pub struct BadHeader;

impl ExtraHeaders {
    /// Reads names and values.
    ///
    /// # Errors
    /// [`BadHeader`].
    pub fn new<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, BadHeader> {
        let header = |(name, value): (&str, &str)| {
            let name = HeaderName::from_str(name).map_err(|_| BadHeader)?;
            Ok((name, HeaderValue::from_str(value).map_err(|_| BadHeader)?))
        };
        headers.into_iter().map(header).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn to_map(&self) -> HeaderMap {
        self.0.clone()
    }
}

/// The values are secrets.
impl fmt::Debug for ExtraHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.keys().map(HeaderName::as_str).collect();
        write!(f, "ExtraHeaders({names:?}, [redacted])")
    }
}

/// The key that lets events into a service of PagerDuty: up to 64 letters and digits (32 today).
#[derive(Clone, PartialEq, Eq)]
pub struct RoutingKey(String);

/// The text is not a routing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a routing key")]
pub struct BadRoutingKey;

impl RoutingKey {
    /// The key in the clear.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoutingKey {
    type Err = BadRoutingKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(text.to_owned())) } else { Err(BadRoutingKey) }
    }
}

impl fmt::Debug for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoutingKey([redacted])")
    }
}

impl Channel {
    /// A stable code of the kind: `webhook`, `slack`, `email`, `pagerduty` or `log`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Slack { .. } => "slack",
            Self::Email { .. } => "email",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Log => "log",
        }
    }

    /// How many alerts a notice for this channel should hold; the caller makes several notices of more.
    ///
    /// PagerDuty takes one request per alert, and all requests of an attempt share its time. Elsewhere a
    /// notice is one request; what does not fit is counted in it.
    pub const fn alerts_per_notice(&self) -> usize {
        match self {
            Self::PagerDuty { .. } => 25,
            _ => usize::MAX,
        }
    }
}
