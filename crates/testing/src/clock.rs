//! Time and ids that a test decides.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use pulsestream_domain::{
    Timestamp,
    ports::{Clock, IdSource},
};
use uuid::Uuid;

/// A clock that stands still until it is told otherwise. Share it in an `Arc`; any thread may move it.
#[derive(Debug)]
pub struct FakeClock {
    micros: AtomicI64,
}

impl FakeClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self { micros: AtomicI64::new(now.as_micros()) }
    }

    /// Moves to `now`, which may lie in the past, as a corrected system clock can.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves forward by `step`, cut to microseconds, and answers with the new time.
    ///
    /// # Panics
    /// When `step` is longer than 292,000 years.
    pub fn advance(&self, step: Duration) -> Timestamp {
        let step = i64::try_from(step.as_micros()).expect("a test lasts less than 292,000 years");
        Timestamp::from_micros(self.micros.fetch_add(step, Ordering::SeqCst).saturating_add(step))
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::SeqCst))
    }
}

/// Ids that are the same in every run: a `UUIDv7` of the time asked for, then a counter, then the seed.
///
/// They grow strictly as long as the times asked for do not go back. Sources with different seeds never
/// give the same id.
#[derive(Debug, Default)]
pub struct SequentialIds {
    given: AtomicU64,
    seed: u32,
}

impl SequentialIds {
    /// A source of its own series of ids.
    #[must_use]
    pub const fn seeded(seed: u32) -> Self {
        Self { given: AtomicU64::new(0), seed }
    }
}

impl IdSource for SequentialIds {
    fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let millis = u128::try_from(now.as_millis()).unwrap_or(0);
        let count = u128::from(self.given.fetch_add(1, Ordering::SeqCst));
        layout(millis, count << 32 | u128::from(self.seed))
    }
}

/// RFC 9562 §5.7: 48 bits of milliseconds, version, 12 bits, variant, 62 bits.
const fn layout(millis: u128, tail: u128) -> Uuid {
    const LOW: u128 = (1 << 62) - 1;
    let high = (tail >> 62) & 0xfff;
    Uuid::from_u128(millis << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | tail & LOW)
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, sync::Arc, thread};

    use proptest::prelude::*;
    use uuid::{Variant, Version};

    use super::*;

    #[test]
    fn a_fake_clock_moves_only_when_told() {
        let clock = FakeClock::at(Timestamp::from_secs(100));
        assert_eq!(clock.now(), clock.now());

        assert_eq!(clock.advance(Duration::from_micros(1)), Timestamp::from_micros(100_000_001));
        assert_eq!(clock.now(), Timestamp::from_micros(100_000_001));

        clock.set(Timestamp::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(5));
    }

    #[test]
    fn threads_lose_no_step_of_a_fake_clock() {
        let clock = Arc::new(FakeClock::at(Timestamp::EPOCH));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| _ = clock.advance(Duration::from_secs(1))));
            }
        });
        assert_eq!(clock.now(), Timestamp::from_secs(4_000));
    }

    #[test]
    fn two_runs_give_the_same_ids_and_two_seeds_never_do() {
        let take = |ids: SequentialIds| -> Vec<Uuid> {
            (0..100).map(|_| ids.uuid_v7(Timestamp::from_secs(7))).collect()
        };
        assert_eq!(take(SequentialIds::seeded(1)), take(SequentialIds::seeded(1)));

        let one: HashSet<_> = take(SequentialIds::seeded(1)).into_iter().collect();
        assert!(take(SequentialIds::seeded(2)).iter().all(|id| !one.contains(id)));
    }

    proptest! {
        #[test]
        fn ids_are_of_version_7_hold_their_time_and_grow(
            start in 0..=Timestamp::MAX.as_micros() - 1_000_000,
            mut steps in proptest::collection::vec(0..1_000_000_i64, 1..50),
            seed: u32,
        ) {
            steps.sort_unstable();
            let ids = SequentialIds::seeded(seed);
            let mut before = Uuid::nil();
            for step in steps {
                let now = Timestamp::from_micros(start).plus_micros(step);
                let id = ids.uuid_v7(now);
                prop_assert!(id > before);
                prop_assert_eq!(id.get_version(), Some(Version::SortRand));
                prop_assert_eq!(id.get_variant(), Variant::RFC4122);
                let (secs, nanos) = id.get_timestamp().expect("version 7 has a time").to_unix();
                let millis = secs as i64 * 1_000 + i64::from(nanos / 1_000_000);
                prop_assert_eq!(millis, now.as_millis());
                before = id;
            }
        }

        #[test]
        fn the_tail_keeps_all_its_74_bits(one in 0..1_u128 << 74, other in 0..1_u128 << 74) {
            prop_assert_eq!(layout(1, one).cmp(&layout(1, other)), one.cmp(&other));
        }
    }
}
