//! How much a check has seen, so that nobody takes a check of nothing for a good one.

use std::{fmt, ops::AddAssign};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) timelines: usize,
    pub(crate) events: usize,
    /// The same with those that came again.
    pub(crate) sent: usize,
    pub(crate) ticks: usize,
    /// Those that were raised.
    pub(crate) alerts: usize,
    /// Workers that were killed between two calls of the store.
    pub(crate) deaths: usize,
    /// Workers that were cut off in the middle of one.
    pub(crate) cuts: usize,
    /// Pairs that raced.
    pub(crate) races: usize,
    /// Workers that found that somebody else had their job.
    pub(crate) lost: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.timelines += other.timelines;
        self.events += other.events;
        self.sent += other.sent;
        self.ticks += other.ticks;
        self.alerts += other.alerts;
        self.deaths += other.deaths;
        self.cuts += other.cuts;
        self.races += other.races;
        self.lost += other.lost;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { timelines, events, sent, ticks, alerts, deaths, cuts, races, lost } = self;
        write!(
            f,
            "{timelines} timelines, {events} events sent {sent} times, {ticks} ticks, {alerts} alerts; "
        )?;
        write!(f, "{deaths} workers killed, {cuts} cut off, {races} races, {lost} too late")
    }
}
