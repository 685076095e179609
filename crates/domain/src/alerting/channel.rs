//! Who is told, and how.

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};
use url::Url;

use super::{ChannelId, object::Object};
use crate::{
    Timestamp,
    event::{FieldError, Reason, names::names},
    tenant::TenantId,
};

names! {
    /// The ways a notice can go.
    ChannelKind {
        /// A POST to an address, signed.
        Webhook = "webhook",
        /// A Slack incoming webhook, or anything that takes the same.
        Slack = "slack",
        /// E-mail.
        Email = "email",
        /// PagerDuty's events API.
        PagerDuty = "pagerduty",
        /// A line in the log of the service.
        Log = "log",
    }
}

names! {
    /// What the body of a webhook looks like.
    WebhookFormat {
        /// Standard Webhooks 1.0.0: `type`, `timestamp`, `data`. The default.
        Standard = "standard",
        /// Alertmanager's webhook, version 4.
        Alertmanager = "alertmanager",
    }
}

/// Where notices go, as it is kept: without what must not be read.
#[derive(Clone, PartialEq, Debug)]
pub struct Channel {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: ChannelId,
    /// Unique per tenant; 1–100 characters in one line.
    pub name: String,
    /// Whether notices are sent to it.
    pub enabled: bool,
    /// Whether it is told when an alert is over.
    pub send_resolved: bool,
    /// Where it goes.
    pub destination: Destination,
    /// Why it was disabled, when the service did that.
    pub disabled_reason: Option<String>,
    /// When the service disabled it.
    pub disabled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The part of a channel's address that may be read by everybody who may read the channel.
#[derive(Clone, PartialEq, Debug)]
pub enum Destination {
    /// See [`ChannelKind::Webhook`].
    Webhook {
        /// Absolute, `http` or `https`, without user or password.
        url: String,
        /// The body's shape.
        format: WebhookFormat,
        /// The names of headers to send along; their values are secrets.
        header_names: Vec<String>,
    },
    /// See [`ChannelKind::Slack`]. Its address is a secret; this is its host.
    Slack {
        /// For people to recognise it.
        host: String,
    },
    /// See [`ChannelKind::Email`].
    Email {
        /// 1–20 addresses.
        to: Vec<String>,
    },
    /// See [`ChannelKind::PagerDuty`]. Its routing key is a secret.
    PagerDuty,
    /// See [`ChannelKind::Log`].
    Log,
}

impl Destination {
    /// What kind it is.
    pub const fn kind(&self) -> ChannelKind {
        match self {
            Self::Webhook { .. } => ChannelKind::Webhook,
            Self::Slack { .. } => ChannelKind::Slack,
            Self::Email { .. } => ChannelKind::Email,
            Self::PagerDuty => ChannelKind::PagerDuty,
            Self::Log => ChannelKind::Log,
        }
    }
}

/// What a client says of a channel, secrets and all.
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelDraft {
    /// See [`Channel::name`].
    pub name: String,
    /// See [`Channel::enabled`]; yes by default.
    pub enabled: bool,
    /// See [`Channel::send_resolved`]; yes by default.
    pub send_resolved: bool,
    /// Where it goes.
    pub destination: Destination,
    /// What has to be sealed before it is stored.
    pub secrets: Secrets,
}

/// What must not be read back by anybody. The signing key of a webhook is made by the service, not here.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secrets {
    /// The whole address of a Slack channel.
    pub url: Option<String>,
    /// PagerDuty's key of a service.
    pub routing_key: Option<String>,
    /// Headers of a webhook, with their values.
    pub headers: BTreeMap<String, String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

impl ChannelDraft {
    /// Reads a channel from a body: `{name, type, enabled?, send_resolved?, …}` and, by type, `url`, `format`
    /// and `headers` (webhook), `url` (slack), `to` (email), `routing_key` (pagerduty).
    ///
    /// Whether an address may be reached is not asked here.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &RawValue) -> Result<Self, Vec<FieldError>> {
        let mut object = Object::open(body)?;
        object.require(&["name", "type"]);
        let name = object.line("name", 100);
        if name.as_deref().is_some_and(|name| name.parse::<ChannelKind>().is_ok()) {
            object.refuse_because("name", Reason::BadParameter, "must not be the name of a kind of channel");
        }
        let enabled = object.boolean("enabled").unwrap_or(true);
        let send_resolved = object.boolean("send_resolved").unwrap_or(true);
        let mut secrets = Secrets::default();
        let Some(kind) = object.name("type") else { return Err(object.errors_alone()) };
        let destination = destination(&mut object, kind, &mut secrets);
        let errors = object.close();
        match (name, destination) {
            (Some(name), Some(destination)) if errors.is_empty() => {
                Ok(Self { name, enabled, send_resolved, destination, secrets })
            }
            _ => Err(errors),
        }
    }
}

