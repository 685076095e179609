//! Events in memory, and what the windows of rules look like over them.
//!
//! It answers what [`observe`](super::observe) answers, and a test holds the two together. Each text of the
//! events is kept once and stands for a number from then on: a pattern is compared with each text there is,
//! not with each event.

use std::{collections::HashMap, ops::RangeInclusive};

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Aggregate, Figures, GroupField, GroupObservation, Labels, MAX_GROUP_FIELDS, Measure, NumberField,
        ObservationQuery, Observed, Span,
    },
    search::{Filter, Pattern},
};
use sea_orm::{DbErr, QueryResult};

use super::share::time;
use crate::{entity::events::Column, search};

/// The columns of texts that conditions and groups are about.
const TEXTS: [Column; 8] = [
    Column::EventType,
    Column::Severity,
    Column::Service,
    Column::Endpoint,
    Column::Method,
    Column::Environment,
    Column::UserId,
    Column::CorrelationId,
];

/// The number of no text.
const NONE: u32 = 0;

/// Which columns of texts are asked for; the others are not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields([bool; TEXTS.len()]);

/// The events of a stretch of time, the newest first.
#[derive(Debug)]
pub(super) struct Glance {
    covers: Span,
    events: Vec<Seen>,
    texts: [Texts; TEXTS.len()],
}

#[derive(Debug)]
struct Seen {
    occurred_at: i64,
    status_code: Option<i16>,
    duration_ms: Option<f64>,
    texts: [u32; TEXTS.len()],
}

/// The texts of one column, each with a number from 1 on; [`NONE`] has none.
#[derive(Debug)]
struct Texts {
    numbers: HashMap<String, u32>,
    by_number: Vec<String>,
}

/// Whether this can be answered without the texts and tags of events.
pub(super) fn can_answer(question: &ObservationQuery) -> bool {
    let is_plain = |filter: &Filter| filter.words.is_none() && filter.tags.is_empty();
    let is_column = |field: &GroupField| matches!(field, GroupField::Field(_));
    is_plain(&question.filter)
        && matching(question).is_none_or(is_plain)
        && question.group_by.iter().all(is_column)
}

fn matching(question: &ObservationQuery) -> Option<&Filter> {
    match &question.measure {
        Some(Measure::Matching(filter)) => Some(filter),
        _ => None,
    }
}

impl Fields {
    /// Those that these questions ask for.
    pub(super) fn of(questions: &[ObservationQuery]) -> Self {
        let mut fields = Self([false; TEXTS.len()]);
        for question in questions.iter().filter(|question| can_answer(question)) {
            for filter in [&question.filter].into_iter().chain(matching(question)) {
                conditions(filter).for_each(|(place, _)| fields.0[place] = true);
            }
            for place in question.group_by.iter().filter_map(place_of) {
                fields.0[place] = true;
            }
        }
        fields
    }

    /// What is read of an event.
    pub(super) fn columns(&self) -> impl Iterator<Item = Column> {
        let texts = TEXTS.into_iter().zip(self.0).filter(|(_, is_asked)| *is_asked).map(|(column, _)| column);
        [Column::OccurredAt, Column::StatusCode, Column::DurationMs].into_iter().chain(texts)
    }
}

/// A condition on a text.
enum Wanted<'a> {
    Equal(&'a str),
    Like(&'a Pattern),
}

/// The conditions of a filter that are about texts, each with the place of its column.
fn conditions(filter: &Filter) -> impl Iterator<Item = (usize, Wanted<'_>)> {
    let wanted = [
        filter.event_type.map(|wanted| Wanted::Equal(wanted.as_str())),
        filter.severity.map(|wanted| Wanted::Equal(wanted.as_str())),
        filter.service.as_ref().map(Wanted::of),
        filter.endpoint.as_ref().map(Wanted::of),
        filter.method.as_deref().map(Wanted::Equal),
        filter.environment.as_deref().map(Wanted::Equal),
        filter.user_id.as_deref().map(Wanted::Equal),
        filter.correlation_id.as_deref().map(Wanted::Equal),
    ];
    wanted.into_iter().enumerate().filter_map(|(place, wanted)| Some((place, wanted?)))
}

impl<'a> Wanted<'a> {
    fn of(pattern: &'a Pattern) -> Self {
        pattern.as_exact().map_or(Self::Like(pattern), Self::Equal)
    }
}

/// Where the text of a group's field stands; nothing for the status code, which is none.
fn place_of(field: &GroupField) -> Option<usize> {
    let GroupField::Field(field) = field else { return None };
    let column = search::column(*field);
    TEXTS.iter().position(|text| *text as usize == column as usize)
}

impl Default for Texts {
    fn default() -> Self {
        Self { numbers: HashMap::new(), by_number: vec![String::new()] }
    }
}

impl Texts {
    fn number(&mut self, text: String) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = self.by_number.len() as u32;
        self.by_number.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }
}

