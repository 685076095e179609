//! Titles, messages, and what else is kept of a trigger.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    alerting::{Condition, Definition, Example, Figures, GroupObservation, Placeholder, Span, Transition},
};
use serde_json::{Map, Value, json};

use crate::judge::Judgement;

const MAX_TITLE_CHARS: usize = 255;
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// What is said of a group for which a rule fires.
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) trigger_data: Map<String, Value>,
}

impl Words {
    pub(crate) fn new(
        definition: &Definition,
        group: &GroupObservation,
        judgement: Judgement,
        window: Span,
        at: Timestamp,
    ) -> Self {
        let mut title = headline(definition, &group.window, judgement);
        if !group.labels.0.is_empty() {
            title = format!("{title} ({})", group.labels);
        }
        let title: String = plain(&title).chars().take(MAX_TITLE_CHARS).collect();
        let mut message = match &definition.notification_template {
            Some(template) => template.fill(&places(definition, group, judgement, &title, at)),
            None => message(definition, &title),
        };
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        Self { title, message, trigger_data: trigger_data(definition, group, judgement, window) }
    }
}

/// Labels hold whatever events say; a title is one line.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn headline(definition: &Definition, figures: &Figures, judgement: Judgement) -> String {
    let window = definition.time_window;
    let value = judgement.value.map_or_else(|| "no data".to_owned(), digits);
    let percent =
        judgement.value.map_or_else(|| "no data".to_owned(), |share| format!("{:.1}%", share * 100.0));
    match &definition.condition {
        Condition::Count { .. } => format!("High Event Count Alert: {} events in {window}", figures.count),
        Condition::Threshold { metric, .. } => format!("Threshold Exceeded: {metric} = {value}"),
        Condition::ErrorRate { .. } => format!("High Error Rate: {percent} in {window}"),
        Condition::ResponseTime { .. } => match judgement.value {
            Some(average) => format!("High Response Time: {average:.0}ms average"),
            None => "High Response Time: no data".to_owned(),
        },
        Condition::Absence { .. } => format!("No Events: none in {window}"),
        Condition::Percentile { field, percentile } => {
            format!("Threshold Exceeded: {percentile} of {field} = {value}")
        }
        Condition::Ratio { .. } => format!("Ratio Exceeded: {percent} of events in {window}"),
        Condition::Change { metric, mode, .. } => {
            let unit = if mode.as_str() == "percent" { "%" } else { "" };
            format!("Change Detected: {metric} by {value}{unit} in {window}")
        }
        Condition::Match => format!("Event Matched: {} in {window}", figures.count),
    }
}

fn message(definition: &Definition, title: &str) -> String {
    let mut message = format!("Alert rule '{}' has been triggered.\n\n{title}", definition.name);
    if let Some(description) = &definition.description {
        message.push_str("\n\n");
        message.push_str(description);
    }
    message
}

fn places(
    definition: &Definition,
    group: &GroupObservation,
    judgement: Judgement,
    title: &str,
    at: Timestamp,
) -> BTreeMap<Placeholder, String> {
    let (operator, threshold) = bound(definition);
    Placeholder::ALL
        .iter()
        .map(|place| {
            let value = match place {
                Placeholder::RuleName => definition.name.clone(),
                Placeholder::RuleDescription => definition.description.clone().unwrap_or_default(),
                Placeholder::ConditionType => definition.condition.kind().to_owned(),
                Placeholder::Severity => definition.severity.to_string(),
                Placeholder::TimeWindow => definition.time_window.to_string(),
                Placeholder::EventCount => group.window.count.to_string(),
                Placeholder::Value => judgement.value.map(digits).unwrap_or_default(),
                Placeholder::Threshold => digits(threshold),
                Placeholder::Operator => operator.to_owned(),
                Placeholder::Group => group.labels.to_string(),
                Placeholder::Title => title.to_owned(),
                Placeholder::TriggeredAt => at.to_string(),
            };
            (*place, value)
        })
        .collect()
}

