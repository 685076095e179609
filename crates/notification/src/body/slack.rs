//! The body of a Slack message: one attachment per alert.
//!
//! <https://docs.slack.dev/reference/messaging/payload>

use bytes::Bytes;
use serde::Serialize;

use super::{Detail, fit_json};
use crate::{
    Alert, Notice, NoticeKind, Severity, Status,
    text::{escape_slack, link, one_line},
};

/// Slack folds longer lists away.
const MAX_ATTACHMENTS: usize = 10;
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The body of an incoming webhook.
pub(crate) fn slack(notice: &Notice) -> Bytes {
    fit_json(|detail| {
        let told = notice.alerts.len().min(detail.alerts).min(MAX_ATTACHMENTS);
        let attachments = notice.alerts[..told].iter().map(|alert| Attachment::new(notice, alert, detail));
        let omitted = notice.alert_count() - told as u64;
        Message {
            text: summary(notice, omitted, detail),
            parse: "none",
            link_names: false,
            attachments: attachments.collect(),
        }
    })
}

#[derive(Serialize)]
struct Message<'a> {
    text: String,
    /// Neither links nor mentions are looked for in the texts.
    parse: &'static str,
    link_names: bool,
    attachments: Vec<Attachment<'a>>,
}

#[derive(Serialize)]
struct Attachment<'a> {
    color: &'static str,
    fallback: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title_link: Option<&'a str>,
    text: String,
    fields: Vec<Field>,
    footer: &'static str,
    ts: i64,
    /// Asterisks, backticks and the like are shown as they are, in every part.
    mrkdwn_in: [&'static str; 0],
}

#[derive(Serialize)]
struct Field {
    title: &'static str,
    value: String,
    short: bool,
}

impl<'a> Attachment<'a> {
    fn new(notice: &Notice, alert: &'a Alert, detail: Detail) -> Self {
        let title = escape_slack(&one_line(&detail.title(&alert.title)));
        let field =
            |title, value: &str| Field { title, value: escape_slack(&detail.title(value)), short: true };
        let mut fields = vec![
            field("Severity", alert.severity.as_str()),
            field("Status", alert.status.as_str()),
            field("Rule", &notice.rule.name),
            field("Time Window", &notice.rule.window),
            field("Triggered At", &alert.starts_at.to_string()),
        ];
        if let Some(ends_at) = alert.ends_at {
            fields.push(field("Resolved At", &ends_at.to_string()));
        }
        Self {
            color: color(alert),
            fallback: title.clone(),
            title,
            title_link: link(alert.url.as_deref()),
            text: escape_slack(&crate::text::cut(&alert.message, detail.chars.min(MAX_MESSAGE_CHARS))),
            fields,
            footer: "PulseStream",
            ts: alert.starts_at.as_secs(),
            mrkdwn_in: [],
        }
    }
}

fn summary(notice: &Notice, omitted: u64, detail: Detail) -> String {
    let rule = escape_slack(&one_line(&detail.title(&notice.rule.name)));
    let kind = match (notice.kind, notice.status()) {
        (NoticeKind::Test, _) => "Test",
        (NoticeKind::Alert, Status::Firing) => "Firing",
        (NoticeKind::Alert, Status::Resolved) => "Resolved",
    };
    let more = if omitted > 0 { format!(", {omitted} not shown") } else { String::new() };
    format!("{kind}: {rule} ({} alerts{more})", notice.alert_count())
}

fn color(alert: &Alert) -> &'static str {
    match (alert.status, alert.severity) {
        (Status::Resolved, _) => "#2eb886",
        (Status::Firing, Severity::Low) => "#36a64f",
        (Status::Firing, Severity::Medium) => "#ff8c00",
        (Status::Firing, Severity::High) => "#ff0000",
        (Status::Firing, Severity::Critical) => "#8b0000",
    }
}
