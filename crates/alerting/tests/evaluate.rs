//! Every condition, and every change of an alert's state, as tables.

mod stage;

use pulsestream_alerting::{Verdict, judge};
use pulsestream_domain::Timestamp;
use pulsestream_domain::alerting::{
    Action, AlertSeverity, AlertStatus, Figures, GroupObservation, HeldBack, Labels, Matcher, Observed,
    Silence, SilenceId,
};
use pulsestream_testing::builders::{log_channel, rule};
use serde_json::{Value, json};
use stage::{Stage, TENANT, at};
use uuid::Uuid;

fn figures(count: u64, measured: Option<f64>) -> Figures {
    Figures { count, measured, latest: None }
}

#[test]
fn each_condition_holds_where_it_says() {
    use Verdict::{Clear, Holds, NoData};
    let with = |condition: Value, operator: &str, threshold: f64| json!({"condition": condition, "threshold_operator": operator, "threshold_value": threshold});
    let count =
        |min: u64, max: u64| json!({"condition": {"type": "count", "min_count": min, "max_count": max}});
    let pattern = |pattern: Value| json!({"condition": {"type": "pattern", "pattern": pattern}});
    let error_rate = || pattern(json!({"type": "error_rate", "max_error_rate": 0.5}));
    let response_time = || pattern(json!({"type": "response_time", "max_avg_response_time": 100}));
    let count_is = |operator| with(json!({"type": "threshold", "metric_field": "count"}), operator, 0.0);
    let average = || with(json!({"type": "threshold", "metric_field": "duration_ms"}), ">=", 0.0);
    let p95 = || with(json!({"type": "percentile", "percentile": "p95"}), ">", 250.0);
    let ratio = || with(json!({"type": "ratio", "numerator": {"status_code": "5xx"}}), ">", 0.25);
    let percent = |threshold| with(json!({"type": "change"}), ">", threshold);
    let drop = || with(json!({"type": "change"}), "<=", -50.0);
    let absolute = || with(json!({"type": "change", "mode": "absolute"}), "==", 0.0);
    let slower =
        || with(json!({"type": "change", "metric_field": "duration_ms", "mode": "absolute"}), ">", 5.0);
    let absence = || json!({"condition": {"type": "absence"}, "group_by": ["service"]});
    let any = || json!({"condition": {"type": "match"}});
    for (members, window, earlier, expected) in [
        (count(2, 4), figures(1, None), figures(0, None), Clear),
        (count(2, 4), figures(2, None), figures(0, None), Holds),
        (count(2, 4), figures(4, None), figures(0, None), Holds),
        (count(2, 4), figures(5, None), figures(0, None), Clear),
        (count(0, 4), figures(0, None), figures(0, None), Holds),
        (json!({"condition": {}}), figures(0, None), figures(0, None), Holds),
        (count_is(">"), figures(0, None), figures(0, None), Clear),
        (count_is("<="), figures(0, None), figures(0, None), Holds),
        (count_is("!="), figures(1, None), figures(0, None), Holds),
        (average(), figures(0, None), figures(0, None), NoData),
        (average(), figures(3, None), figures(0, None), NoData),
        (average(), figures(3, Some(0.0)), figures(0, None), Holds),
        (p95(), figures(3, Some(250.0)), figures(0, None), Clear),
        (p95(), figures(3, Some(250.1)), figures(0, None), Holds),
        (p95(), figures(3, None), figures(0, None), NoData),
        (error_rate(), figures(0, Some(0.0)), figures(0, None), NoData),
        (error_rate(), figures(0, None), figures(0, None), NoData),
        (error_rate(), figures(4, Some(2.0)), figures(0, None), Clear),
        (error_rate(), figures(4, Some(3.0)), figures(0, None), Holds),
        (error_rate(), figures(4, None), figures(0, None), Clear),
        (response_time(), figures(4, Some(100.0)), figures(0, None), Clear),
        (response_time(), figures(4, Some(100.1)), figures(0, None), Holds),
        (response_time(), figures(4, None), figures(0, None), NoData),
        (ratio(), figures(0, Some(0.0)), figures(0, None), NoData),
        (ratio(), figures(4, Some(1.0)), figures(0, None), Clear),
        (ratio(), figures(3, Some(1.0)), figures(0, None), Holds),
        (percent(50.0), figures(15, None), figures(10, None), Clear),
        (percent(50.0), figures(16, None), figures(10, None), Holds),
        (percent(50.0), figures(16, None), figures(0, None), NoData),
        (percent(50.0), figures(0, None), figures(0, None), NoData),
        (drop(), figures(5, None), figures(10, None), Holds),
        (drop(), figures(0, None), figures(10, None), Holds),
        (drop(), figures(6, None), figures(10, None), Clear),
        (absolute(), figures(0, None), figures(0, None), Holds),
        (absolute(), figures(1, None), figures(0, None), Clear),
        (slower(), figures(1, Some(15.1)), figures(1, Some(10.0)), Holds),
        (slower(), figures(1, Some(15.0)), figures(1, Some(10.0)), Clear),
        (slower(), figures(1, Some(15.1)), figures(1, None), NoData),
        (absence(), figures(0, None), figures(7, None), Holds),
        (absence(), figures(1, None), figures(7, None), Clear),
        (any(), figures(0, None), figures(0, None), Clear),
        (any(), figures(1, None), figures(0, None), Holds),
    ] {
        let definition = rule(TENANT, 1, members.clone()).definition;
        let group = GroupObservation { labels: Labels::default(), window, earlier };
        assert_eq!(judge(&definition, &group).verdict, expected, "{members} {window:?} {earlier:?}");
    }
}

