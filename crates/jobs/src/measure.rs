//! Metrics.

use std::{collections::BTreeMap, time::Duration};

use metrics::{counter, gauge, histogram};
use pulsestream_domain::{
    Timestamp,
    job::{JobKind, QueueFigures, Settlement},
};

/// How an attempt ended; the label `outcome`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Completed,
    Again,
    Retried,
    Dead,
    Released,
    SettledByHandler,
    LeaseLost,
}

impl Outcome {
    pub(crate) const fn of(settlement: &Settlement) -> Self {
        match settlement {
            Settlement::Complete => Self::Completed,
            Settlement::Again { .. } => Self::Again,
            Settlement::Retry { .. } => Self::Retried,
            Settlement::Bury { .. } => Self::Dead,
            Settlement::Release => Self::Released,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Again => "again",
            Self::Retried => "retried",
            Self::Dead => "dead",
            Self::Released => "released",
            Self::SettledByHandler => "settled_by_handler",
            Self::LeaseLost => "lease_lost",
        }
    }
}

pub(crate) fn claimed(kind: &JobKind) {
    counter!("jobs_claimed_total", "kind" => label(kind)).increment(1);
}

pub(crate) fn ran(kind: &JobKind, took: Duration) {
    histogram!("jobs_run_seconds", "kind" => label(kind)).record(took.as_secs_f64());
}

pub(crate) fn ended(kind: &JobKind, outcome: Outcome) {
    counter!("jobs_attempts_total", "kind" => label(kind), "outcome" => outcome.as_str()).increment(1);
}

/// Shows what the queue holds. Of these kinds, one without a job is shown as empty.
pub(crate) fn queue<'a>(
    kinds: impl Iterator<Item = &'a JobKind>,
    figures: &'a [QueueFigures],
    now: Timestamp,
) {
    let mut by_kind: BTreeMap<&JobKind, Option<&QueueFigures>> = kinds.map(|kind| (kind, None)).collect();
    by_kind.extend(figures.iter().map(|figures| (&figures.kind, Some(figures))));
    for (kind, figures) in by_kind {
        let show = |name, of: fn(&QueueFigures) -> u64| {
            gauge!(name, "kind" => label(kind)).set(figures.map_or(0, of) as f64);
        };
        show("jobs_due", |figures| figures.due);
        show("jobs_scheduled", |figures| figures.scheduled);
        show("jobs_leased", |figures| figures.leased);
        show("jobs_dead", |figures| figures.dead);
        let oldest = figures.and_then(|figures| figures.oldest_due);
        let micros = oldest.map_or(0, |oldest| now.as_micros().saturating_sub(oldest.as_micros()).max(0));
        gauge!("jobs_oldest_due_age_seconds", "kind" => label(kind)).set(micros as f64 / 1e6);
    }
}

fn label(kind: &JobKind) -> String {
    kind.as_str().to_owned()
}
