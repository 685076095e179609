//! Bodies: their shape, their length, and what can't get into them.

use proptest::{collection::vec, prelude::*};
use pulsestream_domain::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{Alert, Notice, NoticeKind, RoutingKey, Rule, Severity, Status, WebhookFormat};

fn alert() -> Alert {
    Alert {
        id: Uuid::from_u128(3),
        fingerprint: "c0ffee".to_owned(),
        status: Status::Firing,
        severity: Severity::High,
        title: "High Error Rate: 12.5% in 5m".to_owned(),
        message: "Alert rule 'errors' has been triggered.".to_owned(),
        labels: BTreeMap::from([("service".to_owned(), "checkout".to_owned())]),
        annotations: BTreeMap::from([("runbook".to_owned(), "restart it".to_owned())]),
        starts_at: Timestamp::from_secs(1_800_000_000),
        ends_at: None,
        event_count: 12_345,
        samples: vec![json!({"event_id": "a"})],
        url: Some("https://console.example/alerts/3".to_owned()),
    }
}

fn notice(alerts: Vec<Alert>) -> Notice {
    Notice {
        id: Uuid::from_u128(1),
        kind: NoticeKind::Alert,
        occurred_at: Timestamp::from_secs(1_800_000_300),
        receiver: "on-call".to_owned(),
        rule: Rule { id: Uuid::from_u128(2), name: "errors".to_owned(), window: "5m".to_owned() },
        group_labels: BTreeMap::from([("service".to_owned(), "checkout".to_owned())]),
        alerts,
        omitted_alerts: 0,
        url: Some("https://console.example/rules/2".to_owned()),
    }
}

