//! A notice as a letter: plain text, and the same as HTML.

use crate::{
    Alert, Notice, NoticeKind, Status,
    body::{Detail, fit},
    text::{escape_html, link, one_line},
};

/// What a mail says.
pub(crate) struct Content {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

/// The content of a letter about a notice.
pub(crate) fn letter(notice: &Notice) -> Content {
    let into_text = |body| String::from_utf8(body).expect("it was made of text");
    Content {
        subject: subject(notice),
        text: into_text(fit(|detail| text(notice, detail).into_bytes())),
        html: into_text(fit(|detail| html(notice, detail).into_bytes())),
    }
}

fn subject(notice: &Notice) -> String {
    let kind = match (notice.kind, notice.status()) {
        (NoticeKind::Test, _) => "TEST".to_owned(),
        (NoticeKind::Alert, Status::Firing) => format!("FIRING:{}", notice.alert_count()),
        (NoticeKind::Alert, Status::Resolved) => format!("RESOLVED:{}", notice.alert_count()),
    };
    format!("[{kind}] {}", one_line(&Detail::FULL.title(&notice.rule.name)))
}

/// What is told of an alert, by name.
fn facts(notice: &Notice, alert: &Alert, detail: Detail) -> Vec<(String, String)> {
    let mut facts = vec![
        ("Severity".to_owned(), alert.severity.as_str().to_owned()),
        ("Status".to_owned(), alert.status.as_str().to_owned()),
        ("Rule".to_owned(), one_line(&detail.title(&notice.rule.name))),
        ("Window".to_owned(), one_line(&detail.title(&notice.rule.window))),
        ("Events".to_owned(), alert.event_count.to_string()),
        ("Since".to_owned(), alert.starts_at.to_string()),
    ];
    facts.extend(alert.ends_at.map(|ends_at| ("Until".to_owned(), ends_at.to_string())));
    let labels = detail.labels(&alert.labels).into_iter();
    facts.extend(labels.map(|(name, value)| (one_line(&name), one_line(&value))));
    facts
}

fn text(notice: &Notice, detail: Detail) -> String {
    let mut text = String::new();
    let told = notice.alerts.len().min(detail.alerts);
    for alert in &notice.alerts[..told] {
        text += &format!("{}\n\n{}\n\n", one_line(&detail.title(&alert.title)), detail.text(&alert.message));
        for (name, value) in facts(notice, alert, detail) {
            text += &format!("{name}: {value}\n");
        }
        if let Some(url) = link(alert.url.as_deref()) {
            text += &format!("{url}\n");
        }
        text += "\n";
    }
    for line in footer(notice, told) {
        text += &format!("{line}\n");
    }
    text
}

pub(super) fn html(notice: &Notice, detail: Detail) -> String {
    let mut html = String::from("<!doctype html><html><body>");
    let told = notice.alerts.len().min(detail.alerts);
    for alert in &notice.alerts[..told] {
        let title = escape_html(&one_line(&detail.title(&alert.title)));
        html += &match link(alert.url.as_deref()) {
            Some(url) => format!("<h2><a href=\"{}\">{title}</a></h2>", escape_html(url)),
            None => format!("<h2>{title}</h2>"),
        };
        let message = escape_html(&detail.text(&alert.message));
        html += &format!("<p style=\"white-space:pre-wrap\">{message}</p><table>");
        for (name, value) in facts(notice, alert, detail) {
            let (name, value) = (escape_html(&name), escape_html(&value));
            html += &format!("<tr><th align=\"left\">{name}</th><td>{value}</td></tr>");
        }
        html += "</table>";
    }
    for line in footer(notice, told) {
        html += &format!("<p>{}</p>", escape_html(&line));
    }
    html + "</body></html>"
}

fn footer(notice: &Notice, told: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let omitted = notice.alert_count() - told as u64;
    if omitted > 0 {
        lines.push(format!("{omitted} more alerts are not shown."));
    }
    if notice.kind == NoticeKind::Test {
        lines.push("This is a test. Nothing is wrong.".to_owned());
    }
    lines.extend(link(notice.url.as_deref()).map(str::to_owned));
    lines
}
