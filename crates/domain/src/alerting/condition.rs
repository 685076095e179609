//! When a rule fires.

use serde_json::{Value, json};

use super::{
    Aggregate, Measure, Metric, NumberField, Operator, SavedSearch, TimeWindow, duration, object::Object,
};
use crate::event::{FieldError, Reason, names::names};

names! {
    /// How a window is compared with the one before it.
    ChangeMode {
        /// The difference as a share of the earlier value, in percent: 50 is half as much again.
        Percent = "percent",
        /// The difference itself.
        Absolute = "absolute",
    }
}

/// What has to be true of a window of events, for each group.
///
/// Conditions that compare do so with the rule's [`Comparison`]; the others bring their bounds along.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// So many events, from `min` to `max`, both included. No events are a number, too.
    Count {
        /// At least this many; 0 by default.
        min: u64,
        /// At most this many; any number by default. Not below `min`.
        max: Option<u64>,
    },
    /// An aggregate of the events compares with the threshold.
    Threshold {
        /// What is measured.
        metric: Metric,
        /// How many numbers become one; without meaning for [`Metric::Count`].
        aggregate: Aggregate,
    },
    /// More than this share of the events has a `status_code` of 400 or more.
    ErrorRate {
        /// 0 to 1; 0.1 by default.
        max: f64,
    },
    /// The mean of `duration_ms` is above this.
    ResponseTime {
        /// In milliseconds; 1,000 by default.
        max_average: f64,
    },
    /// There is no event. With groups: none of a group that had one in the time before.
    Absence {
        /// How far back a group is looked for, in seconds from the end of the window; whole
        /// minutes, longer than the window, at most 30 days.
        look_back_secs: u64,
    },
    /// A percentile compares with the threshold.
    Percentile {
        /// Of what.
        field: NumberField,
        /// `p50`, `p95` or `p99`.
        percentile: Aggregate,
    },
    /// The share of the events that this search finds compares with the threshold, from 0 to 1.
    Ratio {
        /// Asked of the events that the rule's own filter finds.
        numerator: Box<SavedSearch>,
    },
    /// The difference to the window before compares with the threshold.
    Change {
        /// What is measured in both.
        metric: Metric,
        /// How many numbers become one; without meaning for [`Metric::Count`].
        aggregate: Aggregate,
        /// How the difference is written.
        mode: ChangeMode,
    },
    /// There is any event.
    Match,
}

/// What a value is compared with.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Comparison {
    /// Value on the left, threshold on the right.
    pub operator: Operator,
    /// Finite.
    pub threshold: f64,
}

/// The longest look back.
const MAX_LOOK_BACK_SECS: u64 = 30 * 86_400;