fn key() -> RoutingKey {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn the_alertmanager_format_is_version_4_and_nothing_else() {
    let body = group(&notice(vec![alert()]), WebhookFormat::Alertmanager);

    let labels = json!({"alertname": "errors", "service": "checkout", "severity": "high"});
    let annotations = json!({
        "description": "Alert rule 'errors' has been triggered.",
        "runbook": "restart it",
        "summary": "High Error Rate: 12.5% in 5m",
    });
    assert_eq!(
        parsed(&body),
        json!({
            "version": "4",
            "groupKey": "00000000-0000-0000-0000-000000000002:{service=\"checkout\"}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "on-call",
            "groupLabels": {"service": "checkout"},
            "commonLabels": labels,
            "commonAnnotations": annotations,
            "externalURL": "https://console.example/rules/2",
            "alerts": [{
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2027-01-15T08:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://console.example/alerts/3",
                "fingerprint": "c0ffee",
            }],
        })
    );
}

#[test]
fn our_format_is_the_same_in_an_envelope_and_tells_more() {
    let notice = notice(vec![alert()]);
    let body = parsed(&group(&notice, WebhookFormat::PulseStream));

    assert_eq!(body["type"], "alert.firing");
    assert_eq!(body["timestamp"], "2027-01-15T08:05:00Z");
    assert_eq!(body["data"]["rule"], json!({"id": notice.rule.id, "name": "errors", "window": "5m"}));
    let alert = &body["data"]["alerts"][0];
    assert_eq!(alert["severity"], "high");
    assert_eq!(alert["eventCount"], 12_345);
    assert_eq!(alert["samples"], json!([{"event_id": "a"}]));

    let theirs = parsed(&group(&notice, WebhookFormat::Alertmanager));
    for (name, value) in
        theirs.as_object().unwrap().iter().filter(|(name, _)| !["version", "alerts"].contains(&name.as_str()))
    {
        assert_eq!(&body["data"][name], value, "{name}");
    }
    for (name, value) in theirs["alerts"][0].as_object().unwrap() {
        assert_eq!(&alert[name], value, "{name}");
    }
}

#[test]
fn a_body_has_no_space_between_its_tokens() {
    let body = group(&notice(vec![alert()]), WebhookFormat::PulseStream);
    assert_eq!(parsed(&body).to_string().len(), body.len());
}

#[test]
fn the_type_says_whether_it_goes_on() {
    let resolved =
        || Alert { status: Status::Resolved, ends_at: Some(Timestamp::from_secs(1_800_000_060)), ..alert() };
    let of = |notice: &Notice| parsed(&group(notice, WebhookFormat::PulseStream))["type"].clone();

    assert_eq!(of(&notice(vec![resolved()])), "alert.resolved");
    assert_eq!(of(&notice(vec![resolved(), alert()])), "alert.firing");
    assert_eq!(of(&Notice { kind: NoticeKind::Test, ..notice(vec![alert()]) }), "channel.test");
    let body = parsed(&group(&notice(vec![resolved()]), WebhookFormat::Alertmanager));
    assert_eq!(body["alerts"][0]["endsAt"], "2027-01-15T08:01:00Z");
}

#[test]
fn what_alerts_have_in_common_is_what_all_have() {
    let other = Alert {
        labels: BTreeMap::from([
            ("service".to_owned(), "cart".to_owned()),
            ("zone".to_owned(), "a".to_owned()),
        ]),
        ..alert()
    };
    let body = parsed(&group(&notice(vec![alert(), other]), WebhookFormat::Alertmanager));
    assert_eq!(body["commonLabels"], json!({"alertname": "errors", "severity": "high"}));
}

#[test]
fn what_does_not_fit_is_left_out_and_counted() {
    let large = json!({"text": "x".repeat(1_500)});
    let alerts: Vec<_> = (0..500).map(|_| Alert { samples: vec![large.clone(); 10], ..alert() }).collect();
    let body = group(&Notice { omitted_alerts: 7, ..notice(alerts) }, WebhookFormat::PulseStream);

    assert!(body.len() < MAX_BODY_BYTES);
    let data = &parsed(&body)["data"];
    let told = data["alerts"].as_array().unwrap().len() as u64;
    assert!(told >= 12, "{told}");
    assert_eq!(data["truncatedAlerts"], 507 - told);
    assert_eq!(data["alerts"][0]["eventCount"], 12_345);
}

#[test]
fn samples_are_left_out_before_alerts_are() {
    let sample = json!({"text": "x".repeat(1_500)});
    let alerts = vec![Alert { samples: vec![sample; 5], ..alert() }; 4];
    let data = parsed(&group(&notice(alerts), WebhookFormat::PulseStream))["data"].clone();
    assert_eq!(data["truncatedAlerts"], 0);
    assert_eq!(data["alerts"][3]["samples"].as_array().unwrap().len(), 2);
}

#[test]
fn a_sample_that_is_far_too_long_is_left_out_alone() {
    let samples = vec![json!("x".repeat(1_000_000)), json!("short")];
    let data =
        parsed(&group(&notice(vec![Alert { samples, ..alert() }]), WebhookFormat::PulseStream))["data"]
            .clone();
    assert_eq!(data["alerts"][0]["samples"], json!(["short"]));
}

#[test]
fn a_slack_message_has_an_attachment_per_alert() {
    let body = parsed(&slack(&notice(vec![alert()])));

    let field = |title: &str, value: &str| json!({"title": title, "value": value, "short": true});
    assert_eq!(
        body,
        json!({
            "text": "Firing: errors (1 alerts)",
            "parse": "none",
            "link_names": false,
            "attachments": [{
                "color": "#ff0000",
                "fallback": "High Error Rate: 12.5% in 5m",
                "title": "High Error Rate: 12.5% in 5m",
                "title_link": "https://console.example/alerts/3",
                "text": "Alert rule 'errors' has been triggered.",
                "fields": [
                    field("Severity", "high"),
                    field("Status", "firing"),
                    field("Rule", "errors"),
                    field("Time Window", "5m"),
                    field("Triggered At", "2027-01-15T08:00:00Z"),
                ],
                "footer": "PulseStream",
                "ts": 1_800_000_000,
                "mrkdwn_in": [],
            }],
        })
    );
}

#[test]
fn slack_colours_by_severity_while_it_lasts() {
    for (severity, status, color) in [
        (Severity::Low, Status::Firing, "#36a64f"),
        (Severity::Medium, Status::Firing, "#ff8c00"),
        (Severity::High, Status::Firing, "#ff0000"),
        (Severity::Critical, Status::Firing, "#8b0000"),
        (Severity::Critical, Status::Resolved, "#2eb886"),
    ] {
        let body = parsed(&slack(&notice(vec![Alert { severity, status, ..alert() }])));
        assert_eq!(body["attachments"][0]["color"], color);
    }
}

#[test]
fn slack_shows_ten_alerts_and_counts_the_others() {
    let body = parsed(&slack(&notice(vec![alert(); 12])));
    assert_eq!(body["attachments"].as_array().unwrap().len(), 10);
    assert_eq!(body["text"], "Firing: errors (12 alerts, 2 not shown)");
}

#[test]
fn slack_mentions_nobody_and_formats_nothing() {
    let text = "<!channel> <!here|x> <@U1> <https://x|y> & ``` *b* @channel";
    let escaped = "&lt;!channel&gt; &lt;!here|x&gt; &lt;@U1&gt; &lt;https://x|y&gt; &amp; ``` *b* @channel";
    let alert = Alert { title: text.to_owned(), message: text.to_owned(), ..alert() };
    let mut notice = notice(vec![alert]);
    notice.rule.name = text.to_owned();
    notice.rule.window = text.to_owned();

    let body = parsed(&slack(&notice));

    let attachment = &body["attachments"][0];
    assert_eq!(attachment["title"], escaped);
    assert_eq!(attachment["fallback"], escaped);
    assert_eq!(attachment["text"], escaped);
    assert_eq!(attachment["fields"][2]["value"], escaped);
    assert_eq!(body["text"], format!("Firing: {escaped} (1 alerts)"));
    // These two are why `@channel` and asterisks are harmless.
    assert_eq!((&body["parse"], &body["link_names"]), (&json!("none"), &json!(false)));
    assert_eq!(attachment["mrkdwn_in"], json!([]));
}

#[test]
fn a_pagerduty_event_opens_and_closes_by_the_same_key() {
    let fire = parsed(&pagerduty(&notice(vec![alert()]), &alert(), &key()));
    let resolved = Alert { status: Status::Resolved, ..alert() };
    let resolve = parsed(&pagerduty(&notice(vec![]), &resolved, &key()));

    assert_eq!(fire["event_action"], "trigger");
    assert_eq!(resolve["event_action"], "resolve");
    assert_eq!(fire["dedup_key"], "00000000-0000-0000-0000-000000000002/c0ffee");
    assert_eq!(fire["dedup_key"], resolve["dedup_key"]);
    assert_eq!(fire["routing_key"], "0123456789abcdef0123456789abcdef");
    assert_eq!(
        fire["payload"],
        json!({
            "summary": "High Error Rate: 12.5% in 5m",
            "source": "checkout",
            "severity": "error",
            "timestamp": "2027-01-15T08:00:00Z",
            "class": "errors",
            "custom_details": {
                "message": "Alert rule 'errors' has been triggered.",
                "labels": {"service": "checkout"},
                "annotations": {"runbook": "restart it"},
                "event_count": 12_345,
            },
        })
    );
}

#[test]
fn alerts_of_two_rules_and_long_fingerprints_keep_keys_of_their_own() {
    let key_of = |rule: u128, fingerprint: &str| {
        let mut notice = notice(vec![]);
        notice.rule.id = Uuid::from_u128(rule);
        let alert = Alert { fingerprint: fingerprint.to_owned(), ..alert() };
        parsed(&pagerduty(&notice, &alert, &key()))["dedup_key"].as_str().unwrap().to_owned()
    };
    assert_ne!(key_of(1, "a"), key_of(2, "a"));
    let long = "f".repeat(300);
    assert_ne!(key_of(1, &long), key_of(1, &format!("{long}f")));
    assert!(key_of(1, &long).len() <= 255);
}

#[test]
fn a_letter_escapes_what_could_be_markup() {
    for hostile in
        ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='x", "&lt;b&gt;"]
    {
        let mut alert = Alert { title: hostile.to_owned(), message: hostile.to_owned(), ..alert() };
        alert.labels = BTreeMap::from([(hostile.to_owned(), hostile.to_owned())]);
        alert.url = Some(format!("https://x/{hostile}"));
        let mut notice = notice(vec![alert]);
        notice.rule.name = hostile.to_owned();

        let letter = letter(&notice);

        let tags = ["script>", "<img", "onmouseover='", "<b>"];
        assert!(!tags.iter().any(|tag| letter.html.contains(tag)), "{}", letter.html);
        let is_unsafe = hostile.contains(['<', '\'']);
        assert_eq!(letter.html.contains("href"), !is_unsafe, "an unsafe link is left out");
        assert!(letter.text.contains(hostile), "plain text says it as it is");
    }
}

#[test]
fn a_letter_links_to_the_web_only() {
    for url in ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "//x", "file:///etc/passwd"] {
        let letter = letter(&Notice {
            url: Some(url.to_owned()),
            ..notice(vec![Alert { url: Some(url.to_owned()), ..alert() }])
        });
        assert!(!letter.html.contains(url) && !letter.text.contains(url), "{url}");
    }
    assert!(letter(&notice(vec![alert()])).html.contains("<a href=\"https://console.example/alerts/3\">"));
}

