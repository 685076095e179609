//! What alerts there have to be, worked out the long way.

use std::collections::{BTreeMap, BTreeSet};

use crate::cases::{Case, ConditionCase, EventCase, WINDOW};

/// A tick that was done, and when its events were looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Look {
    pub(crate) tick: i64,
    pub(crate) now: i64,
}

/// What became of one alert.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Outcome {
    pub(crate) group: String,
    pub(crate) started: i64,
    pub(crate) triggered: Option<i64>,
    pub(crate) resolved: Option<i64>,
}

/// Goes tick by tick through the life of each group, with windows that end `delay` seconds before their tick.
pub(crate) fn alerts(case: &Case, looks: &[Look], delay: i64) -> Vec<Outcome> {
    let ticks: Vec<i64> = looks.iter().map(|look| look.tick).collect();
    // The last worker may have gone on with the tick after.
    let expected: Vec<i64> =
        (0..ticks.len().max(case.ticks) as i64).map(|n| n * case.rule.interval).collect();
    assert_eq!(ticks, expected, "every tick is done once, and in order");

    let mut ended: Vec<Outcome> = Vec::new();
    let mut current: BTreeMap<String, (Outcome, Option<i64>)> = BTreeMap::new();
    for look in looks {
        let here: Vec<&EventCase> = case.events.iter().filter(|event| event.arrives <= look.now).collect();
        let end = look.tick - delay;
        let mut groups: BTreeSet<String> = current.keys().cloned().collect();
        if case.rule.is_grouped {
            let reach = case.rule.condition.reach();
            groups
                .extend(here.iter().filter(|e| e.happens >= end - reach && e.happens < end).map(|e| name(e)));
        } else {
            groups.insert(String::new());
        }
        for group in groups {
            let of_group: Vec<&EventCase> =
                here.iter().copied().filter(|event| !case.rule.is_grouped || name(event) == group).collect();
            let truth = case.rule.condition.truth(&of_group, end);
            let truth = match (truth, case.rule.no_data) {
                (None, "alert") => true,
                (None, "ok") => false,
                (None, _) => continue,
                (Some(truth), _) => truth,
            };
            let known = current.remove(&group);
            if !truth {
                match known {
                    Some((mut alert, false_since)) if alert.triggered.is_some() => {
                        let since = false_since.unwrap_or(look.tick);
                        if look.tick - since >= case.rule.keep_secs {
                            alert.resolved = Some(look.tick);
                            ended.push(alert);
                        } else {
                            current.insert(group, (alert, Some(since)));
                        }
                    }
                    _ => {}
                }
                continue;
            }
            let is_new = known.is_none();
            let (mut alert, _) = known.unwrap_or_else(|| {
                (Outcome { group: group.clone(), started: look.tick, triggered: None, resolved: None }, None)
            });
            if alert.triggered.is_none() && look.tick - alert.started >= case.rule.for_secs {
                let all = || ended.iter().chain(current.values().map(|(alert, _)| alert));
                let within_an_hour =
                    all().filter_map(|a| a.triggered).filter(|t| look.tick - t < 3_600).count();
                let mut of_same = all().filter(|other| other.group == group).filter_map(|a| a.triggered);
                let cools = of_same.any(|t| look.tick - t < case.rule.cooldown_minutes * 60);
                if within_an_hour < case.rule.max_per_hour && !cools {
                    alert.triggered = Some(look.tick);
                }
            }
            // Where nothing has to last, there is nothing before the alert.
            if alert.triggered.is_some() || !is_new || case.rule.for_secs > 0 {
                current.insert(group, (alert, None));
            }
        }
    }
    ended.extend(current.into_values().map(|(alert, _)| alert));
    ended.sort();
    ended
}

fn name(event: &EventCase) -> String {
    format!("s{}", event.service)
}

fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

impl ConditionCase {
    /// How far back an event makes its group known.
    fn reach(&self) -> i64 {
        match self {
            Self::GrowsByMoreThan(_) | Self::SlowsByMoreThan(_) => 2 * WINDOW,
            Self::Absent { look_back } => *look_back,
            _ => WINDOW,
        }
    }

    /// Whether it is true of these events in the window before `end`; `None` when that can't be said.
    fn truth(&self, events: &[&EventCase], end: i64) -> Option<bool> {
        let between = |from: i64, to: i64| -> Vec<&EventCase> {
            events.iter().copied().filter(|event| from <= event.happens && event.happens < to).collect()
        };
        let durations = |events: &[&EventCase]| -> Vec<f64> {
            let mut found: Vec<f64> = events.iter().filter_map(|event| Some(event.metrics?.1)).collect();
            found.sort_by(|a, b| a.partial_cmp(b).expect("they are numbers"));
            found
        };
        let with_status = |events: &[&EventCase], least: u16| {
            events.iter().filter(|event| event.metrics.is_some_and(|(status, _)| status >= least)).count()
                as f64
        };
        let window = between(end - WINDOW, end);
        let before = between(end - 2 * WINDOW, end - WINDOW);
        let many = window.len();
        let share = |some: f64| (many > 0).then(|| some / many as f64);
        match self {
            Self::Count { min, max } => Some(many >= *min && many <= *max),
            Self::CountAtMost(max) => Some(many <= *max),
            Self::Any => Some(many > 0),
            Self::Absent { .. } => Some(many == 0),
            Self::AverageAbove(limit) | Self::ResponseTimeAbove(limit) => {
                mean(&durations(&window)).map(|mean| mean > *limit)
            }
            Self::SlowestAbove(limit) => durations(&window).last().map(|slowest| slowest > limit),
            Self::P95Above(limit) => {
                let sorted = durations(&window);
                // The first value that 95 in 100 do not exceed.
                let enough = |value: &&f64| {
                    let not_above = sorted.iter().filter(|other| other <= value).count();
                    not_above * 100 >= sorted.len() * 95
                };
                sorted.iter().find(enough).map(|p95| p95 > limit)
            }
            Self::ErrorRateAbove(limit) => share(with_status(&window, 400)).map(|share| share > *limit),
            Self::FiveHundredsAbove(limit) => share(with_status(&window, 500)).map(|share| share > *limit),
            Self::GrowsByMoreThan(percent) => (!before.is_empty()).then(|| {
                let growth = (many as f64 - before.len() as f64) / before.len() as f64 * 100.0;
                growth > *percent
            }),
            Self::SlowsByMoreThan(limit) => {
                let (now, then) = (mean(&durations(&window))?, mean(&durations(&before))?);
                Some(now - then > *limit)
            }
        }
    }
}
