//! How long to wait before the next attempt.

use std::time::Duration;

/// Waits that double with each failed attempt, up to a longest one.
///
/// The second half of each wait is left to chance, so that what failed together does not come back together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The wait after the first attempt.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after the failed attempt with this number, from 1 on: between half of the doubled wait and all
    /// of it, as `entropy` says.
    #[must_use]
    pub fn wait(&self, attempt: u32, entropy: u64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        half + half.mul_f64(entropy as f64 / u64::MAX as f64)
    }
}

impl Default for Backoff {
    /// From one second to ten minutes.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(600) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(5) };
        let longest = [1, 2, 3, 4, 99, u32::MAX].map(|attempt| backoff.wait(attempt, u64::MAX).as_secs());
        assert_eq!(longest, [1, 2, 4, 5, 5, 5]);
        let shortest = [1, 2, 3, 4].map(|attempt| backoff.wait(attempt, 0).as_millis());
        assert_eq!(shortest, [500, 1_000, 2_000, 2_500]);
    }

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_all(first in 0..100_000_u64, longest in 0..100_000_u64, attempt: u32, entropy: u64) {
            let backoff = Backoff { first: Duration::from_millis(first), longest: Duration::from_millis(longest) };
            let wait = backoff.wait(attempt, entropy);
            let full = backoff.wait(attempt, u64::MAX);
            prop_assert!(backoff.wait(attempt, 0) <= wait && wait <= full);
            prop_assert!(full <= backoff.longest && full <= backoff.wait(attempt.saturating_add(1), u64::MAX));
        }
    }
}
