//! What a rule would have done.

use std::{collections::BTreeMap, future::poll_fn, task::Poll};

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Aggregate, Alert, AlertId, AlertStatus, Definition, Figures, GroupObservation, Labels, Measure,
        ObservationQuery, Observed, Portion, Rule, RuleId, RuleState, SeriesQuery, Span, Transition,
    },
    ports::{AlertStore, IdSource, StoreError},
    tenant::TenantId,
};
use uuid::Uuid;

use crate::{
    evaluate,
    judge::{judge, number},
    question, window_before,
};

/// The most ticks of one replay. Where the rule's own interval would give more, it is widened. What happens
/// between windows that do not touch any more is not seen; a month of five minutes each still fits.
pub const MAX_TICKS: u32 = 10_000;
/// After so many ticks others get their turn.
const TICKS_AT_A_TIME: usize = 100;
/// The same where each tick is a question of its own.
const MAX_QUESTIONS: u32 = 200;
/// The most steps that a window is put together from.
const MAX_STEPS_OF_A_WINDOW: i64 = 1_500;
const MAX_STEPS: i64 = 50_000;
const MAX_GROUPS: usize = 100;
const MAX_EPISODES: usize = 1_000;

/// What a rule would have done between two instants.
#[derive(Clone, PartialEq, Debug)]
pub struct Backtest {
    /// From the first tick at or after the asked instant …
    pub from: Timestamp,
    /// … to the last one before the other.
    pub to: Timestamp,
    /// Seconds from tick to tick: the rule's interval, or a wider one.
    pub step_secs: u32,
    /// How many ticks.
    pub ticks: u32,
    /// When it would have fired, by start; at most 1,000, then the first.
    pub episodes: Vec<Episode>,
    /// How many alerts it would have raised.
    pub alerts: u32,
    /// How often an alert would have been held back by the cooldown or the hourly limit.
    pub held_back: u32,
    /// Whether there were groups or episodes that are not told of.
    pub is_truncated: bool,
}

/// One alert that would have been.
#[derive(Clone, PartialEq, Debug)]
pub struct Episode {
    /// For which group.
    pub labels: Labels,
    /// When the condition began to hold.
    pub started_at: Timestamp,
    /// When the alert would have been raised.
    pub triggered_at: Timestamp,
    /// When it would have been over; none when it still was not at the end.
    pub resolved_at: Option<Timestamp>,
    /// What it would have said.
    pub title: String,
    /// What was measured when it would have been raised.
    pub value: Option<f64>,
    /// The smallest and the largest that was measured while it would have lasted.
    pub value_range: Option<(f64, f64)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The end is not after the start.
    #[error("the end has to come after the start")]
    EmptySpan,
    /// The store failed.
    #[error("the store could not be asked")]
    Store(#[from] StoreError),
}

/// Replays a rule over the past, tick by tick, with the events that are stored now. Late events count as if
/// they had come in time. Nobody is told and nothing is stored.
///
/// # Errors
/// See [`BacktestError`].
pub async fn backtest(
    store: &dyn AlertStore,
    tenant_id: TenantId,
    definition: &Definition,
    from: Timestamp,
    to: Timestamp,
    ids: &dyn IdSource,
) -> Result<Backtest, BacktestError> {
    if to <= from {
        return Err(BacktestError::EmptySpan);
    }
    let ticks = Ticks::new(definition, from, to);
    let mut replay = Replay::new(tenant_id, definition, from);
    let steps = ticks.series(definition);
    let steps = match &steps {
        Some(series) => Some(Steps::new(series, store.series(tenant_id, series).await?)),
        None => None,
    };
    replay.is_truncated = steps.as_ref().is_some_and(|steps| steps.groups.len() >= MAX_GROUPS);
    for (index, tick) in ticks.iter().enumerate() {
        if index % TICKS_AT_A_TIME == TICKS_AT_A_TIME - 1 {
            let_others_go_first().await;
        }
        // Everything has arrived by now, so there is no delay.
        let window = window_before(definition, tick, 0);
        let query = ObservationQuery { max_groups: MAX_GROUPS, ..question(definition, window) };
        let observed = match &steps {
            Some(steps) => steps.look(&query),
            None => store.observe(tenant_id, &query).await?,
        };
        replay.tick(tick, window, &observed, ids);
    }
    Ok(replay.finish(&ticks))
}

/// A replay only computes; without this it would keep its thread for as long as it takes.
async fn let_others_go_first() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// When the replay looks.
struct Ticks {
    first: Timestamp,
    count: u32,
    step_secs: i64,
    /// The length of the steps that every window can be put together from; none when they would be too many,
    /// or when what is measured does not add up.
    grain_secs: Option<i64>,
}

impl Ticks {
    fn new(definition: &Definition, from: Timestamp, to: Timestamp) -> Self {
        let window = i64::from(definition.time_window.secs());
        let look_back = look_back_secs(definition);
        let span = (to.as_micros() - from.as_micros()).div_euclid(1_000_000).max(1);
        let interval = i64::from(definition.evaluation_interval.max(1));
        let step = widened(interval, span, MAX_TICKS);
        let grain = gcd(gcd(step, window), look_back);
        let adds_up = !matches!(
            definition.condition.measure(),
            Some(Measure::Aggregate { aggregate, .. }) if aggregate.percent().is_some()
        );
        let is_short = (window + look_back) / grain <= MAX_STEPS_OF_A_WINDOW
            && (window + look_back + span) / grain <= MAX_STEPS;
        let (step, grain_secs) = if adds_up && is_short {
            (step, Some(grain))
        } else {
            (widened(interval, span, MAX_QUESTIONS), None)
        };
        let first = from.plus_micros(-1).as_secs().div_euclid(step) * step + step;
        let left = to.as_micros() - Timestamp::from_secs(first).as_micros();
        let count = if left <= 0 { 0 } else { (left - 1).div_euclid(step * 1_000_000) + 1 };
        let count = u32::try_from(count).unwrap_or(0);
        Self { first: Timestamp::from_secs(first), count, step_secs: step, grain_secs }
    }

