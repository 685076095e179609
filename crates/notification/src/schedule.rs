//! When to try again, and when to give up. Arithmetic only: whoever calls keeps the count and the clock.

use std::time::Duration;

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// How long to wait before each attempt. The first is made at once; after the last the delivery is exhausted,
/// a good day (27.6 hours) after it began.
pub const DELAYS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5 * SECOND),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(10 * HOUR),
];

/// The longest wait that a receiver can ask for. A longer one would park deliveries for years.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(HOUR);

/// The share of a delay by which it may be shorter or longer.
const JITTER: f64 = 0.2;

/// How long to wait before the next attempt of a delivery; `None` when it is exhausted.
///
/// `attempts` is how many were made, all in vain. `jitter` is a random number from -1 to 1 and moves the
/// delay by up to a fifth, so that deliveries that failed together are not tried again together. A receiver
/// that asked for a pause is given at least that, up to [`MAX_RETRY_AFTER`].
///
/// ```
/// use std::time::Duration;
/// use pulsestream_notification::schedule::delay_before_next;
///
/// assert_eq!(delay_before_next(0, None, 0.3), Some(Duration::ZERO));
/// assert_eq!(delay_before_next(1, None, -1.0), Some(Duration::from_secs(4)));
/// assert_eq!(delay_before_next(1, Some(Duration::from_secs(90)), 0.0), Some(Duration::from_secs(90)));
/// assert_eq!(delay_before_next(8, None, 0.0), None);
/// ```
pub fn delay_before_next(attempts: u32, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
    let delay = DELAYS.get(usize::try_from(attempts).ok()?)?;
    let jitter = if jitter.is_finite() { jitter.clamp(-1.0, 1.0) } else { 0.0 };
    let moved = delay.mul_f64(1.0 + JITTER * jitter);
    Some(moved.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_schedule_is_the_documented_one() {
        let delays = (0..9).map(|made| delay_before_next(made, None, 0.0).map(|delay| delay.as_secs()));
        let expected = [
            Some(0),
            Some(5),
            Some(300),
            Some(1_800),
            Some(7_200),
            Some(18_000),
            Some(36_000),
            Some(36_000),
            None,
        ];
        assert_eq!(delays.collect::<Vec<_>>(), expected);
        assert_eq!(delay_before_next(u32::MAX, Some(MAX_RETRY_AFTER), 1.0), None);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_a_fifth_and_grants_the_pause_asked_for(
            attempts in 0..12_u32,
            asked in prop::option::of(0..u64::MAX),
            jitter in prop::num::f64::ANY,
        ) {
            let asked = asked.map(Duration::from_secs);
            let Some(base) = DELAYS.get(attempts as usize) else {
                prop_assert_eq!(delay_before_next(attempts, asked, jitter), None);
                return Ok(());
            };
            let delay = delay_before_next(attempts, asked, jitter).unwrap();
            let pause = asked.unwrap_or_default().min(MAX_RETRY_AFTER);
            prop_assert!(delay >= base.mul_f64(0.8) && delay >= pause);
            prop_assert!(delay <= base.mul_f64(1.2).max(pause));
        }
    }
}
