//! Rules, timelines and fates.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

/// One play: a rule, what happens, and what befalls the workers.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) rule: RuleCase,
    pub(crate) events: Vec<EventCase>,
    pub(crate) ticks: usize,
    /// For each attempt at a job, over and over.
    pub(crate) fates: Vec<Fate>,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleCase {
    pub(crate) condition: ConditionCase,
    pub(crate) is_grouped: bool,
    pub(crate) interval: i64,
    pub(crate) for_secs: i64,
    pub(crate) keep_secs: i64,
    pub(crate) cooldown_minutes: i64,
    pub(crate) max_per_hour: usize,
    /// `ok`, `alert`, `keep_last`
    pub(crate) no_data: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) enum ConditionCase {
    Count { min: usize, max: usize },
    CountAtMost(usize),
    AverageAbove(f64),
    SlowestAbove(f64),
    P95Above(f64),
    ErrorRateAbove(f64),
    ResponseTimeAbove(f64),
    FiveHundredsAbove(f64),
    GrowsByMoreThan(f64),
    SlowsByMoreThan(f64),
    Absent { look_back: i64 },
    Any,
}

/// An event, in seconds since the start.
#[derive(Clone, Debug)]
pub(crate) struct EventCase {
    pub(crate) happens: i64,
    pub(crate) arrives: i64,
    pub(crate) service: u8,
    /// Status and duration.
    pub(crate) metrics: Option<(u16, f64)>,
    /// Sent so many times.
    pub(crate) sent: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    /// Nothing befalls the worker, who comes so many seconds late.
    Late { secs: i64 },
    /// It dies at this step.
    Dies { step: u32 },
    /// After so many steps its lease ends and another one takes over; from then on they take turns in this
    /// order.
    Meets { before: u32, order: u16 },
    /// Its lease is over before it begins, which its clock does not say: another one takes over at the same time.
    Races,
    /// It is dropped when it has waited so many times: in the middle of a statement, where there are any.
    Cut { waits: u32 },
}

pub(crate) const WINDOW: i64 = 60;
pub(crate) const DELAY: i64 = 10;

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (rule(), vec(event(), 0..60), 1..20_usize, vec(fate(), 1..12))
        .prop_map(|(rule, events, ticks, fates)| Case { rule, events, ticks, fates })
}

fn rule() -> impl Strategy<Value = RuleCase> {
    let times = (
        prop::sample::select(vec![20, 30, 60]),
        prop::sample::select(vec![0, 0, 30, 60, 100]),
        prop::sample::select(vec![0, 0, 30, 90]),
        prop::sample::select(vec![0, 0, 1, 3]),
    );
    let no_data = prop::sample::select(vec!["ok", "ok", "alert", "keep_last"]);
    let max_per_hour = prop::sample::select(vec![1, 2, 5, 100]);
    (condition(), any::<bool>(), times, max_per_hour, no_data).prop_map(
        |(
            condition,
            is_grouped,
            (interval, for_secs, keep_secs, cooldown_minutes),
            max_per_hour,
            no_data,
        )| RuleCase {
            condition,
            is_grouped,
            interval,
            for_secs,
            keep_secs,
            cooldown_minutes,
            max_per_hour,
            no_data,
        },
    )
}

fn condition() -> impl Strategy<Value = ConditionCase> {
    prop_oneof![
        (1..4_usize, 0..4_usize).prop_map(|(min, more)| ConditionCase::Count { min, max: min + more }),
        (0..3_usize).prop_map(ConditionCase::CountAtMost),
        (50.0..200.0).prop_map(ConditionCase::AverageAbove),
        (50.0..250.0).prop_map(ConditionCase::SlowestAbove),
        (50.0..250.0).prop_map(ConditionCase::P95Above),
        (0.0..0.9).prop_map(ConditionCase::ErrorRateAbove),
        (50.0..200.0).prop_map(ConditionCase::ResponseTimeAbove),
        (0.0..0.9).prop_map(ConditionCase::FiveHundredsAbove),
        (-60.0..100.0).prop_map(ConditionCase::GrowsByMoreThan),
        (-50.0..50.0).prop_map(ConditionCase::SlowsByMoreThan),
        (2..6_i64).prop_map(|minutes| ConditionCase::Absent { look_back: minutes * 60 }),
        Just(ConditionCase::Any),
    ]
}

