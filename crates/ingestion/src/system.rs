//! The real clock and the real source of ids.

use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use pulsestream_domain::{
    Timestamp,
    ports::{Clock, IdSource},
};
use uuid::{ContextV7, Uuid};

/// The system's clock, in UTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is given")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX));
        #[cfg(feature = "sabotage")]
        let now = now.plus_micros(pulsestream_sabotage::clock_lead_micros());
        now
    }
}

/// UUIDv7 with random bits, counted up within a millisecond so that ids sort by when they were made.
#[derive(Debug, Default)]
pub struct SystemIds {
    context: Mutex<ContextV7>,
}

impl IdSource for SystemIds {
    fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let secs = u64::try_from(now.as_secs()).unwrap_or(0);
        let nanos = u32::try_from(now.as_micros().rem_euclid(1_000_000) * 1_000).unwrap_or(0);
        // A poisoned lock only means that another thread panicked between two ids.
        let context = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(uuid::Timestamp::from_unix(&*context, secs, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_when_they_were_made() {
        let ids = SystemIds::default();
        let made: Vec<Uuid> = (0..1_000_i64)
            .map(|i| ids.uuid_v7(Timestamp::from_micros(1_700_000_000_000_000 + i / 10)))
            .collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }
}