impl Glance {
    /// The events of these rows, which are the newest of this time first. When they are not all, only the time
    /// after the last of them is covered.
    pub(super) fn of(
        rows: &[QueryResult],
        fields: Fields,
        span: Span,
        is_truncated: bool,
    ) -> Result<Self, DbErr> {
        let mut texts: [Texts; TEXTS.len()] = Default::default();
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let mut seen = Seen {
                occurred_at: row.try_get_by_index(0)?,
                status_code: row.try_get_by_index(1)?,
                duration_ms: row.try_get_by_index(2)?,
                texts: [NONE; TEXTS.len()],
            };
            for (index, place) in (0..TEXTS.len()).filter(|place| fields.0[*place]).enumerate() {
                let text: Option<String> = row.try_get_by_index(3 + index)?;
                seen.texts[place] = text.map_or(NONE, |text| texts[place].number(text));
            }
            events.push(seen);
        }
        let from = match events.last() {
            Some(last) if is_truncated => Timestamp::from_micros(last.occurred_at + 1),
            _ => span.from,
        };
        Ok(Self { covers: Span { from, to: span.to }, events, texts })
    }

    /// Answers a question; nothing when it is about more than what was read.
    pub(super) fn observe(&self, question: &ObservationQuery) -> Option<Observed> {
        let asked = time(question);
        if !can_answer(question) || asked.from < self.covers.from || asked.to > self.covers.to {
            return None;
        }
        let sieve = Sieve::of(&question.filter, &self.texts);
        let numbers = Numbers::of(question.measure.as_ref(), &self.texts);
        let groups: Vec<Group> =
            question.group_by.iter().map(|field| Group::by(field, &self.texts)).collect();
        let window_from = question.window.from.as_micros();
        let mut found: HashMap<[u32; MAX_GROUP_FIELDS], [Tally; 2]> = HashMap::new();
        if groups.is_empty() {
            found.insert([NONE; MAX_GROUP_FIELDS], Default::default());
        }
        for event in self.between(asked).iter().filter(|event| sieve.lets_through(event)) {
            let mut key = [NONE; MAX_GROUP_FIELDS];
            key.iter_mut().zip(&groups).for_each(|(value, group)| *value = group.value(event));
            let is_earlier = usize::from(event.occurred_at < window_from);
            found.entry(key).or_default()[is_earlier].add(event, &numbers);
        }
        let described = found.into_iter().map(|(key, [window, earlier])| GroupObservation {
            labels: Labels(groups.iter().zip(key).map(|(group, value)| group.label(value)).collect()),
            window: window.figures(question.measure.as_ref()),
            earlier: match question.earlier {
                Some(_) => earlier.figures(question.measure.as_ref()),
                None => Figures::default(),
            },
        });
        Some(largest(described.collect(), question.max_groups))
    }

    /// The events of a time.
    fn between(&self, time: Span) -> &[Seen] {
        let place = |at: Timestamp| self.events.partition_point(|event| event.occurred_at >= at.as_micros());
        &self.events[place(time.to)..place(time.from)]
    }
}

/// The largest groups, by labels.
fn largest(mut groups: Vec<GroupObservation>, max_groups: usize) -> Observed {
    let is_truncated = groups.len() > max_groups;
    if is_truncated {
        groups.sort_by(|one, other| {
            other.window.count.cmp(&one.window.count).then_with(|| one.labels.cmp(&other.labels))
        });
        groups.truncate(max_groups);
    }
    groups.sort_by(|one, other| one.labels.cmp(&other.labels));
    Observed { groups, is_truncated }
}

/// A filter, as it is asked of one event after the other.
struct Sieve {
    equal: Vec<(usize, u32)>,
    like: Vec<(usize, Vec<bool>)>,
    status_code: Option<RangeInclusive<i16>>,
    first: i64,
    last: i64,
}

impl Sieve {
    fn of(filter: &Filter, texts: &[Texts]) -> Self {
        let (mut equal, mut like) = (Vec::new(), Vec::new());
        for (place, wanted) in conditions(filter) {
            match wanted {
                // No event has a number that no text has.
                Wanted::Equal(text) => equal.push((place, texts[place].find(text).unwrap_or(u32::MAX))),
                Wanted::Like(pattern) => {
                    let fits = texts[place].by_number.iter().map(|text| pattern.matches(text));
                    // Where there is no text, it looks like nothing.
                    like.push((place, [false].into_iter().chain(fits.skip(1)).collect()));
                }
            }
        }
        let status_code = filter.status_code.as_ref();
        Self {
            equal,
            like,
            status_code: status_code.map(|codes| codes.start().cast_signed()..=codes.end().cast_signed()),
            first: filter.start_time.map_or(i64::MIN, Timestamp::as_micros),
            last: filter.end_time.map_or(i64::MAX, Timestamp::as_micros),
        }
    }