fn event() -> impl Strategy<Value = EventCase> {
    let metrics = proptest::option::weighted(
        0.8,
        (prop::sample::select(vec![200, 200, 399, 400, 404, 500, 503]), (0..300_u16).prop_map(f64::from)),
    );
    let delay = prop_oneof![6 => 0..8_i64, 2 => 8..30_i64, 1 => 30..400_i64];
    let sent = prop_oneof![5 => Just(1_usize), 1 => 2..4_usize];
    (-300..600_i64, delay, 0..4_u8, metrics, sent).prop_map(|(happens, delay, service, metrics, sent)| {
        EventCase { happens, arrives: happens + delay, service, metrics, sent }
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => (0..5_i64).prop_map(|secs| Fate::Late { secs }),
        1 => (60..200_i64).prop_map(|secs| Fate::Late { secs }),
        3 => (0..14_u32).prop_map(|step| Fate::Dies { step }),
        3 => (0..12_u32, any::<u16>()).prop_map(|(before, order)| Fate::Meets { before, order }),
        3 => Just(Fate::Races),
        // Mostly early: how often a worker waits is for the database to say, and a fast one lets it wait seldom.
        3 => (0..24_u32).prop_map(|wait| Fate::Cut { waits: wait * wait / 24 }),
    ]
}

impl Case {
    /// Services that fire and come to rest, one after the other.
    pub(crate) fn of_a_burst() -> Self {
        let event = |happens: i64, service| EventCase {
            happens,
            arrives: happens + 1,
            service,
            metrics: None,
            sent: 2,
        };
        Self {
            rule: RuleCase {
                condition: ConditionCase::Any,
                is_grouped: true,
                interval: 60,
                for_secs: 60,
                keep_secs: 60,
                cooldown_minutes: 0,
                max_per_hour: 100,
                no_data: "ok",
            },
            events: [0, 30, 60, 90, 120, 240, 300]
                .map(|secs| event(secs, 0))
                .into_iter()
                .chain([event(100, 1), event(150, 1)])
                .collect(),
            ticks: 8,
            fates: vec![Fate::Late { secs: 0 }; 8],
        }
    }

    pub(crate) fn with_fate(mut self, attempt: usize, fate: Fate) -> Self {
        self.fates[attempt] = fate;
        self
    }
}

impl RuleCase {
    pub(crate) fn to_json(&self) -> Value {
        let mut rule = json!({
            "name": "R",
            "severity": "high",
            "time_window": "1m",
            "condition": self.condition.to_json(),
            "group_by": if self.is_grouped { json!(["service"]) } else { json!([]) },
            "evaluation_interval": self.interval,
            "for": self.for_secs,
            "keep_firing_for": self.keep_secs,
            "cooldown_minutes": self.cooldown_minutes,
            "max_alerts_per_hour": self.max_per_hour,
            "no_data": self.no_data,
            "notification_channels": ["log"],
        });
        if let Some(threshold) = self.condition.threshold() {
            rule["threshold_operator"] = json!(">");
            rule["threshold_value"] = json!(threshold);
        }
        rule
    }
}

impl ConditionCase {
    fn to_json(&self) -> Value {
        match self {
            Self::Count { min, max } => json!({"type": "count", "min_count": min, "max_count": max}),
            Self::CountAtMost(max) => json!({"type": "count", "max_count": max}),
            Self::AverageAbove(_) => json!({"type": "threshold", "metric_field": "duration_ms"}),
            Self::SlowestAbove(_) => {
                json!({"type": "threshold", "metric_field": "duration_ms", "aggregate": "max"})
            }
            Self::P95Above(_) => json!({"type": "percentile", "percentile": "p95"}),
            Self::ErrorRateAbove(max) => {
                json!({"type": "pattern", "pattern": {"type": "error_rate", "max_error_rate": max}})
            }
            Self::ResponseTimeAbove(max) => {
                json!({"type": "pattern", "pattern": {"type": "response_time", "max_avg_response_time": max}})
            }
            Self::FiveHundredsAbove(_) => json!({"type": "ratio", "numerator": {"status_code": "5xx"}}),
            Self::GrowsByMoreThan(_) => json!({"type": "change"}),
            Self::SlowsByMoreThan(_) => {
                json!({"type": "change", "metric_field": "duration_ms", "mode": "absolute"})
            }
            Self::Absent { look_back } => json!({"type": "absence", "look_back": look_back}),
            Self::Any => json!({"type": "match"}),
        }
    }

    fn threshold(&self) -> Option<f64> {
        match self {
            Self::AverageAbove(value)
            | Self::SlowestAbove(value)
            | Self::P95Above(value)
            | Self::FiveHundredsAbove(value)
            | Self::GrowsByMoreThan(value)
            | Self::SlowsByMoreThan(value) => Some(*value),
            _ => None,
        }
    }
}
