//! How long searches took.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::question::Question;

/// The time of each of some requests.
#[derive(Clone, Default)]
pub(crate) struct Timing(Vec<Duration>);

impl Timing {
    /// Does something and notes how long it took.
    ///
    /// # Errors
    /// Those of what is done.
    pub(crate) fn of<T>(&mut self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = work()?;
        self.0.push(start.elapsed());
        Ok(done)
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The nearest-rank percentile in milliseconds; 0 of none.
    pub(crate) fn millis(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
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
    turns: Vec<(Timing, Timing)>,
}

impl Compared {
    pub(crate) fn new(question: &Question) -> Self {
        Self { name: question.name, gate: question.gate, turns: Vec::new() }
    }

    /// A page of a cursor.
    pub(crate) fn page(name: &'static str) -> Self {
        Self { name, gate: Some(3.0), turns: Vec::new() }
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
        Some(self.ratios().0 <= self.gate?)
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
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_taken() {
        let timing = Timing((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!([50, 99, 100].map(|percent| timing.millis(percent)), [50.0, 99.0, 100.0]);
        assert_eq!(Timing::default().millis(50), 0.0);
    }
}
