//! How many events were stored lately.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use pulsestream_domain::Timestamp;

const SECONDS: usize = 60;

/// Counts per second over the last minute, in constant memory and without a lock.
///
/// Two threads that enter a new second at once may lose a few counts of it; it is a gauge, not a ledger.
#[derive(Debug)]
pub(crate) struct Rate {
    seconds: [(AtomicI64, AtomicU64); SECONDS],
    last_micros: AtomicI64,
}

impl Rate {
    pub(crate) fn new() -> Self {
        let seconds = std::array::from_fn(|_| (AtomicI64::new(-1), AtomicU64::new(0)));
        Self { seconds, last_micros: AtomicI64::new(i64::MIN) }
    }

    pub(crate) fn add(&self, count: u64, at: Timestamp) {
        let second = at.as_secs();
        let (stamp, counted) = &self.seconds[second.rem_euclid(SECONDS as i64) as usize];
        if stamp.swap(second, Ordering::Relaxed) != second {
            counted.store(0, Ordering::Relaxed);
        }
        counted.fetch_add(count, Ordering::Relaxed);
        self.last_micros.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    /// How many in the 60 seconds up to now.
    pub(crate) fn last_minute(&self, now: Timestamp) -> u64 {
        let oldest = now.as_secs() - SECONDS as i64;
        let recent = self.seconds.iter().filter(|(stamp, _)| stamp.load(Ordering::Relaxed) > oldest);
        recent.map(|(_, counted)| counted.load(Ordering::Relaxed)).sum()
    }

    /// When the last one was, if there was one.
    pub(crate) fn last_at(&self) -> Option<Timestamp> {
        match self.last_micros.load(Ordering::Relaxed) {
            i64::MIN => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_a_minute_no_longer_counts() {
        let rate = Rate::new();
        let at = Timestamp::from_secs;
        assert_eq!((rate.last_minute(at(100)), rate.last_at()), (0, None));
        rate.add(5, at(100));
        rate.add(2, at(101));
        assert_eq!(rate.last_minute(at(159)), 7);
        assert_eq!(rate.last_minute(at(160)), 2);
        rate.add(1, at(160));
        assert_eq!(rate.last_minute(at(160)), 3);
        assert_eq!(rate.last_at(), Some(at(160)));
    }
}
