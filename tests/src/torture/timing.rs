//! How long things took.

use std::time::Duration;

/// Times, for their quantiles.
#[derive(Clone, Default, Debug)]
pub struct Timing(Vec<Duration>);

impl Timing {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds all of another.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that this share is not above; nothing of nothing is zero.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        let place = (times.len() as f64 * share).ceil() as usize;
        times.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

/// What others may have to wait at the 99th percentile beside clients that mean ill: twice as long as without them. What
/// takes less than 5 ms says more of what else the machine does, whose two cores those clients share.
///
/// A debug build takes seconds to parse what a release build does in a tenth of that, and there it is five seconds.
pub fn bearable(without: Duration) -> Duration {
    if cfg!(debug_assertions) { Duration::from_secs(5) } else { 2 * without.max(Duration::from_millis(5)) }
}

/// Seconds with three digits.
pub fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

/// Milliseconds with one digit.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_there() {
        let mut timing = Timing::default();
        assert_eq!(timing.quantile(0.5), Duration::ZERO);
        (1..=100).for_each(|millis| timing.add(Duration::from_millis(millis)));
        assert_eq!(timing.quantile(0.5), Duration::from_millis(50));
        assert_eq!(timing.quantile(0.99), Duration::from_millis(99));
        assert_eq!(timing.max(), Duration::from_millis(100));
    }
}
