//! Sends one notice through one channel, safely.
//!
//! A [`Notice`] is what one evaluation of one alert rule has to say; a [`Channel`] is a webhook, Slack, a
//! mailbox, PagerDuty or the log. [`Notifier::attempt`] tries once, within a fixed time, and reports an
//! [`Attempt`]: delivered, try again, refused, gone, or blocked. When to try again is arithmetic
//! ([`schedule`]); keeping count is the caller's.
//!
//! ```
//! use std::sync::Arc;
//!
//! use pulsestream_notification::{
//!     Channel, Destination, ExtraHeaders, Notifier, NotifierSettings, OutboundPolicy, SigningSecret,
//!     SystemResolver, WebhookFormat,
//! };
//!
//! let settings = NotifierSettings { policy: OutboundPolicy::default(), ..NotifierSettings::default() };
//! let channel = Channel::Webhook {
//!     destination: Destination::parse("https://hooks.example.com/pulse", &settings.policy)?,
//!     format: WebhookFormat::PulseStream,
//!     secrets: SigningSecret::from_entropy([7; 32]).into(),
//!     headers: ExtraHeaders::default(),
//! };
//! let notifier = Notifier::new(settings, Arc::new(SystemResolver), None)?;
//! // notifier.attempt(&channel, &notice, now).await
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is promised
//!
//! - **Nothing private is reached.** A tenant chooses URLs, so [`OutboundPolicy`] is asked twice: when a
//!   [`Destination`] is made, and at each connection for the addresses that the name has then. Only addresses
//!   that passed are connected to; redirects, proxies of the environment and kept connections play no part.
//! - **One identity over all attempts.** `webhook-id`, `Message-ID` and PagerDuty's key stay; the timestamp
//!   and the signature of a webhook are those of the attempt ([Standard Webhooks] 1.0.0).
//! - **Bounded.** A body is shorter than 20 kB, whatever the notice holds; of an answer at most 64 KiB are
//!   read and 1 KiB is kept; an attempt ends with its time; a host has at most four requests under way.
//! - **Text stays text.** What comes from events is never markup, a mention, a header or a template.
//! - **Secrets are not shown.** `Debug` redacts them; [`Keyring`] seals them for the store, bound to their
//!   owner.
//!
//! # What is not
//!
//! - *Exactly once.* A receiver that answered too late, or whose answer was lost, gets the notice again. It
//!   can tell by the id.
//! - *Order.* Attempts are independent of each other.
//! - *Rates.* Slack allows about one message a second per channel; its 429 is reported, not foreseen. Shares
//!   and daily caps of tenants are the caller's, too.
//! - *Counting by address.* Four requests per host means per name. Many names of one receiver are many hosts.
//! - *Slow look-ups.* [`SystemResolver`] asks the operating system, on a thread that a time-out does not end.
//! - *The mail server is trusted.* It is the operator's, so its address is not guarded. Mail is not signed
//!   (DKIM) here.
//! - *NAT64.* Addresses in `64:ff9b::/96` are blocked, like every IPv4 address in disguise. On a network with
//!   IPv6 only the operator exempts the prefix, and lets the translator refuse private ones.
//! - *The network itself.* A guard in the process protects as long as the process does; workers in a network
//!   of their own protect better.
//!
//! # Adding a channel
//!
//! Its variant in [`Channel`], its body in `body`, and its arm in [`Notifier::attempt`].
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

mod attempt;
mod body;
mod causes;
mod channel;
mod keyring;
mod mail;
mod notice;
mod notifier;
mod outbound;
pub mod schedule;
mod secret;
mod signature;
mod text;

pub use attempt::{Attempt, Outcome, Reason};
pub use channel::{BadHeader, BadRoutingKey, Channel, ExtraHeaders, RoutingKey, WebhookFormat};
pub use keyring::{BadKeyId, Keyring, OpenError, ParseSealedError, Sealed, SealingKey, SecretOwner};
pub use mail::{
    BadRecipient, Letter, MailError, Mailer, MailerSettings, Recipient, SmtpAnswer, SmtpEncryption,
};
pub use notice::{Alert, Notice, NoticeKind, Rule, Severity, Status};
pub use notifier::{BuildError, Notifier, NotifierSettings, PAGERDUTY_URL};
pub use outbound::{
    Destination, DestinationError, OutboundPolicy, PrivateDestinations, Resolver, SystemResolver, Timeouts,
};
pub use secret::Secret;
pub use signature::{ParseSecretError, SigningSecret, SigningSecrets};
