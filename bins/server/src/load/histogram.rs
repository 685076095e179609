//! How often something took how long, in a memory that does not grow.

use std::time::Duration;

/// Steps within each doubling: times that share a step differ by less than one part in this.
const STEPS: u64 = 64;
/// Enough for 2³² microseconds, more than an hour. What is longer counts as that long.
const SLOTS: usize = (STEPS * 27) as usize;

/// Counts of times, exact below 64 µs and to 1.6 % above.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; SLOTS], longest: Duration::ZERO }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.counts[slot(micros)] += 1;
        self.longest = self.longest.max(time);
    }

    /// Adds what another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.longest = self.longest.max(other.longest);
    }

    pub(crate) fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// The nearest-rank percentile, rounded up to the end of its step and never beyond the longest; zero of
    /// nothing. `share` is 0 to 1.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let rank = ((self.len() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        reached.map_or(Duration::ZERO, |slot| Duration::from_micros(last_of(slot)).min(self.longest))
    }

    /// How many took at most this long, to the precision of the steps.
    pub(crate) fn up_to(&self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.counts[..=slot(micros)].iter().sum()
    }
}

/// Below `STEPS` each microsecond has a slot; from there on each doubling has `STEPS` of them.
fn slot(micros: u64) -> usize {
    let slot = match micros.checked_ilog2() {
        Some(doubling) if micros >= STEPS => {
            let shift = u64::from(doubling - STEPS.ilog2());
            STEPS * (shift + 1) + (micros >> shift) - STEPS
        }
        _ => micros,
    };
    usize::try_from(slot).map_or(SLOTS - 1, |slot| slot.min(SLOTS - 1))
}

/// The longest time of a slot, in microseconds.
fn last_of(slot: usize) -> u64 {
    let slot = slot as u64;
    match (slot / STEPS).checked_sub(1) {
        None => slot,
        Some(shift) => (((slot % STEPS) + STEPS + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_slot_whose_end_is_at_most_a_sixtieth_behind() {
        for micros in (0..200).chain([1_000, 4_095, 4_096, 65_537, 10_000_000, u64::from(u32::MAX)]) {
            let last = last_of(slot(micros));
            assert!(last >= micros && last - micros <= micros / STEPS, "{micros}: {last}");
            assert!(slot(micros) == 0 || last_of(slot(micros) - 1) < micros, "{micros}");
        }
        assert_eq!(slot(u64::MAX), SLOTS - 1);
    }

    #[test]
    fn percentiles_are_of_all_that_was_recorded() {
        let (mut histogram, mut other) = (Histogram::default(), Histogram::default());
        (1..=50).for_each(|micros| histogram.record(Duration::from_micros(micros)));
        (51..=100).for_each(|millis| other.record(Duration::from_millis(millis)));
        histogram.merge(&other);
        assert_eq!(histogram.len(), 100);
        assert_eq!(histogram.percentile(0.5), Duration::from_micros(50));
        assert_eq!(histogram.percentile(1.0), Duration::from_millis(100));
        assert_eq!(histogram.up_to(Duration::from_millis(1)), 50);
        assert_eq!(Histogram::default().percentile(0.99), Duration::ZERO);
    }
}
