//! `/api/v1/alerting`: rules, their alerts, and who is told.
//!
//! | file | routes |
//! |---|---|
//! | `rules`, `evaluation`, `backtest` | rules: kept, tried, evaluated, replayed |
//! | `alerts`, `actions`, `stats` | alerts: read, acted on, counted |
//! | `silences` | times in which nobody is told |
//! | `channels`, `channel_secrets`, `channel_test` | who is told: kept, signed for, tried |
//! | `deliveries` | what was sent, and what came of it |
//!
//! Reading needs `events:read`, changing `rules:write`. Another tenant's object does not exist.

pub(crate) mod actions;
mod alert_json;
pub(crate) mod alerts;
pub(crate) mod backtest;
mod channel_json;
pub(crate) mod channel_secrets;
pub(crate) mod channel_test;
pub(crate) mod channels;
pub(crate) mod deliveries;
mod delivery_json;
pub(crate) mod evaluation;
mod request;
mod rule_json;
pub(crate) mod rules;
pub(crate) mod silences;
pub(crate) mod stats;

use crate::endpoint::Endpoint;

/// What meets somebody else's change begins again, so often at most.
const MAX_ROUNDS: u32 = 5;
const KEPT_CHANGING: &str = "it kept being changed by others";

/// Every route here.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    let at = Endpoint::at;
    vec![
        at("/api/v1/alerting/rules").post(rules::create_rule).get(rules::list_rules),
        at("/api/v1/alerting/rules/backtest").post(backtest::backtest_rule),
        at("/api/v1/alerting/rules/{rule_id}")
            .get(rules::get_rule)
            .put(rules::update_rule)
            .delete(rules::delete_rule),
        at("/api/v1/alerting/rules/{rule_id}/test").post(evaluation::test_rule),
        at("/api/v1/alerting/evaluate").post(evaluation::evaluate_rules),
        at("/api/v1/alerting/alerts").get(alerts::list_alerts),
        at("/api/v1/alerting/alerts/{alert_id}").get(alerts::get_alert),
        at("/api/v1/alerting/alerts/{alert_id}/timeline").get(alerts::alert_timeline),
        at("/api/v1/alerting/alerts/{alert_id}/acknowledge").post(actions::acknowledge_alert),
        at("/api/v1/alerting/alerts/{alert_id}/suppress").post(actions::suppress_alert),
        at("/api/v1/alerting/alerts/{alert_id}/reactivate").post(actions::reactivate_alert),
        at("/api/v1/alerting/alerts/{alert_id}/resolve").post(actions::resolve_alert),
        at("/api/v1/alerting/stats").get(stats::alerting_stats),
        at("/api/v1/alerting/silences").post(silences::create_silence).get(silences::list_silences),
        at("/api/v1/alerting/silences/{silence_id}").get(silences::get_silence).delete(silences::end_silence),
        at("/api/v1/alerting/channels").post(channels::create_channel).get(channels::list_channels),
        at("/api/v1/alerting/channels/{channel_id}")
            .get(channels::get_channel)
            .put(channels::update_channel)
            .delete(channels::delete_channel),
        at("/api/v1/alerting/channels/{channel_id}/test").post(channel_test::test_channel),
        at("/api/v1/alerting/channels/{channel_id}/rotate-secret").post(channel_secrets::rotate_secret),
        at("/api/v1/alerting/deliveries").get(deliveries::list_deliveries),
        at("/api/v1/alerting/deliveries/recover").post(deliveries::recover_deliveries),
        at("/api/v1/alerting/deliveries/{delivery_id}").get(deliveries::get_delivery),
        at("/api/v1/alerting/deliveries/{delivery_id}/resend").post(deliveries::resend_delivery),
    ]
}