/// The second, how many events there are, and what comes of it: the status, then what is said.
type Step = (i64, u64, &'static str);

/// A rule that fires on any event, without a cooldown, unless the members say otherwise.
fn play(members: Value, steps: &[Step]) {
    let mut stage = Stage::new(with_defaults(members.clone()));
    for (secs, count, expected) in steps {
        assert_eq!(stage.tick(*secs, &[("", *count)]), *expected, "{members} at {secs}");
    }
}

fn with_defaults(members: Value) -> Value {
    let mut all = json!({"condition": {"type": "match"}, "cooldown_minutes": 0});
    for (name, value) in members.as_object().expect("an object") {
        all[name] = value.clone();
    }
    all
}

#[test]
fn an_alert_goes_through_its_states() {
    play(
        json!({}),
        &[
            (0, 0, ""),
            (60, 1, "active firing"),
            (120, 1, "active"),
            (180, 0, "resolved"),
            (240, 0, ""),
            (300, 1, "active firing"),
        ],
    );
    play(
        json!({"for": 120}),
        &[
            (0, 1, "pending"),
            (60, 1, "pending"),
            (120, 1, "active firing"),
            (180, 0, "resolved"),
            (240, 1, "pending"),
            (300, 0, ""),
            (360, 1, "pending"),
            (420, 1, "pending"),
            (480, 1, "active firing"),
        ],
    );
    play(
        json!({"keep_firing_for": 120}),
        &[
            (0, 1, "active firing"),
            (60, 0, "active clearing"),
            (120, 1, "active"),
            (180, 0, "active clearing"),
            (240, 0, "active clearing"),
            (300, 0, "resolved"),
            (360, 1, "active firing"),
        ],
    );
    play(
        json!({"cooldown_minutes": 5}),
        &[
            (0, 1, "active firing"),
            (60, 0, "resolved"),
            (120, 1, ""),
            (299, 1, ""),
            (300, 1, "active firing"),
        ],
    );
    play(
        json!({"cooldown_minutes": 5, "for": 60}),
        &[
            (0, 1, "pending"),
            (60, 1, "active firing"),
            (120, 0, "resolved"),
            (180, 1, "pending"),
            (240, 1, "pending"),
            (359, 1, "pending"),
            (360, 1, "active firing"),
        ],
    );
    play(
        json!({"max_alerts_per_hour": 1}),
        &[
            (0, 1, "active firing"),
            (60, 0, "resolved"),
            (120, 1, ""),
            (3_599, 1, ""),
            (3_600, 1, "active firing"),
        ],
    );
    play(
        json!({"repeat_interval": 120}),
        &[
            (0, 1, "active firing"),
            (60, 1, "active"),
            (120, 1, "active repeat"),
            (180, 1, "active"),
            (241, 1, "active repeat"),
        ],
    );
}

#[test]
fn without_data_the_policy_decides() {
    let members = |policy: &str| json!({"condition": {"type": "pattern", "pattern": {"type": "error_rate"}}, "no_data": policy});
    play(members("ok"), &[(0, 5, "active firing"), (60, 0, "resolved"), (120, 0, "")]);
    play(members("alert"), &[(0, 0, "active firing"), (60, 5, "active"), (120, 0, "active")]);
    play(members("keep_last"), &[(0, 0, ""), (60, 5, "active firing"), (120, 0, "active")]);
    let mut pending = members("keep_last");
    pending["for"] = json!(60);
    play(pending, &[(0, 5, "pending"), (60, 0, "pending"), (120, 5, "active firing")]);
}

#[test]
fn who_acknowledges_hears_no_more_until_it_resolves_or_worsens() {
    let mut stage = Stage::new(with_defaults(json!({"repeat_interval": 60, "severity": "medium"})));
    assert_eq!(stage.tick(0, &[("", 1)]), "active firing");
    stage.act(Action::Acknowledge, 30);
    assert_eq!(stage.tick(60, &[("", 1)]), "acknowledged");
    stage.state.rule.definition.severity = AlertSeverity::Low;
    assert_eq!(stage.tick(120, &[("", 1)]), "acknowledged", "less severe is no news");
    stage.state.rule.definition.severity = AlertSeverity::Critical;
    assert_eq!(stage.tick(180, &[("", 1)]), "active worsened");
    stage.act(Action::Acknowledge, 200);
    assert_eq!(stage.tick(240, &[("", 0)]), "resolved");
    assert_eq!(stage.tick(300, &[("", 1)]), "active firing", "the next one is news again");
}

#[test]
fn a_suppressed_alert_says_nothing_even_when_it_is_over() {
    let mut stage = Stage::new(with_defaults(json!({"repeat_interval": 60})));
    assert_eq!(stage.tick(0, &[("", 1)]), "active firing");
    stage.act(Action::Suppress, 30);
    assert_eq!(stage.tick(60, &[("", 1)]), "suppressed");
    stage.act(Action::Reactivate, 90);
    assert_eq!(stage.tick(120, &[("", 1)]), "active repeat");
    stage.act(Action::Suppress, 130);
    assert_eq!(stage.tick(180, &[("", 0)]), "suppressed-resolved");
}

fn silence(starts_at: Timestamp, ends_at: Timestamp) -> Silence {
    Silence {
        tenant_id: TENANT,
        id: SilenceId(Uuid::nil()),
        matchers: vec![Matcher { name: "severity".to_owned(), value: "high".to_owned(), is_equal: true }],
        starts_at,
        ends_at,
        created_by: "ann".to_owned(),
        comment: None,
        created_at: starts_at,
    }
}

#[test]
fn a_silence_keeps_back_notices_and_not_alerts() {
    let mut stage = Stage::new(with_defaults(json!({})));
    stage.state.silences = vec![silence(at(60), at(240))];
    assert_eq!(stage.tick(60, &[("", 1)]), "active silenced");
    assert_eq!(stage.tick(120, &[("", 0)]), "quietly-resolved");
    assert_eq!(stage.tick(180, &[("", 1)]), "active silenced");
    assert_eq!(stage.tick(240, &[("", 1)]), "active firing", "it is told when the silence is over");
    assert_eq!(stage.tick(300, &[("", 0)]), "resolved");
}

#[test]
fn who_is_told_is_decided_by_the_time_it_is_and_not_by_the_tick() {
    let mut stage = Stage::new(with_defaults(json!({"repeat_interval": 60})));
    stage.late_by = 3_600;
    assert_eq!(stage.tick(0, &[("", 1)]), "active firing");
    stage.late_by = 3_540;
    assert_eq!(stage.tick(60, &[("", 1)]), "active", "it was told this very moment");

    let mut stage = Stage::new(with_defaults(json!({})));
    stage.state.silences = vec![silence(at(3_000), at(4_000))];
    stage.late_by = 3_600;
    assert_eq!(stage.tick(0, &[("", 1)]), "active silenced");
}

#[test]
fn an_earlier_instant_leaves_alone_what_was_done_later() {
    let mut stage = Stage::new(with_defaults(json!({})));
    assert_eq!(stage.tick(60, &[("", 1)]), "active firing");
    assert_eq!(stage.tick(30, &[("", 0)]), "active", "it was raised after that");
    stage.act(Action::Acknowledge, 100);
    assert_eq!(stage.tick(90, &[("", 0)]), "acknowledged");
    assert_eq!(stage.tick(120, &[("", 0)]), "resolved");
}

#[test]
fn groups_have_alerts_of_their_own_and_one_delivery_together() {
    let mut stage = Stage::new(with_defaults(json!({"group_by": ["service"], "max_alerts_per_hour": 3})));
    assert_eq!(stage.tick(0, &[("a", 1), ("b", 1)]), "a:active b:active firing");
    assert_eq!(stage.last.deliveries.len(), 1);
    assert_eq!(stage.last.deliveries[0].facts.alerts.len(), 2);
    assert_eq!(stage.tick(60, &[("b", 1), ("c", 1), ("d", 1)]), "a:resolved b:active c:active firing");
    assert_eq!(stage.last.deliveries[0].facts.alerts.len(), 2, "one fires, one is over");
    assert_eq!(stage.last.held_back, [(stage::group("d"), HeldBack::HourlyLimit)]);
}

#[test]
fn each_channel_is_told_what_it_wants_to_hear() {
    let mut stage = Stage::new(with_defaults(json!({"notification_channels": ["Channel 1", "Channel 2"]})));
    stage.state.channels = vec![log_channel(TENANT, 1), log_channel(TENANT, 2)];
    stage.state.channels[1].send_resolved = false;
    stage.tick(0, &[("", 1)]);
    assert_eq!(stage.last.deliveries.len(), 2);
    stage.tick(60, &[("", 0)]);
    assert_eq!(stage.last.deliveries.len(), 1);
    assert_eq!(stage.last.deliveries[0].channel_id, stage.state.channels[0].id);
}

#[test]
fn whom_nobody_could_be_told_of_is_told_of_when_there_is_somebody() {
    let mut stage = Stage::new(with_defaults(json!({})));
    let channels = std::mem::take(&mut stage.state.channels);
    assert_eq!(stage.tick(0, &[("", 1)]), "active");
    stage.state.channels = channels.clone();
    assert_eq!(stage.tick(60, &[("", 1)]), "active firing");

    let mut stage = Stage::new(with_defaults(json!({})));
    stage.state.channels.clear();
    assert_eq!(stage.tick(0, &[("", 1)]), "active");
    stage.state.channels = channels;
    assert_eq!(stage.tick(60, &[("", 0)]), "quietly-resolved", "nobody knows of it");
}

#[test]
fn an_absent_group_stays_absent_after_everybody_has_forgotten_it() {
    let condition = json!({"condition": {"type": "absence", "look_back": "10m"}, "group_by": ["service"]});
    let mut stage = Stage::new(with_defaults(condition));
    assert_eq!(stage.tick(0, &[("a", 1), ("b", 0)]), "b:active firing");
    assert_eq!(stage.tick(60, &[("a", 1)]), "b:active", "it fell out of the look back");
    assert_eq!(stage.tick(120, &[("a", 0), ("b", 1)]), "a:active b:resolved firing");
}

#[test]
fn alerts_of_groups_that_a_changed_rule_does_not_have_resolve() {
    let mut stage =
        Stage::new(with_defaults(json!({"condition": {"type": "absence"}, "group_by": ["service"]})));
    assert_eq!(stage.tick(0, &[("a", 0)]), "a:active firing");
    stage.state.rule.definition.group_by = vec!["endpoint".parse().expect("a group field")];
    assert_eq!(stage.tick(60, &[]), "a:resolved");
}

#[test]
fn nothing_is_concluded_from_groups_that_were_not_looked_at() {
    let mut stage = Stage::new(with_defaults(json!({"group_by": ["service"]})));
    assert_eq!(stage.tick(0, &[("a", 1)]), "a:active firing");
    let observed = Observed { groups: Vec::new(), is_truncated: true };
    assert_eq!(stage.look(60, &observed), "a:active");
    assert_eq!(stage.tick(120, &[]), "a:resolved");
}

#[test]
fn titles_and_messages_say_what_happened() {
    let with = |members: Value, count: u64, measured: Option<f64>| {
        let mut stage = Stage::new(with_defaults(members));
        let window = figures(count, measured);
        let group = GroupObservation { labels: Labels::default(), window, earlier: figures(4, Some(10.0)) };
        stage.look(0, &Observed { groups: vec![group], is_truncated: false });
        stage.last.opened.first().cloned().expect("it fires")
    };
    let threshold = |condition: Value| json!({"condition": condition, "threshold_value": 1});
    for (members, count, measured, expected) in [
        (
            json!({"condition": {"type": "count", "min_count": 1}}),
            7,
            None,
            "High Event Count Alert: 7 events in 5m",
        ),
        (
            threshold(json!({"type": "threshold", "metric_field": "duration_ms"})),
            7,
            Some(12.5),
            "Threshold Exceeded: duration_ms = 12.5",
        ),
        (
            json!({"condition": {"type": "pattern", "pattern": {"type": "error_rate"}}}),
            8,
            Some(3.0),
            "High Error Rate: 37.5% in 5m",
        ),
        (
            json!({"condition": {"type": "pattern", "pattern": {"type": "response_time"}}}),
            8,
            Some(1_234.4),
            "High Response Time: 1234ms average",
        ),
        (json!({"condition": {"type": "absence"}}), 0, None, "No Events: none in 5m"),
        (
            threshold(json!({"type": "percentile", "percentile": "p99"})),
            1,
            Some(3.0),
            "Threshold Exceeded: p99 of duration_ms = 3",
        ),
        (threshold(json!({"type": "change"})), 6, None, "Change Detected: count by 50% in 5m"),
        (json!({}), 1, None, "Event Matched: 1 in 5m"),
    ] {
        let alert = with(members.clone(), count, measured);
        assert_eq!(alert.title, expected, "{members}");
        assert_eq!(alert.message, format!("Alert rule 'Rule 1' has been triggered.\n\n{expected}"));
        assert_eq!(alert.trigger_data["time_window"], "5m");
        assert_eq!(alert.trigger_data["event_count"], count);
    }
    let template = json!({
        "name": "{severity} {{secret}}",
        "notification_template": "{rule_name}|{event_count}|{time_window}|{severity}|{value}|{operator}|{threshold}|{group}",
        "condition": {"type": "count", "min_count": 3},
    });
    assert_eq!(with(template, 7, None).message, "{severity} {{secret}}|7|5m|high|7|>=|3|");
    let long =
        json!({"notification_template": "{rule_description}".repeat(100), "description": "ü".repeat(2_000)});
    assert_eq!(with(long, 1, None).message.len(), 4_096);
}

#[test]
fn a_status_is_only_changed_with_its_moment() {
    let mut stage = Stage::new(with_defaults(json!({"for": 60})));
    stage.tick(0, &[("", 1)]);
    stage.tick(60, &[("", 1)]);
    let alert = stage.state.open.first().cloned().expect("it is open");
    assert_eq!(
        (alert.status, alert.started_at, alert.triggered_at, alert.changed_at),
        (AlertStatus::Active, at(0), Some(at(60)), at(60))
    );
    let quiet = stage.tick(120, &[("", 1)]);
    assert_eq!(
        (quiet.as_str(), stage.last.is_empty()),
        ("active", true),
        "nothing is written when nothing changes"
    );
}