impl Condition {
    /// The name of its kind, as `type` says it; a pattern's own kind for patterns.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Count { .. } => "count",
            Self::Threshold { .. } => "threshold",
            Self::ErrorRate { .. } => "error_rate",
            Self::ResponseTime { .. } => "response_time",
            Self::Absence { .. } => "absence",
            Self::Percentile { .. } => "percentile",
            Self::Ratio { .. } => "ratio",
            Self::Change { .. } => "change",
            Self::Match => "match",
        }
    }

    /// Whether it needs the rule's threshold.
    pub const fn compares(&self) -> bool {
        matches!(
            self,
            Self::Threshold { .. } | Self::Percentile { .. } | Self::Ratio { .. } | Self::Change { .. }
        )
    }

    /// What has to be measured besides the number of events.
    pub fn measure(&self) -> Option<Measure> {
        let aggregate =
            |metric: Metric, aggregate| metric.field().map(|field| Measure::Aggregate { field, aggregate });
        match self {
            Self::Count { .. } | Self::Absence { .. } | Self::Match => None,
            Self::Threshold { metric, aggregate: of } | Self::Change { metric, aggregate: of, .. } => {
                aggregate(*metric, *of)
            }
            Self::ErrorRate { .. } => Some(Measure::Errors),
            Self::ResponseTime { .. } => aggregate(Metric::DurationMs, Aggregate::Average),
            Self::Percentile { field, percentile } => {
                Some(Measure::Aggregate { field: *field, aggregate: *percentile })
            }
            Self::Ratio { numerator } => Some(Measure::Matching(Box::new(numerator.filter().clone()))),
        }
    }

    /// Reads a condition of a rule with this window.
    pub(super) fn parse(mut object: Object, window: TimeWindow) -> Result<Self, Vec<FieldError>> {
        let kind: String = object.line("type", 50).unwrap_or_else(|| "count".to_owned());
        let condition = match kind.as_str() {
            "count" => count(&mut object),
            "threshold" => {
                object.require(&["metric_field"]);
                let metric = object.name("metric_field");
                let aggregate = object.name("aggregate").unwrap_or(Aggregate::Average);
                metric.map(|metric| Self::Threshold { metric, aggregate })
            }
            "pattern" => pattern(&mut object),
            "absence" => absence(&mut object, window),
            "percentile" => percentile(&mut object),
            "ratio" => {
                object.require(&["numerator"]);
                let pointer = object.pointer_to("numerator");
                let numerator = object.value("numerator").map(|value| SavedSearch::parse(&pointer, value));
                match numerator {
                    Some(Err(errors)) => {
                        object.absorb(errors);
                        None
                    }
                    numerator => numerator
                        .and_then(Result::ok)
                        .map(|numerator| Self::Ratio { numerator: Box::new(numerator) }),
                }
            }
            "change" => {
                let metric = object.name("metric_field").unwrap_or(Metric::Count);
                let aggregate = object.name("aggregate").unwrap_or(Aggregate::Average);
                let mode = object.name("mode").unwrap_or(ChangeMode::Percent);
                Some(Self::Change { metric, aggregate, mode })
            }
            "match" => Some(Self::Match),
            _ => {
                object.refuse("type", Reason::UnknownValue);
                // Which other members it may have is not known.
                return Err(object.errors_alone());
            }
        };
        let errors = object.close();
        condition.filter(|_| errors.is_empty()).ok_or(errors)
    }

    /// As a client would write it, in full.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Count { min, max } => json!({"type": "count", "min_count": min, "max_count": max}),
            Self::Threshold { metric, aggregate } => {
                json!({"type": "threshold", "metric_field": metric, "aggregate": aggregate})
            }
            Self::ErrorRate { max } => {
                json!({"type": "pattern", "pattern": {"type": "error_rate", "max_error_rate": max}})
            }
            Self::ResponseTime { max_average } => json!({
                "type": "pattern",
                "pattern": {"type": "response_time", "max_avg_response_time": max_average},
            }),
            Self::Absence { look_back_secs } => {
                json!({"type": "absence", "look_back": duration::text(*look_back_secs)})
            }
            Self::Percentile { field, percentile } => {
                json!({"type": "percentile", "metric_field": field, "percentile": percentile})
            }
            Self::Ratio { numerator } => json!({"type": "ratio", "numerator": numerator.to_json()}),
            Self::Change { metric, aggregate, mode } => {
                json!({"type": "change", "metric_field": metric, "aggregate": aggregate, "mode": mode})
            }
            Self::Match => json!({"type": "match"}),
        }
    }
}

fn count(object: &mut Object) -> Option<Condition> {
    const COUNTS: std::ops::RangeInclusive<u64> = 0..=1_000_000_000_000;
    let min = object.whole_number("min_count", COUNTS).unwrap_or(0);
    let max = object.whole_number("max_count", COUNTS);
    if max.is_some_and(|max| max < min) {
        object.refuse_because("max_count", Reason::OutOfRange, "must not be below min_count");
    }
    Some(Condition::Count { min, max })
}

fn pattern(object: &mut Object) -> Option<Condition> {
    object.require(&["pattern"]);
    let mut pattern = object.object("pattern")?;
    pattern.require(&["type"]);
    let condition = match pattern.line("type", 50).as_deref() {
        Some("error_rate") => {
            Some(Condition::ErrorRate { max: pattern.number("max_error_rate", 0.0..=1.0).unwrap_or(0.1) })
        }
        Some("response_time") => {
            let max_average = pattern.number("max_avg_response_time", 0.0..=1e12).unwrap_or(1_000.0);
            Some(Condition::ResponseTime { max_average })
        }
        Some(_) => {
            pattern.refuse("type", Reason::UnknownValue);
            object.absorb(pattern.errors_alone());
            return None;
        }
        None => None,
    };
    object.absorb(pattern.close());
    condition
}

fn absence(object: &mut Object, window: TimeWindow) -> Option<Condition> {
    let window = u64::from(window.secs());
    let default = if window < 86_400 { 86_400 } else { 2 * window };
    let range = window + 1..=MAX_LOOK_BACK_SECS;
    let look_back_secs = object.duration("look_back", range).unwrap_or(default);
    if !look_back_secs.is_multiple_of(60) {
        object.refuse_because("look_back", Reason::BadDuration, "must be whole minutes");
    }
    Some(Condition::Absence { look_back_secs })
}

fn percentile(object: &mut Object) -> Option<Condition> {
    object.require(&["percentile"]);
    let field = object.name("metric_field").unwrap_or(NumberField::DurationMs);
    let percentile: Aggregate = object.name("percentile")?;
    if percentile.percent().is_none() {
        object.refuse("percentile", Reason::UnknownValue);
    }
    Some(Condition::Percentile { field, percentile })
}
