//! Where a notice goes.

use std::fmt;

use url::{ParseError, Url};

use super::OutboundPolicy;

const MAX_URL_CHARS: usize = 2_048;

/// The URL of a receiver that the policy allows.
///
/// It is checked when it is made, and again by every attempt: the policy may have changed since it was
/// stored, and only then is it known what a name resolves to. The value that was checked is the value that is
/// connected to.
///
/// URLs of receivers often hold a token in their path, so `Debug` shows the origin only.
///
/// ```
/// use pulsestream_notification::{Destination, OutboundPolicy};
///
/// let policy = OutboundPolicy::default();
/// assert!(Destination::parse("https://hooks.example.com/T0/B0", &policy).is_ok());
///
/// let error = Destination::parse("https://0x7f.1/", &policy).unwrap_err();
/// assert_eq!(error.code(), "blocked_address");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Destination {
    url: Url,
}

/// Why a URL can't be a destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DestinationError {
    /// It is no absolute URL with a host, or it is written in a way that programs read differently.
    #[error("not an absolute URL with a host")]
    Malformed,
    /// It has more than 2,048 characters.
    #[error("the URL is longer than 2048 characters")]
    TooLong,
    /// It is not https, nor http where that is allowed.
    #[error("the URL must be https")]
    Scheme,
    /// It has a user name or password, which would be stored and shown with it.
    #[error("the URL must not hold credentials")]
    Credentials,
    /// Its host is not on the public internet, or is this very service.
    #[error("the address is not allowed")]
    BlockedAddress,
    /// Its port is not one that webhooks use.
    #[error("the port is not allowed")]
    BlockedPort,
}

impl DestinationError {
    /// A stable code, for answers.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed | Self::Scheme | Self::Credentials => "bad_webhook_url",
            Self::TooLong => "webhook_url_too_long",
            Self::BlockedAddress => "blocked_address",
            Self::BlockedPort => "blocked_port",
        }
    }
}

impl Destination {
    /// Reads a URL and checks it.
    ///
    /// # Errors
    /// See [`DestinationError`]. A name passes whatever it resolves to: that is checked at each connection.
    pub fn parse(text: &str, policy: &OutboundPolicy) -> Result<Self, DestinationError> {
        if text.chars().nth(MAX_URL_CHARS).is_some() {
            return Err(DestinationError::TooLong);
        }
        // The URL standard drops some of these and reads `\` as `/`; others do not. That disagreement is an
        // attack.
        if text
            .chars()
            .any(|character| character.is_control() || character.is_whitespace() || character == '\\')
        {
            return Err(DestinationError::Malformed);
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => DestinationError::BlockedPort,
            _ => DestinationError::Malformed,
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(DestinationError::Credentials);
        }
        policy.check(&url)?;
        Ok(Self { url })
    }

    /// Checks it again.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn check(&self, policy: &OutboundPolicy) -> Result<(), DestinationError> {
        policy.check(&self.url)
    }

    /// The URL in full, for the store. It may hold a token: seal it like a secret, or do not show it.
    pub fn reveal(&self) -> &str {
        self.url.as_str()
    }

    /// Scheme, host and port, which can be shown.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The host alone. Requests are counted by it.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().expect("a URL without a host does not pass the check")
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Destination({}/[redacted])", self.origin())
    }
}
