//! How long a channel has been failing.

use crate::Timestamp;

const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Attempts through one channel that all failed, since it last worked or was last changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailureStreak {
    /// When the first one failed.
    pub first_at: Timestamp,
    /// When the last one failed.
    pub last_at: Timestamp,
    /// How many failed; at least one.
    pub failures: u32,
}

impl FailureStreak {
    /// The streak that a first failure begins.
    pub fn starting(at: Timestamp) -> Self {
        Self { first_at: at, last_at: at, failures: 1 }
    }

    /// The streak with one more failure.
    #[must_use]
    pub fn extended(self, at: Timestamp) -> Self {
        let last_at = self.last_at.max(at);
        Self { last_at, failures: self.failures.saturating_add(1), ..self }
    }

    /// Whether the channel is to be disabled: it has been failing for 5 days, at least three times, over at
    /// least 24 hours. The last two spare a channel that is seldom used and met one bad evening.
    pub fn disables(&self, now: Timestamp) -> bool {
        let elapsed = |from: Timestamp, to: Timestamp| to.as_micros().saturating_sub(from.as_micros());
        elapsed(self.first_at, now) >= 5 * DAY_MICROS
            && elapsed(self.first_at, self.last_at) >= DAY_MICROS
            && self.failures >= 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_disabled_only_by_all_three_conditions() {
        let (hour, start) = (3_600, Timestamp::from_secs(1_800_000_000));
        let at = |hours: i64| start.plus_secs(hours * hour);
        for (last, failures, now, disabled) in [
            (120, 3, 120, true),
            (24, 3, 120, true),
            (119, 50, 119, false),
            (120, 2, 120, false),
            (23, 50, 500, false),
            (24, 3, 119, false),
        ] {
            let streak = FailureStreak { first_at: start, last_at: at(last), failures };
            assert_eq!(streak.disables(at(now)), disabled, "{last} h, {failures}, {now} h");
        }
    }

    #[test]
    fn a_streak_counts_and_keeps_its_start() {
        let start = Timestamp::from_secs(100);
        let streak = FailureStreak::starting(start).extended(start.plus_secs(5)).extended(start.plus_secs(3));
        assert_eq!(streak, FailureStreak { first_at: start, last_at: start.plus_secs(5), failures: 3 });
    }
}