#[test]
fn a_subject_says_what_it_is_about_on_one_line() {
    let subject = |notice: &Notice| letter(notice).subject;
    assert_eq!(subject(&notice(vec![alert(), alert()])), "[FIRING:2] errors");
    let resolved = Alert { status: Status::Resolved, ..alert() };
    assert_eq!(subject(&notice(vec![resolved])), "[RESOLVED:1] errors");
    let mut hostile = notice(vec![alert()]);
    hostile.rule.name = "x\r\nBcc: victim@example.com\u{2028}y".to_owned();
    assert_eq!(subject(&hostile), "[FIRING:1] x  Bcc: victim@example.com y");
}

#[test]
fn braces_are_braces_and_long_texts_end() {
    let braces = "{{secret}} {0:>999999999} ${jndi:x} %s %n".to_owned();
    let literal = notice(vec![Alert { message: braces.clone(), ..alert() }]);
    let body = parsed(&group(&literal, WebhookFormat::PulseStream));
    assert_eq!(body["data"]["alerts"][0]["message"], braces);
    assert!(letter(&literal).text.contains(&braces));

    let long = notice(vec![Alert { message: "é".repeat(100_000), ..alert() }]);
    let body = parsed(&group(&long, WebhookFormat::Alertmanager));
    let message = body["alerts"][0]["annotations"]["description"].as_str().unwrap();
    assert!(message.chars().count() <= 4_096 && message.ends_with('…'));
}

