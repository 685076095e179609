//! What clients send about alerting, for the OpenAPI document only: the rules themselves are the domain's.
#![expect(dead_code, reason = "these types describe JSON and parameters and are never made")]

use std::collections::BTreeMap;

use utoipa::{
    IntoParams, ToSchema,
    openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
};

use super::{
    schemas::Search,
    words::{AlertSeverityWord, DeliveryStateWord, EventTypeWord, NoDataWord, OperatorWord, WindowWord},
};

/// Seconds, a text such as `90s`, `5m`, `2h` or `7d`, or nothing.
fn duration() -> Schema {
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)))
        .item(ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+[smhd]$")))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .build()
        .into()
}

/// A rule: which events, over what time, and when it fires.
#[derive(ToSchema)]
pub(crate) struct NewRule {
    #[schema(min_length = 1, max_length = 255, example = "Many errors")]
    name: String,
    #[schema(max_length = 2_000)]
    description: Option<String>,
    /// Only events of this type.
    #[schema(inline, value_type = Option<EventTypeWord>)]
    event_type: Option<String>,
    /// Only events that this search finds; without times, order and page.
    filter: Option<Search>,
    /// At most 3 of `event_type`, `severity`, `service`, `endpoint`, `method`, `environment`, `status_code`,
    /// `user_id` and `tags.<key>`: each combination of their values has an alert of its own.
    #[schema(max_items = 3)]
    group_by: Option<Vec<String>>,
    condition: Condition,
    /// For conditions that compare: `threshold`, `percentile`, `ratio`, `change`.
    threshold_value: Option<f64>,
    /// `>`, `>=`, `<`, `<=`, `==` or `!=`.
    /// Without it: `>`.
    #[schema(inline, value_type = Option<OperatorWord>)]
    threshold_operator: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(pattern = "^(low|medium|high|critical)$", example = "high")]
    severity: String,
    /// `1m`, `5m`, `15m`, `1h`, `6h`, `24h` or `7d`.
    /// Without it: `5m`.
    #[schema(inline, value_type = Option<WindowWord>)]
    time_window: Option<String>,
    /// Seconds from one evaluation to the next.
    #[schema(minimum = 1, maximum = 86_400, default = 60)]
    evaluation_interval: Option<u32>,
    /// For how long the condition has to hold before there is an alert: seconds, or a text such as `5m`.
    #[schema(schema_with = duration)]
    r#for: Option<()>,
    /// For how long the condition must not hold before the alert is over.
    #[schema(schema_with = duration)]
    keep_firing_for: Option<()>,
    /// How often receivers are told again while nobody has acknowledged the alert; at least `1m`. Never when absent.
    #[schema(schema_with = duration)]
    repeat_interval: Option<()>,
    /// What happens without anything to measure: `ok`, `alert` or `keep_last`.
    /// Without it: `ok`.
    #[schema(inline, value_type = Option<NoDataWord>)]
    no_data: Option<String>,
    #[schema(minimum = 0, maximum = 10_080, default = 5)]
    cooldown_minutes: Option<u32>,
    /// Over all groups.
    #[schema(minimum = 1, maximum = 1_000, default = 10)]
    max_alerts_per_hour: Option<u32>,
    /// Ids or names of channels, or a type of channel, which means every enabled one of it.
    #[schema(max_items = 20)]
    notification_channels: Option<Vec<String>>,
    /// Takes the place of the message; `{{rule_name}}` and the like stand for values.
    notification_template: Option<String>,
    #[schema(default = true)]
    is_active: Option<bool>,
}

/// What to change of a rule; as in a new one. What is absent stays.
#[derive(ToSchema)]
pub(crate) struct RuleChanges {
    name: Option<String>,
    description: Option<String>,
    condition: Option<Condition>,
    threshold_value: Option<f64>,
    #[schema(inline, value_type = Option<OperatorWord>)]
    threshold_operator: Option<String>,
    #[schema(inline, value_type = Option<AlertSeverityWord>)]
    severity: Option<String>,
    #[schema(inline, value_type = Option<WindowWord>)]
    time_window: Option<String>,
    evaluation_interval: Option<u32>,
    cooldown_minutes: Option<u32>,
    max_alerts_per_hour: Option<u32>,
    notification_channels: Option<Vec<String>>,
    is_active: Option<bool>,
}

/// When a rule fires. `type` decides which other members there are.
#[derive(ToSchema)]
pub(crate) struct Condition {
    /// `count`, `threshold`, `pattern`, `absence`, `percentile`, `ratio`, `change` or `match`.
    #[schema(example = "count")]
    r#type: String,
    /// Of `count`: at least this many events.
    min_count: Option<u64>,
    /// Of `count`: at most this many.
    max_count: Option<u64>,
    /// Of `threshold` and `change`: `status_code`, `duration_ms` or `count`.
    metric_field: Option<String>,
    /// Of `pattern`: `{"type": "error_rate", "max_error_rate"}` or
    /// `{"type": "response_time", "max_avg_response_time"}`.
    #[schema(value_type = Option<Object>)]
    pattern: Option<()>,
    /// Of `percentile`: `p50`, `p95` or `p99`.
    percentile: Option<String>,
    /// Of `ratio`: the search whose share counts.
    numerator: Option<Search>,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident { $by:ident })*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub(crate) struct $name {
            /// Who it is; the name of the credential when absent.
            #[schema(max_length = 255, pattern = r"^ *[^\u0000-\u0020\u007f-\u00a0][^\u0000-\u001f\u007f-\u009f]*$")]
            $by: Option<String>,
            #[schema(max_length = 2_000, pattern = r"^[\t\n\r ]*[^\u0000-\u0020\u007f-\u00a0]([\t\n\r]|[^\u0000-\u001f\u007f-\u009f])*$")]
            note: Option<String>,
        }
    )*};
}

