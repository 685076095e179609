//! One query language: what a search, an export, a histogram, a facet and a live stream filter by.
//!
//! A [`Query`] is parsed from names and values, the same from an address and from a body. What it means is
//! [`Filter::matches`]; a store translates it to SQL and is tested to agree.

mod cursor;
mod matches;
mod parse;
mod pattern;
mod text_index;

pub use cursor::{CursorKey, Position};
pub use parse::{Parameters, parse, parse_filter};
pub use pattern::Pattern;
pub use text_index::TextIndex;

use std::ops::RangeInclusive;

use crate::{
    Timestamp,
    event::{EventType, Severity, StoredEvent},
};

/// The largest page.
pub const MAX_LIMIT: u32 = 1_000;

/// Up to here a total is exact; counting further would make a search slow for a figure nobody needs.
pub const EXACT_TOTAL: u64 = 10_000;

/// Which events, in what order, and which part of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// Which events.
    pub filter: Filter,
    /// Newest or oldest first.
    pub order: Order,
    /// How many at most; 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// How many to leave out at the start; 0 when there is a cursor.
    pub offset: u64,
    /// Only what comes after this event in the order.
    pub after: Option<Position>,
    /// Equal for equal filters and order: a cursor belongs to one fingerprint.
    pub fingerprint: [u8; 16],
}

/// Conditions that all have to hold. An absent one always holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Exactly this kind.
    pub event_type: Option<EventType>,
    /// Exactly this severity.
    pub severity: Option<Severity>,
    /// The whole service, or a pattern.
    pub service: Option<Pattern>,
    /// The whole endpoint, or a pattern.
    pub endpoint: Option<Pattern>,
    /// Exactly this method.
    pub method: Option<String>,
    /// Exactly this environment.
    pub environment: Option<String>,
    /// A status code within.
    pub status_code: Option<RangeInclusive<u16>>,
    /// Exactly this user.
    pub user_id: Option<String>,
    /// Exactly this correlation id.
    pub correlation_id: Option<String>,
    /// Each of these `key:value` pairs among the tags.
    pub tags: Vec<String>,
    /// Each of these words in the text; an empty list, from a text without words, matches nothing.
    pub words: Option<Vec<Word>>,
    /// Not before.
    pub start_time: Option<Timestamp>,
    /// Not after.
    pub end_time: Option<Timestamp>,
}

impl Filter {
    /// Whether there are words or tags to look for.
    pub fn has_terms(&self) -> bool {
        self.words.is_some() || !self.tags.is_empty()
    }
}

/// A word to search for, in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Word {
    /// Letters and digits only.
    pub text: String,
    /// Whether words that only begin with it match, too.
    pub is_prefix: bool,
}

/// By `occurred_at`, then by row id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Order {
    /// Newest first.
    #[default]
    Descending,
    /// Oldest first.
    Ascending,
}

/// One page of a search.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Page {
    /// In the order asked for.
    pub events: Vec<StoredEvent>,
    /// How many match in all, wherever the page starts; see [`EXACT_TOTAL`].
    pub total_count: u64,
    /// Whether there are more than `total_count`.
    pub total_count_is_lower_bound: bool,
    /// Where the next page starts, if there is one.
    pub next: Option<Position>,
}

/// The width of a histogram's buckets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interval {
    /// `1m`
    Minute,
    /// `5m`
    FiveMinutes,
    /// `1h`
    Hour,
    /// `1d`, from midnight UTC
    Day,
}

impl Interval {
    /// Every interval with its name.
    pub const ALL: [(&'static str, Self); 4] =
        [("1m", Self::Minute), ("5m", Self::FiveMinutes), ("1h", Self::Hour), ("1d", Self::Day)];

    /// Its length in microseconds.
    pub const fn micros(self) -> i64 {
        1_000_000
            * match self {
                Self::Minute => 60,
                Self::FiveMinutes => 300,
                Self::Hour => 3_600,
                Self::Day => 86_400,
            }
    }
}

/// The most buckets a histogram has; the newest win.
pub const MAX_BUCKETS: usize = 10_000;

/// The events of one interval. Intervals without events have no bucket.
#[derive(Clone, PartialEq, Debug)]
pub struct Bucket {
    /// Where the interval starts; a multiple of its length since 1970.
    pub start: Timestamp,
    /// How many events.
    pub count: u64,
    /// How many of them with a status code of 500 or more.
    pub errors: u64,
    /// Percentiles of `duration_ms` over the events that have one.
    pub durations: Option<Percentiles>,
}

/// Nearest-rank percentiles: each is a value that occurred.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: f64,
    /// 95 in 100 are at most this.
    pub p95: f64,
    /// 99 in 100 are at most this.
    pub p99: f64,
}

impl Percentiles {
    /// The nearest-rank percentiles of values in ascending order; `None` of none.
    pub fn of_sorted(values: &[f64]) -> Option<Self> {
        let at = |percent: usize| values[(values.len() * percent).div_ceil(100) - 1];
        (!values.is_empty()).then(|| Self { p50: at(50), p95: at(95), p99: at(99) })
    }
}

/// A field whose most frequent values can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FacetField {
    /// `event_type`
    EventType,
    /// `severity`
    Severity,
    /// `service`
    Service,
    /// `endpoint`
    Endpoint,
    /// `method`
    Method,
    /// `environment`
    Environment,
    /// `status_code`
    StatusCode,
    /// `user_id`
    UserId,
}

impl FacetField {
    /// Every field with its name.
    pub const ALL: [(&'static str, Self); 8] = [
        ("event_type", Self::EventType),
        ("severity", Self::Severity),
        ("service", Self::Service),
        ("endpoint", Self::Endpoint),
        ("method", Self::Method),
        ("environment", Self::Environment),
        ("status_code", Self::StatusCode),
        ("user_id", Self::UserId),
    ];
}

/// One value of a field and how many events have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facet {
    /// The value as text.
    pub value: String,
    /// How many events.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(Percentiles::of_sorted(&hundred), Some(Percentiles { p50: 50.0, p95: 95.0, p99: 99.0 }));
        assert_eq!(Percentiles::of_sorted(&[7.0]), Some(Percentiles { p50: 7.0, p95: 7.0, p99: 7.0 }));
        assert_eq!(Percentiles::of_sorted(&[1.0, 2.0]), Some(Percentiles { p50: 1.0, p95: 2.0, p99: 2.0 }));
        assert_eq!(Percentiles::of_sorted(&[]), None);
    }
}
