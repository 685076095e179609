//! How long searches took.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::question::Question;

/// The time of each of some requests.
#[derive(Clone, Default)]
pub(crate) struct Timing {
    times: Vec<Duration>,
    /// Of them: those that the server gave up.
    given_up: usize,
}

impl Timing {
    /// Does something and notes how long it took.
    ///
    /// # Errors
    /// Those of what is done.
    pub(crate) fn of<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = work()?;
        self.times.push(start.elapsed());
        Ok(done)
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.times.extend(other.times);
        self.given_up += other.given_up;
    }

    /// Notes that the last one was given up: had it been answered, it would have taken longer.
    pub(crate) fn give_up(&mut self) {
        self.given_up += 1;
    }

    /// How many were given up.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// The nearest-rank percentile in milliseconds; 0 of none.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(rank).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

/// One question, and the yardstick in the same turns.
pub(crate) struct Compared {
    pub(crate) name: &'static str,
    /// How many times as long as the yardstick it may take at the median.
    pub(crate) gate: Option<f64>,
    /// Whether it is about some days of the past, however long that is.
    pub(crate) is_of_days: bool,
    turns: Vec<(Timing, Timing)>,
}

impl Compared {
    pub(crate) fn new(question: &Question) -> Self {
        Self {
            name: question.name,
            gate: question.gate,
            is_of_days: question.days.is_some(),
            turns: Vec::new(),
        }
    }

    /// A page of a cursor.
    pub(crate) fn page(name: &'static str) -> Self {
        Self { name, gate: Some(3.0), is_of_days: false, turns: Vec::new() }
    }

    pub(crate) fn add(&mut self, yardstick: Timing, question: Timing) {
        self.turns.push((yardstick, question));
    }

    /// The ratio of the medians of a turn: the middle one of all turns, the smallest, and the largest.
    pub(crate) fn ratios(&self) -> (f64, f64, f64) {
        let ratio = |(yardstick, question): &(Timing, Timing)| question.millis(50) / yardstick.millis(50);
        let mut ratios: Vec<f64> = self.turns.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        match ratios[..] {
            [] => (0.0, 0.0, 0.0),
            [first, ..] => (ratios[ratios.len() / 2], first, ratios[ratios.len() - 1]),
        }
    }

    /// Whether the gate is met, if there is one.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(self.ratios().0 <= self.gate? && self.question().given_up() == 0)
    }

    /// The times of the question in all turns.
    pub(crate) fn question(&self) -> Timing {
        self.turns.iter().fold(Timing::default(), |mut all, (_, question)| {
            all.extend(question.clone());
            all
        })
    }

    /// The times of the yardstick in all turns.
    pub(crate) fn yardstick(&self) -> Timing {
        self.turns.iter().fold(Timing::default(), |mut all, (yardstick, _)| {
            all.extend(yardstick.clone());
            all
        })
    }
}

#[cfg(test)]
impl Timing {
    /// Of one request.
    pub(crate) fn of_millis(millis: u64) -> Self {
        Self { times: vec![Duration::from_millis(millis)], given_up: 0 }
    }
}

#[cfg(test)]
impl Compared {
    /// Some question about a day.
    pub(crate) fn of_a_day(name: &'static str) -> Self {
        Self { is_of_days: true, ..Self::page(name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_taken() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let timing = Timing { times, given_up: 0 };
        assert_eq!([50, 99, 100].map(|percent| timing.millis(percent)), [50.0, 99.0, 100.0]);
        assert_eq!(Timing::default().millis(50), 0.0);
    }

    #[test]
    fn a_question_that_was_given_up_meets_no_gate() {
        let mut compared = Compared::page("page");
        compared.add(Timing::of_millis(2), Timing::of_millis(3));
        assert_eq!(compared.is_met(), Some(true));
        let mut question = Timing::of_millis(3);
        question.give_up();
        compared.add(Timing::of_millis(2), question);
        assert_eq!(compared.is_met(), Some(false));
    }
}
