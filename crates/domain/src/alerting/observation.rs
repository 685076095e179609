//! Questions about a window of events, and their answers.
//!
//! Instants are the events' own `occurred_at`. Deleted events are not seen.

use super::{Aggregate, GroupField, Labels, NumberField};
use crate::{
    Timestamp,
    event::{EventId, EventType},
    search::Filter,
};

/// A stretch of time: from its start up to, but not including, its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Included.
    pub from: Timestamp,
    /// Not included; not before `from`.
    pub to: Timestamp,
}

impl Span {
    /// Whether an instant lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

/// What is measured of the events of a group, besides how many there are.
#[derive(Clone, PartialEq, Debug)]
pub enum Measure {
    /// How many have a `status_code` of 400 or more.
    Errors,
    /// How many this filter finds, too.
    Matching(Box<Filter>),
    /// A number of theirs.
    Aggregate {
        /// Which; events without it are left out.
        field: NumberField,
        /// How many become one. Percentiles by nearest rank: the value at rank ⌈n × percent / 100⌉.
        aggregate: Aggregate,
    },
}

/// What do the events of this window look like, group by group?
#[derive(Clone, PartialEq, Debug)]
pub struct ObservationQuery {
    /// Which events; its own times are empty.
    pub filter: Filter,
    /// By what they are told apart; empty for all in one.
    pub group_by: Vec<GroupField>,
    /// What is measured.
    pub measure: Option<Measure>,
    /// When.
    pub window: Span,
    /// A time before, which is looked at in the same way. It ends where the window begins.
    pub earlier: Option<Span>,
    /// The most groups to tell of; the ones with most events in the window win, then the first by labels.
    pub max_groups: usize,
}

/// What a window looked like.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Observed {
    /// Each group that has an event in the window or in the earlier time, by labels. Without `group_by` there
    /// is exactly one, with empty labels, even when there is no event.
    pub groups: Vec<GroupObservation>,
    /// Whether there were more groups than asked for.
    pub is_truncated: bool,
}

/// What one group looked like.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupObservation {
    /// Which group.
    pub labels: Labels,
    /// In the window.
    pub window: Figures,
    /// In the earlier time; nothing when none was asked for.
    pub earlier: Figures,
}

/// What the events of a group in a stretch of time come to.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Figures {
    /// How many there are.
    pub count: u64,
    /// What was to be measured. For [`Measure::Errors`] and [`Measure::Matching`] a number of events (`None`
    /// and 0 mean the same); for an aggregate `None` when no event has the number.
    pub measured: Option<f64>,
    /// When the last of them happened.
    pub latest: Option<Timestamp>,
}

/// Which events of this group are there, for instance?
#[derive(Clone, PartialEq, Debug)]
pub struct ExampleQuery {
    /// Which events.
    pub filter: Filter,
    /// By what they are told apart.
    pub group_by: Vec<GroupField>,
    /// The group; its names are those of `group_by`.
    pub labels: Labels,
    /// When.
    pub window: Span,
    /// At most so many, the newest first, by `occurred_at`, then by row id.
    pub limit: u32,
}

/// One event of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    /// The client's id of it.
    pub event_id: EventId,
    /// Its kind.
    pub event_type: EventType,
    /// Where it came from.
    pub service: String,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// What did the events look like, step by step? Steps lie side by side, from `from` on.
#[derive(Clone, PartialEq, Debug)]
pub struct SeriesQuery {
    /// As in [`ObservationQuery`].
    pub filter: Filter,
    /// As in [`ObservationQuery`].
    pub group_by: Vec<GroupField>,
    /// As in [`ObservationQuery`], but no percentile: those of steps do not add up to one of a window.
    pub measure: Option<Measure>,
    /// Where the first step begins.
    pub from: Timestamp,
    /// The length of a step; at least a second.
    pub step_secs: u32,
    /// How many steps.
    pub steps: u32,
    /// The most groups to tell of; the ones with most events in all steps together win.
    pub max_groups: usize,
}

/// What the events of one group in one step come to; steps without events have none. Several can be added
/// up to that of a window.
#[derive(Clone, PartialEq, Debug)]
pub struct Portion {
    /// Which group.
    pub labels: Labels,
    /// Which step; 0 is the first.
    pub step: u32,
    /// How many events.
    pub count: u64,
    /// Of how many `sum`, `minimum` and `maximum` tell. For [`Measure::Errors`] and [`Measure::Matching`] the
    /// number of those events; then the other three are 0.
    pub measured_count: u64,
    /// Sum of the numbers.
    pub sum: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
    /// When the last of the events happened.
    pub latest: Timestamp,
}