actions! {
    /// Who takes an alert on.
    Acknowledge { acknowledged_by }
    /// Who stops the notices of an alert.
    Suppress { suppressed_by }
    /// Who makes an alert active again.
    Reactivate { reactivated_by }
    /// Who ends an alert.
    Resolve { resolved_by }
}

/// Which rule to replay, and over what time: `rule` or `rule_id`.
#[derive(ToSchema)]
pub(crate) struct BacktestRequest {
    rule: Option<NewRule>,
    #[schema(format = Uuid)]
    rule_id: Option<String>,
    #[schema(format = DateTime)]
    start_time: String,
    /// After `start_time`, by at most 366 days.
    #[schema(format = DateTime)]
    end_time: String,
}

/// A time in which nobody is told of some alerts.
#[derive(ToSchema)]
pub(crate) struct NewSilence {
    /// All have to be true of an alert.
    #[schema(min_items = 1, max_items = 10)]
    matchers: Vec<NewMatcher>,
    /// Now when absent.
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// After the start, by at most 366 days.
    #[schema(format = DateTime)]
    ends_at: String,
    #[schema(max_length = 1_000)]
    comment: Option<String>,
}

/// One thing that has to be true of an alert.
#[derive(ToSchema)]
pub(crate) struct NewMatcher {
    /// `rule_id`, `rule_name`, `severity` or a label.
    #[schema(example = "service")]
    name: String,
    /// The whole value, or a pattern with `*`.
    #[schema(example = "shop*")]
    value: String,
    #[schema(default = true)]
    is_equal: Option<bool>,
}

/// Somebody to tell. `type` decides which other members there are.
#[derive(ToSchema)]
pub(crate) struct NewChannel {
    /// Unique; not the name of a type.
    #[schema(min_length = 1, max_length = 100, example = "on-call")]
    name: String,
    /// `webhook`, `slack`, `email`, `pagerduty` or `log`.
    #[schema(pattern = "^(webhook|slack|email|pagerduty|log)$", example = "webhook")]
    r#type: String,
    #[schema(default = true)]
    enabled: Option<bool>,
    /// Whether it is told when an alert is over.
    #[schema(default = true)]
    send_resolved: Option<bool>,
    /// Of `webhook` and `slack`.
    #[schema(example = "https://hooks.example.com/pulse")]
    url: Option<String>,
    /// Of `webhook`: `standard` (Standard Webhooks) or `alertmanager`.
    #[schema(default = "standard")]
    format: Option<String>,
    /// Of `webhook`: sent along; the values are not shown again.
    headers: Option<BTreeMap<String, String>>,
    /// Of `email`: 1 to 20 addresses.
    to: Option<Vec<String>>,
    /// Of `pagerduty`; not shown again.
    routing_key: Option<String>,
}

/// Whose failed deliveries are sent again.
#[derive(ToSchema)]
pub(crate) struct Recovery {
    #[schema(format = Uuid)]
    channel_id: String,
    /// Those decided at this instant or later.
    #[schema(format = DateTime)]
    since: String,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    #[param(minimum = 1, maximum = 1_000, default = 100)]
    limit: Option<u32>,
    #[param(minimum = 0, maximum = 4_294_967_295_u64, value_type = Option<u64>)]
    offset: Option<u32>,
}

/// Which rules.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RuleParameters {
    /// Only those that are evaluated.
    #[param(default = false)]
    active_only: Option<bool>,
}

/// Which alerts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertParameters {
    /// `pending`, `active`, `acknowledged`, `suppressed`, `resolved`, or several with commas.
    #[param(
        pattern = "^(pending|active|acknowledged|suppressed|resolved)(,(pending|active|acknowledged|suppressed|resolved))*$"
    )]
    status_filter: Option<String>,
    /// `low`, `medium`, `high`, `critical`, or several with commas.
    #[param(pattern = "^(low|medium|high|critical)(,(low|medium|high|critical))*$")]
    severity_filter: Option<String>,
    /// Only those of this rule.
    #[param(format = Uuid)]
    rule_id: Option<String>,
}

/// Which deliveries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryParameters {
    #[param(format = Uuid)]
    channel_id: Option<String>,
    /// Only those that tell of this alert.
    #[param(format = Uuid)]
    alert_id: Option<String>,
    /// `pending`, `delivered` or `failed`.
    #[param(inline, value_type = Option<DeliveryStateWord>)]
    state: Option<String>,
    /// Only those decided at this instant or later.
    #[param(format = DateTime)]
    since: Option<String>,
}

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident { $id:ident })*) => {$(
        $(#[$doc])*
        #[derive(IntoParams)]
        #[into_params(parameter_in = Path)]
        pub(crate) struct $name {
            #[param(format = Uuid)]
            $id: String,
        }
    )*};
}

paths! {
    /// Which rule.
    RulePath { rule_id }
    /// Which alert.
    AlertPath { alert_id }
    /// Which silence.
    SilencePath { silence_id }
    /// Which channel.
    ChannelPath { channel_id }
    /// Which delivery.
    DeliveryPath { delivery_id }
}