/// The comparison that a condition comes down to.
fn bound(definition: &Definition) -> (&'static str, f64) {
    match &definition.condition {
        Condition::Count { min, .. } => (">=", crate::judge::number(*min)),
        Condition::ErrorRate { max } => (">", *max),
        Condition::ResponseTime { max_average } => (">", *max_average),
        Condition::Absence { .. } => ("==", 0.0),
        Condition::Match => (">", 0.0),
        _ => (definition.comparison().operator.as_str(), definition.comparison().threshold),
    }
}

/// The names are those that clients of the `trigger_data` know.
fn trigger_data(
    definition: &Definition,
    group: &GroupObservation,
    judgement: Judgement,
    window: Span,
) -> Map<String, Value> {
    let figures = &group.window;
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| _ = data.insert(name.to_owned(), value);
    put("condition_type", json!(definition.condition.kind()));
    put("time_window", json!(definition.time_window));
    put("window_start", json!(window.from));
    put("window_end", json!(window.to));
    put("event_count", json!(figures.count));
    put("latest_event_at", json!(figures.latest));
    let (operator, threshold) = bound(definition);
    match &definition.condition {
        Condition::Count { min, max } => {
            put("min_count", json!(min));
            put("max_count", json!(max));
        }
        Condition::Threshold { .. } | Condition::Percentile { .. } | Condition::Change { .. } => {
            if let Value::Object(condition) = definition.condition.to_json() {
                condition
                    .into_iter()
                    .filter(|(name, _)| name != "type")
                    .for_each(|(name, value)| put(&name, value));
            }
            put("metric_value", json!(judgement.value));
            put("threshold_value", json!(threshold));
            put("operator", json!(operator));
            put("events_count", json!(figures.count));
        }
        Condition::ErrorRate { max } => {
            put("error_rate", json!(judgement.value));
            put("max_error_rate", json!(max));
            put("total_events", json!(figures.count));
            put("error_events", json!(figures.measured.unwrap_or(0.0)));
        }
        Condition::ResponseTime { max_average } => {
            put("avg_response_time", json!(judgement.value));
            put("max_avg_response_time", json!(max_average));
            put("total_events", json!(figures.count));
        }
        Condition::Ratio { .. } => {
            put("ratio", json!(judgement.value));
            put("threshold_value", json!(threshold));
            put("operator", json!(operator));
            put("total_events", json!(figures.count));
            put("matching_events", json!(figures.measured.unwrap_or(0.0)));
        }
        Condition::Absence { look_back_secs } => put("look_back_seconds", json!(look_back_secs)),
        Condition::Match => {}
    }
    data
}

/// At most three digits behind the point, and no zeros at the end.
fn digits(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Adds events to what is kept and said of an alert.
pub(crate) fn quote(
    transition: &mut Transition,
    alert_id: pulsestream_domain::alerting::AlertId,
    examples: &[Example],
) {
    let sample: Value = examples
        .iter()
        .map(|example| {
            json!({
                "id": example.event_id,
                "event_type": example.event_type,
                "timestamp": example.occurred_at,
                "source": example.service,
            })
        })
        .collect();
    let alerts = transition.opened.iter_mut().chain(&mut transition.changed);
    let of_alerts = alerts.filter(|alert| alert.id == alert_id).map(|alert| &mut alert.trigger_data);
    let said = transition.deliveries.iter_mut().flat_map(|delivery| &mut delivery.facts.alerts);
    let of_said = said.filter(|alert| alert.alert_id == alert_id).map(|alert| &mut alert.trigger_data);
    for data in of_alerts.chain(of_said) {
        data.insert("events_sample".to_owned(), sample.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn numbers_are_written_short() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.000_1, "0"),
            (7.0, "7"),
            (100.0, "100"),
            (0.123_4, "0.123"),
            (-2.5, "-2.5"),
            (1e15, "1000000000000000"),
        ] {
            assert_eq!(digits(value), expected);
        }
    }
}