    fn iter(&self) -> impl Iterator<Item = Timestamp> + '_ {
        (0..i64::from(self.count)).map(|index| self.first.plus_secs(index * self.step_secs))
    }

    fn series(&self, definition: &Definition) -> Option<SeriesQuery> {
        let grain = self.grain_secs?;
        let reach = i64::from(definition.time_window.secs()) + look_back_secs(definition);
        let steps = (reach + i64::from(self.count) * self.step_secs) / grain;
        Some(SeriesQuery {
            filter: definition.effective_filter(),
            group_by: definition.group_by.clone(),
            measure: definition.condition.measure(),
            from: self.first.plus_secs(-reach),
            step_secs: u32::try_from(grain).ok()?,
            steps: u32::try_from(steps).ok()?,
            max_groups: MAX_GROUPS,
        })
    }
}

/// The interval, or the shortest number of whole minutes with which a span has no more than so many ticks.
fn widened(interval: i64, span: i64, most: u32) -> i64 {
    let least = span.div_euclid(i64::from(most)) + 1;
    if interval >= least { interval } else { (least + 59) / 60 * 60 }
}

/// How far before its window a rule looks.
fn look_back_secs(definition: &Definition) -> i64 {
    let span = question(definition, Span { from: Timestamp::EPOCH, to: Timestamp::EPOCH }).earlier;
    span.map_or(0, |span| (span.to.as_micros() - span.from.as_micros()) / 1_000_000)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Steps of the past, by group, from which windows are put together.
struct Steps {
    from: Timestamp,
    step_micros: i64,
    groups: BTreeMap<Labels, Vec<Portion>>,
}

impl Steps {
    fn new(series: &SeriesQuery, portions: Vec<Portion>) -> Self {
        let mut groups: BTreeMap<Labels, Vec<Portion>> = BTreeMap::new();
        if series.group_by.is_empty() {
            // There is always one, even without an event.
            groups.insert(Labels::default(), Vec::new());
        }
        for portion in portions {
            groups.entry(portion.labels.clone()).or_default().push(portion);
        }
        for portions in groups.values_mut() {
            portions.sort_by_key(|portion| portion.step);
        }
        Self { from: series.from, step_micros: i64::from(series.step_secs) * 1_000_000, groups }
    }

    fn look(&self, query: &ObservationQuery) -> Observed {
        let mut observed =
            Observed { is_truncated: self.groups.len() > query.max_groups, groups: Vec::new() };
        for (labels, portions) in &self.groups {
            let window = self.figures(portions, query.window, query.measure.as_ref());
            let earlier = query.earlier.map(|span| self.figures(portions, span, query.measure.as_ref()));
            let earlier = earlier.unwrap_or_default();
            if query.group_by.is_empty() || window.count + earlier.count > 0 {
                observed.groups.push(GroupObservation { labels: labels.clone(), window, earlier });
            }
        }
        observed
    }

    fn figures(&self, portions: &[Portion], span: Span, measure: Option<&Measure>) -> Figures {
        let step = |at: Timestamp| (at.as_micros() - self.from.as_micros()).div_euclid(self.step_micros);
        let first = portions.partition_point(|portion| i64::from(portion.step) < step(span.from));
        let end = portions.partition_point(|portion| i64::from(portion.step) < step(span.to));
        let portions = &portions[first..end.max(first)];
        let measured: u64 = portions.iter().map(|portion| portion.measured_count).sum();
        let with_numbers = || portions.iter().filter(|portion| portion.measured_count > 0);
        let value = match measure {
            None => None,
            Some(Measure::Errors | Measure::Matching(_)) => Some(number(measured)),
            Some(Measure::Aggregate { aggregate, .. }) => match aggregate {
                Aggregate::Minimum => with_numbers().map(|portion| portion.minimum).reduce(f64::min),
                Aggregate::Maximum => with_numbers().map(|portion| portion.maximum).reduce(f64::max),
                _ => (measured > 0)
                    .then(|| portions.iter().map(|portion| portion.sum).sum::<f64>() / number(measured)),
            },
        };
        Figures {
            count: portions.iter().map(|portion| portion.count).sum(),
            measured: value,
            latest: portions.iter().map(|portion| portion.latest).max(),
        }
    }
}

/// A rule that is evaluated without a store.
struct Replay {
    state: RuleState,
    found: Vec<Episode>,
    /// Which episode an alert is.
    places: BTreeMap<AlertId, usize>,
    alerts: u32,
    held_back: u32,
    is_truncated: bool,
}

impl Replay {
    fn new(tenant_id: TenantId, definition: &Definition, from: Timestamp) -> Self {
        let rule = Rule {
            tenant_id,
            id: RuleId(Uuid::nil()),
            revision: 0,
            definition: definition.clone(),
            created_at: from,
            updated_at: from,
            last_triggered_at: None,
            total_triggers: 0,
        };
        let state = RuleState {
            rule,
            open: Vec::new(),
            triggered_last_hour: Vec::new(),
            last_triggered: BTreeMap::new(),
            channels: Vec::new(),
            silences: Vec::new(),
        };
        let (found, places) = (Vec::new(), BTreeMap::new());
        Self { state, found, places, alerts: 0, held_back: 0, is_truncated: false }
    }

    fn tick(&mut self, tick: Timestamp, window: Span, observed: &Observed, ids: &dyn IdSource) {
        let transition = evaluate(&self.state, observed, window, tick, tick, ids);
        self.is_truncated |= observed.is_truncated;
        self.held_back += u32::try_from(transition.held_back.len()).unwrap_or(u32::MAX);
        self.apply(transition, tick);
        let values: BTreeMap<&Labels, f64> = observed
            .groups
            .iter()
            .filter_map(|group| Some((&group.labels, judge(&self.state.rule.definition, group).value?)))
            .collect();
        for alert in &self.state.open {
            if let (Some(place), Some(value)) = (self.places.get(&alert.id), values.get(&alert.labels)) {
                let range = &mut self.found[*place].value_range;
                let (least, most) = range.unwrap_or((*value, *value));
                *range = Some((least.min(*value), most.max(*value)));
            }
        }
    }

    fn apply(&mut self, transition: Transition, tick: Timestamp) {
        let state = &mut self.state;
        state.triggered_last_hour.retain(|triggered| *triggered > tick.plus_secs(-3_600));
        state.open.retain(|alert| !transition.discarded.contains(&alert.id));
        for alert in transition.opened.into_iter().chain(transition.changed) {
            if transition.triggered.contains(&alert.id) {
                self.alerts += 1;
                state.triggered_last_hour.push(tick);
                state.last_triggered.insert(alert.fingerprint, tick);
                if self.found.len() < MAX_EPISODES {
                    self.places.insert(alert.id, self.found.len());
                    self.found.push(Episode::of(&alert, tick));
                } else {
                    self.is_truncated = true;
                }
            }
            state.open.retain(|open| open.id != alert.id);
            if alert.status != AlertStatus::Resolved {
                state.open.push(alert);
            } else if let Some(place) = self.places.remove(&alert.id) {
                self.found[place].resolved_at = Some(tick);
            }
        }
    }

    fn finish(self, ticks: &Ticks) -> Backtest {
        let last = ticks.iter().last().unwrap_or(ticks.first);
        Backtest {
            from: ticks.first,
            to: last,
            step_secs: u32::try_from(ticks.step_secs).unwrap_or(u32::MAX),
            ticks: ticks.count,
            episodes: self.found,
            alerts: self.alerts,
            held_back: self.held_back,
            is_truncated: self.is_truncated,
        }
    }
}

impl Episode {
    fn of(alert: &Alert, tick: Timestamp) -> Self {
        Self {
            labels: alert.labels.clone(),
            started_at: alert.started_at,
            triggered_at: tick,
            resolved_at: None,
            title: alert.title.clone(),
            value: alert.value,
            value_range: alert.value.map(|value| (value, value)),
        }
    }
}