    fn lets_through(&self, event: &Seen) -> bool {
        self.equal.iter().all(|(place, number)| event.texts[*place] == *number)
            && self.like.iter().all(|(place, fits)| fits[event.texts[*place] as usize])
            && self
                .status_code
                .as_ref()
                .is_none_or(|codes| event.status_code.is_some_and(|code| codes.contains(&code)))
            && (self.first..=self.last).contains(&event.occurred_at)
    }
}

/// What is measured of an event: a number, where it has one.
enum Numbers {
    None,
    Errors,
    Matching(Sieve),
    StatusCode,
    Duration,
}

impl Numbers {
    fn of(measure: Option<&Measure>, texts: &[Texts]) -> Self {
        match measure {
            None => Self::None,
            Some(Measure::Errors) => Self::Errors,
            Some(Measure::Matching(filter)) => Self::Matching(Sieve::of(filter, texts)),
            Some(Measure::Aggregate { field: NumberField::StatusCode, .. }) => Self::StatusCode,
            Some(Measure::Aggregate { field: NumberField::DurationMs, .. }) => Self::Duration,
        }
    }
}

/// A field that makes groups.
struct Group<'a> {
    name: String,
    /// Of a text: its place, the number of the empty text, which is the same as none, and all texts.
    text: Option<(usize, u32, &'a [String])>,
}

impl<'a> Group<'a> {
    fn by(field: &GroupField, texts: &'a [Texts]) -> Self {
        let text = place_of(field).map(|place| {
            let empty = texts[place].find("").unwrap_or(NONE);
            (place, empty, texts[place].by_number.as_slice())
        });
        Self { name: field.name(), text }
    }

    fn value(&self, event: &Seen) -> u32 {
        match &self.text {
            Some((place, empty, _)) if event.texts[*place] == *empty => NONE,
            Some((place, ..)) => event.texts[*place],
            // Codes have three digits, so none is 0.
            None => event.status_code.map_or(NONE, |code| u32::from(code.unsigned_abs())),
        }
    }

    fn label(&self, value: u32) -> (String, String) {
        let text = match &self.text {
            Some((.., texts)) => texts[value as usize].clone(),
            None if value == NONE => String::new(),
            None => value.to_string(),
        };
        (self.name.clone(), text)
    }
}

/// What is known of the events of a group in a stretch of time.
#[derive(Default)]
struct Tally {
    count: u64,
    counted: u64,
    numbers: Vec<f64>,
    latest: Option<i64>,
}

impl Tally {
    fn add(&mut self, event: &Seen, numbers: &Numbers) {
        self.count += 1;
        self.latest = self.latest.max(Some(event.occurred_at));
        match numbers {
            Numbers::None => {}
            Numbers::Errors => self.counted += u64::from(event.status_code.is_some_and(|code| code >= 400)),
            Numbers::Matching(sieve) => self.counted += u64::from(sieve.lets_through(event)),
            Numbers::StatusCode => self.numbers.extend(event.status_code.map(f64::from)),
            Numbers::Duration => self.numbers.extend(event.duration_ms),
        }
    }

    fn figures(mut self, measure: Option<&Measure>) -> Figures {
        let measured = match measure {
            None => None,
            Some(Measure::Errors | Measure::Matching(_)) => Some(self.counted as f64),
            Some(Measure::Aggregate { aggregate, .. }) => aggregated(&mut self.numbers, *aggregate),
        };
        Figures { count: self.count, measured, latest: self.latest.map(Timestamp::from_micros) }
    }
}

fn aggregated(numbers: &mut [f64], aggregate: Aggregate) -> Option<f64> {
    if numbers.is_empty() {
        return None;
    }
    if let Some(percent) = aggregate.percent() {
        // The nearest rank, as in SQL.
        let rank = (numbers.len() * percent as usize).div_ceil(100);
        return Some(*numbers.select_nth_unstable_by(rank - 1, f64::total_cmp).1);
    }
    match aggregate {
        Aggregate::Minimum => numbers.iter().copied().min_by(f64::total_cmp),
        Aggregate::Maximum => numbers.iter().copied().max_by(f64::total_cmp),
        _ => Some(numbers.iter().sum::<f64>() / numbers.len() as f64),
    }
}