fn destination(object: &mut Object, kind: ChannelKind, secrets: &mut Secrets) -> Option<Destination> {
    match kind {
        ChannelKind::Webhook => {
            object.require(&["url"]);
            let url = url(object);
            let format = object.name("format").unwrap_or(WebhookFormat::Standard);
            secrets.headers = headers(object);
            let header_names = secrets.headers.keys().cloned().collect();
            Some(Destination::Webhook { url: url?.into(), format, header_names })
        }
        ChannelKind::Slack => {
            object.require(&["url"]);
            let url = url(object)?;
            let host = url.host_str().unwrap_or_default().to_owned();
            secrets.url = Some(url.into());
            Some(Destination::Slack { host })
        }
        ChannelKind::Email => {
            object.require(&["to"]);
            recipients(object).map(|to| Destination::Email { to })
        }
        ChannelKind::PagerDuty => {
            object.require(&["routing_key"]);
            secrets.routing_key = object.line("routing_key", 100);
            Some(Destination::PagerDuty)
        }
        ChannelKind::Log => Some(Destination::Log),
    }
}

fn url(object: &mut Object) -> Option<Url> {
    let text = object.line("url", 2_048)?;
    let is_plain = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
    };
    // The parser would drop spaces and turn backslashes; what is then reached is not what was written.
    let has_odd_characters = text.contains(|c: char| c.is_whitespace() || c == '\\');
    let url = Url::parse(&text).ok().filter(is_plain).filter(|_| !has_odd_characters);
    if url.is_none() {
        object.refuse("url", Reason::BadWebhookUrl);
    }
    url
}

fn headers(object: &mut Object) -> BTreeMap<String, String> {
    /// Belong to the protocol or to the signature.
    const OWN: [&str; 8] = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ];
    let mut headers = BTreeMap::new();
    let members = match object.value("headers") {
        None => return headers,
        Some(Value::Object(members)) => members,
        Some(_) => {
            object.refuse("headers", Reason::NotAnObject);
            return headers;
        }
    };
    for (name, value) in members {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let good_name = (1..=100).contains(&name.len())
            && name.bytes().all(is_token)
            && !OWN.contains(&name.to_ascii_lowercase().as_str());
        let text =
            value.as_str().filter(|text| text.len() <= 2_048 && text.bytes().all(|b| (32..127).contains(&b)));
        match text {
            Some(text) if good_name => _ = headers.insert(name, text.to_owned()),
            _ => object.absorb(vec![FieldError::new(pointer, Reason::BadParameter)]),
        }
    }
    if headers.len() > 20 {
        object.refuse("headers", Reason::TooMany);
    }
    headers
}

fn recipients(object: &mut Object) -> Option<Vec<String>> {
    let mut to = Vec::new();
    for (pointer, item) in object.items("to", 20)? {
        match item.as_str().filter(|text| is_address(text)) {
            Some(address) => to.push(address.to_owned()),
            None => object.absorb(vec![FieldError::new(pointer, Reason::BadRecipient)]),
        }
    }
    if to.is_empty() && object.is_fine() {
        object.refuse("to", Reason::Empty);
    }
    Some(to)
}

/// One plain address of ASCII: `local@host.name`, without quotes, comments or lists (RFC 5321 §4.5.3.1 for
/// the lengths).
fn is_address(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=64).contains(&local.len())
        && local.bytes().all(atom)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && host.len() <= 253
        && host.split('.').all(label)
}

/// How a rule names who is told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ChannelRef {
    /// Every enabled channel of this kind.
    Kind(ChannelKind),
    /// The channel with this id, or with this name.
    IdOrName(String),
}

impl ChannelRef {
    /// Reads one name.
    pub(super) fn parse(text: &str) -> Result<Self, Reason> {
        if let Ok(kind) = text.parse() {
            return Ok(Self::Kind(kind));
        }
        match text {
            "" => Err(Reason::Empty),
            long if long.chars().nth(100).is_some() => Err(Reason::TooLong),
            odd if odd.chars().any(char::is_control) => Err(Reason::ControlCharacter),
            text => Ok(Self::IdOrName(text.to_owned())),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.as_str(),
            Self::IdOrName(text) => text,
        }
    }

    fn means(&self, channel: &Channel) -> bool {
        match self {
            Self::Kind(kind) => channel.destination.kind() == *kind,
            Self::IdOrName(text) => channel.name == *text || text.parse() == Ok(channel.id),
        }
    }
}

/// Who is meant: the enabled channels, each once and by id, and the references that mean none.
pub fn resolve<'a>(
    refs: &'a [ChannelRef],
    channels: &'a [Channel],
) -> (Vec<&'a Channel>, Vec<&'a ChannelRef>) {
    let enabled = || channels.iter().filter(|channel| channel.enabled);
    let mut meant: Vec<&Channel> =
        enabled().filter(|channel| refs.iter().any(|one| one.means(channel))).collect();
    meant.sort_by_key(|channel| channel.id);
    let unconfigured = refs.iter().filter(|one| !enabled().any(|channel| one.means(channel))).collect();
    (meant, unconfigured)
}
