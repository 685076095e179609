//! A channel as clients see it.

use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, ChannelId, ChannelKind, Destination, WebhookFormat},
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

/// A channel. Secrets are not shown, but for a signing secret when it is made.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
pub(crate) struct ChannelJson<'a> {
    #[schema(value_type = String, format = Uuid)]
    id: ChannelId,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    name: &'a str,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "webhook")]
    kind: ChannelKind,
    enabled: bool,
    /// Whether it is told when an alert is over.
    send_resolved: bool,
    #[serde(flatten)]
    destination: DestinationJson<'a>,
    /// What a webhook is signed with, `whsec_…`. Only in the answer that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    /// Why the service disabled it.
    disabled_reason: Option<&'a str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    disabled_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Where a channel goes, by its type.
#[derive(Serialize, ToSchema, Default)]
#[schema(as = ChannelDestination)]
pub(crate) struct DestinationJson<'a> {
    /// Of a webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    /// Of a webhook: `standard` or `alertmanager`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    format: Option<WebhookFormat>,
    /// Of a webhook: the names of the headers that are sent along.
    #[serde(skip_serializing_if = "Option::is_none")]
    header_names: Option<&'a [String]>,
    /// Of Slack: its address is a secret, and this is its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    /// Of e-mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a [String]>,
}

impl<'a> ChannelJson<'a> {
    pub(super) fn of(channel: &'a Channel) -> Self {
        Self {
            id: channel.id,
            tenant_id: channel.tenant_id,
            name: &channel.name,
            kind: channel.destination.kind(),
            enabled: channel.enabled,
            send_resolved: channel.send_resolved,
            destination: DestinationJson::of(&channel.destination),
            secret: None,
            disabled_reason: channel.disabled_reason.as_deref(),
            disabled_at: channel.disabled_at,
            created_at: channel.created_at,
            updated_at: channel.updated_at,
        }
    }

    /// The same with the signing secret that was made just now.
    pub(super) fn with_secret(self, secret: Option<&'a str>) -> Self {
        Self { secret, ..self }
    }
}

impl<'a> DestinationJson<'a> {
    fn of(destination: &'a Destination) -> Self {
        match destination {
            Destination::Webhook { url, format, header_names } => Self {
                url: Some(url),
                format: Some(*format),
                header_names: Some(header_names),
                ..Self::default()
            },
            Destination::Slack { host } => Self { host: Some(host), ..Self::default() },
            Destination::Email { to } => Self { to: Some(to), ..Self::default() },
            Destination::PagerDuty | Destination::Log => Self::default(),
        }
    }
}
