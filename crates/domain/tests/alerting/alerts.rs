//! What people may do to alerts, what mutes them, and what a delivery says of them.

use pulsestream_domain::alerting::{
    Action, Alert, AlertId, AlertSeverity, AlertStatus, Facts, Labels, Matcher, Rule, RuleId, Silence,
    SilenceDraft, SilenceId, TimelineKind,
};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

use crate::{
    NOW, TENANT, codes, one,
    rules::{parsed, rule_json},
};

fn alert(status: AlertStatus) -> Alert {
    let rule_id = RuleId(Uuid::from_u128(7));
    let labels = Labels([("service".to_owned(), "pay".to_owned())].into());
    Alert {
        tenant_id: TENANT,
        id: AlertId(Uuid::from_u128(8)),
        rule_id,
        rule_name: "R".to_owned(),
        fingerprint: labels.fingerprint(rule_id),
        labels,
        title: "T".to_owned(),
        message: "M".to_owned(),
        severity: AlertSeverity::High,
        status,
        value: None,
        trigger_data: serde_json::Map::new(),
        started_at: NOW,
        triggered_at: Some(NOW),
        clear_since: None,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution_note: None,
        is_silenced: false,
        notified: None,
        changed_at: NOW,
    }
}

#[test]
fn people_can_do_what_fits() {
    use AlertStatus::{Acknowledged, Active, Pending, Resolved, Suppressed};
    for (status, action, expected) in [
        (Active, Action::Acknowledge, Ok(Some(Acknowledged))),
        (Active, Action::Suppress, Ok(Some(Suppressed))),
        (Active, Action::Reactivate, Ok(None)),
        (Active, Action::Resolve, Ok(Some(Resolved))),
        (Acknowledged, Action::Acknowledge, Ok(None)),
        (Acknowledged, Action::Reactivate, Ok(Some(Active))),
        (Suppressed, Action::Acknowledge, Ok(Some(Acknowledged))),
        (Suppressed, Action::Reactivate, Ok(Some(Active))),
        (Pending, Action::Acknowledge, Err(Pending)),
        (Pending, Action::Resolve, Ok(Some(Resolved))),
        (Resolved, Action::Resolve, Ok(None)),
        (Resolved, Action::Acknowledge, Err(Resolved)),
        (Resolved, Action::Reactivate, Err(Resolved)),
    ] {
        let mut alert = alert(status);
        let before = alert.clone();
        let outcome = alert.act(action, "ann", Some("why"), NOW.plus_secs(1));
        let found = outcome.clone().map(|entry| entry.map(|_| alert.status)).map_err(|wrong| wrong.status);
        assert_eq!(found, expected, "{action} while {status}");
        match outcome {
            Ok(Some(entry)) => {
                assert_eq!((entry.by.as_deref(), entry.note.as_deref()), (Some("ann"), Some("why")));
                assert_eq!(alert.changed_at, NOW.plus_secs(1));
            }
            _ => assert_eq!(alert, before, "nothing changes"),
        }
    }
    let mut resolved = alert(Active);
    let entry = resolved.act(Action::Resolve, "ann", None, NOW).expect("fits").expect("new");
    assert_eq!(entry.kind, TimelineKind::Resolved);
    assert_eq!((resolved.resolved_at, resolved.resolved_by.as_deref()), (Some(NOW), Some("ann")));
}

#[test]
fn a_silence_mutes_what_all_its_matchers_match_while_it_lasts() {
    let matcher = |name: &str, value: &str, is_equal| Matcher {
        name: name.to_owned(),
        value: value.to_owned(),
        is_equal,
    };
    for (matchers, expected) in [
        (vec![matcher("service", "pay", true)], true),
        (vec![matcher("service", "p*", true), matcher("severity", "high", true)], true),
        (vec![matcher("service", "p*", true), matcher("severity", "low", true)], false),
        (vec![matcher("service", "pay", false)], false),
        (vec![matcher("rule_name", "R", true)], true),
        (vec![matcher("region", "", true)], true),
        (vec![matcher("region", "*", false)], false),
    ] {
        let silence = Silence {
            tenant_id: TENANT,
            id: SilenceId(Uuid::from_u128(1)),
            matchers: matchers.clone(),
            starts_at: NOW,
            ends_at: NOW.plus_secs(10),
            created_by: "ann".to_owned(),
            comment: None,
            created_at: NOW,
        };
        let alert = alert(AlertStatus::Active);
        assert_eq!(silence.mutes(&alert, NOW), expected, "{matchers:?}");
        assert!(!silence.mutes(&alert, NOW.plus_micros(-1)));
        assert!(!silence.mutes(&alert, NOW.plus_secs(10)));
        let stored = SilenceDraft::matchers_json(&matchers);
        assert_eq!(SilenceDraft::stored_matchers(stored), Ok(matchers));
    }
}

#[test]
fn everything_wrong_with_a_silence_is_named() {
    let matchers = json!([{"name": "service", "value": "pay"}]);
    let later = NOW.plus_secs(60).to_string();
    let parse = |body: &Value| SilenceDraft::parse(&to_raw_value(body).expect("JSON"), NOW);
    assert!(parse(&json!({"matchers": matchers, "ends_at": later})).is_ok());
    for (body, pointer, code) in [
        (json!({"ends_at": later}), "/matchers", "required"),
        (json!({"matchers": [], "ends_at": later}), "/matchers", "empty"),
        (json!({"matchers": matchers}), "/ends_at", "required"),
        (json!({"matchers": matchers, "ends_at": NOW.to_string()}), "/ends_at", "out_of_range"),
        (json!({"matchers": matchers, "ends_at": "2040-01-01T00:00:00Z"}), "/ends_at", "out_of_range"),
        (json!({"matchers": matchers, "ends_at": "soon"}), "/ends_at", "bad_timestamp"),
        (json!({"matchers": [{"name": "a"}], "ends_at": later}), "/matchers/0/value", "required"),
        (
            json!({"matchers": [{"name": "a", "value": "b", "is_regex": true}], "ends_at": later}),
            "/matchers/0/is_regex",
            "unknown_field",
        ),
        (json!({"matchers": ["a=b"], "ends_at": later}), "/matchers/0", "not_an_object"),
    ] {
        assert_eq!(codes(parse(&body)), one(pointer, code), "{body}");
    }
}

#[test]
fn what_a_delivery_says_reads_back_from_its_text() {
    let rule = Rule {
        tenant_id: TENANT,
        id: RuleId(Uuid::from_u128(7)),
        revision: 0,
        definition: parsed(&rule_json(json!({"description": "d"}))).expect("valid"),
        created_at: NOW,
        updated_at: NOW,
        last_triggered_at: None,
        total_triggers: 0,
    };
    let alerts: Vec<Alert> = (0..52)
        .map(|number| Alert { value: Some(0.1 + f64::from(number)), ..alert(AlertStatus::Active) })
        .collect();
    let facts = Facts::of(&rule, &alerts.iter().collect::<Vec<_>>());
    assert_eq!((facts.alerts.len(), facts.truncated_alerts), (50, 2));
    let text = serde_json::to_string(&facts).expect("it serializes");
    assert_eq!(serde_json::from_str::<Facts>(&text).expect("it reads back"), facts);
}
