//! Whether a condition holds.

use pulsestream_domain::alerting::{
    ChangeMode, Condition, Definition, Figures, GroupObservation, Metric, Operator,
};

/// What a condition says of a group.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Judgement {
    /// Whether it holds.
    pub verdict: Verdict,
    /// What was measured; none when there was nothing to measure.
    pub value: Option<f64>,
}

/// Whether a condition holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Clear,
    /// There is nothing to tell by: no events, none with the number, or a share or a change of nothing.
    NoData,
}

/// Asks a rule's condition about one group.
pub fn judge(definition: &Definition, group: &GroupObservation) -> Judgement {
    let count = group.window.count;
    let counted = |holds: bool| Judgement { verdict: verdict(holds), value: Some(number(count)) };
    let compare = |value: Option<f64>, operator: Operator, threshold: f64| Judgement {
        verdict: value.map_or(Verdict::NoData, |value| verdict(operator.holds(value, threshold))),
        value,
    };
    let comparison = definition.comparison();
    let compared = |value| compare(value, comparison.operator, comparison.threshold);
    match &definition.condition {
        Condition::Count { min, max } => counted(*min <= count && max.is_none_or(|max| count <= max)),
        Condition::Match => counted(count > 0),
        Condition::Absence { .. } => counted(count == 0),
        Condition::Threshold { metric, .. } => compared(measured(&group.window, *metric)),
        Condition::Percentile { .. } => compared(group.window.measured),
        Condition::ErrorRate { max } => compare(share(&group.window), Operator::Greater, *max),
        Condition::ResponseTime { max_average } => {
            compare(group.window.measured, Operator::Greater, *max_average)
        }
        Condition::Ratio { .. } => compared(share(&group.window)),
        Condition::Change { metric, mode, .. } => {
            let now = measured(&group.window, *metric);
            let before = measured(&group.earlier, *metric);
            compared(now.zip(before).and_then(|(now, before)| change(now, before, *mode)))
        }
    }
}

fn verdict(holds: bool) -> Verdict {
    if holds { Verdict::Holds } else { Verdict::Clear }
}

fn measured(figures: &Figures, metric: Metric) -> Option<f64> {
    match metric {
        Metric::Count => Some(number(figures.count)),
        Metric::StatusCode | Metric::DurationMs => figures.measured,
    }
}

/// A share of nothing is no number.
fn share(figures: &Figures) -> Option<f64> {
    (figures.count > 0).then(|| figures.measured.unwrap_or(0.0) / number(figures.count))
}

/// How many percent more than nothing is no number.
fn change(now: f64, before: f64, mode: ChangeMode) -> Option<f64> {
    match mode {
        ChangeMode::Absolute => Some(now - before),
        ChangeMode::Percent if before == 0.0 => None,
        ChangeMode::Percent => Some((now - before) / before.abs() * 100.0),
    }
}

/// Exact up to 2^53 events.
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}