/// Text that grows the most on its way into JSON and HTML, and all other text.
fn text(max: usize) -> impl Strategy<Value = String> {
    let character =
        prop_oneof![Just('\0'), Just('"'), Just('\''), Just('<'), Just('\u{10FFFF}'), any::<char>()];
    prop_oneof![
        vec(character, 0..40).prop_map(String::from_iter),
        (any::<char>(), 0..max).prop_map(|(character, count)| character.to_string().repeat(count)),
    ]
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(text(60), text(300), 0..36)
}

prop_compose! {
    fn any_alert()(
        fingerprint in text(1_000),
        title in text(500),
        message in text(10_000),
        labels in labels(),
        annotations in labels(),
        resolved in any::<bool>(),
        samples in vec(text(1_500).prop_map(Value::String), 0..8),
        url in prop::option::of(text(3_000).prop_map(|path| format!("https://x/{path}"))),
    ) -> Alert {
        let status = if resolved { Status::Resolved } else { Status::Firing };
        Alert { fingerprint, title, message, labels, annotations, status, samples, url, ..alert() }
    }
}

prop_compose! {
    fn any_notice()(
        distinct in vec(any_alert(), 1..4),
        times in 0..12_usize,
        name in text(3_000),
        window in text(300),
        receiver in text(3_000),
        group_labels in labels(),
        omitted_alerts in any::<u64>(),
    ) -> Notice {
        let alerts = distinct.iter().cycle().take(times).cloned().collect();
        let rule = Rule { name, window, id: Uuid::from_u128(2) };
        Notice { rule, receiver, group_labels, omitted_alerts, ..notice(alerts) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_body_is_valid_and_below_the_limit(notice in any_notice()) {
        for format in [WebhookFormat::PulseStream, WebhookFormat::Alertmanager] {
            let body = group(&notice, format);
            prop_assert!(body.len() < MAX_BODY_BYTES, "{format:?}: {}", body.len());
            let body = parsed(&body);
            let data = if format == WebhookFormat::PulseStream { &body["data"] } else { &body };
            let told = data["alerts"].as_array().unwrap().len() as u64;
            prop_assert_eq!(data["truncatedAlerts"].as_u64(), Some(notice.alert_count() - told));
        }
        let body = slack(&notice);
        prop_assert!(body.len() < MAX_BODY_BYTES);
        prop_assert!(parsed(&body).is_object());
        let mut texts = Vec::new();
        collect_texts(&parsed(&body), &mut texts);
        prop_assert!(!texts.iter().any(|text| text.contains(['<', '>'])));
        for alert in notice.alerts.iter().take(3) {
            let body = pagerduty(&notice, alert, &key());
            prop_assert!(body.len() < MAX_BODY_BYTES);
            prop_assert!(parsed(&body)["dedup_key"].as_str().unwrap().len() <= 255);
        }
        let letter = letter(&notice);
        prop_assert!(letter.text.len() < MAX_BODY_BYTES && letter.html.len() < MAX_BODY_BYTES);
        prop_assert!(!letter.subject.chars().any(char::is_control));
    }

    /// Whatever an alert says, the tags of the letter are those of the letter that says nothing.
    #[test]
    fn no_text_changes_the_tags_of_a_letter(title in text(50), message in text(50), labels in labels()) {
        let unlabelled = labels.keys().map(|name| (name.clone(), String::new())).collect();
        let silent = Alert { labels: unlabelled, url: None, ..alert() };
        let said = Alert { title, message, labels, url: None, ..alert() };
        let render = |alert| super::letter::html(&notice(vec![alert]), Detail { chars: 20, ..Detail::FULL });
        prop_assert_eq!(tags(&render(said)), tags(&render(silent)));
    }
}

fn tags(html: &str) -> Vec<String> {
    html.split('<').skip(1).map(|tag| tag.split('>').next().unwrap().to_owned()).collect()
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(values) => values.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}
