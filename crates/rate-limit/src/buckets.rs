//! Counts of events by age.

use pulsestream_domain::Timestamp;

/// `AGES` counts, each of a stretch of `WIDTH` microseconds; the youngest stretch comes first.
///
/// Stretches are aligned to the epoch, so an event in the stretch of age `AGES - 1` is older than
/// `(AGES - 2) * WIDTH`: it takes one bucket more than the window is long to never forget an event too early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Buckets<const AGES: usize, const WIDTH: i64>([u32; AGES]);

impl<const AGES: usize, const WIDTH: i64> Buckets<AGES, WIDTH> {
    pub(crate) const EMPTY: Self = Self([0; AGES]);

    #[cfg(feature = "redis")]
    pub(crate) fn from_counts(counts: [u32; AGES]) -> Self {
        Self(counts)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn counts(&self) -> &[u32] {
        &self.0
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }

    /// Ages everything by the stretches between the two instants, and forgets what is too old.
    pub(crate) fn advance(&mut self, from: Timestamp, to: Timestamp) {
        let stretches = stretch::<WIDTH>(to) - stretch::<WIDTH>(from);
        let stretches = usize::try_from(stretches).unwrap_or(0).min(AGES);
        self.0.copy_within(..AGES - stretches, stretches);
        self.0[..stretches].fill(0);
    }

    /// Counts everything as having just happened.
    pub(crate) fn rejuvenate(&mut self) {
        let total = u32::try_from(self.total()).unwrap_or(u32::MAX);
        self.0 = [0; AGES];
        self.0[0] = total;
    }

    /// Adds to the stretch of `at`, or to the youngest if `at` is later; nothing if it has expired.
    pub(crate) fn add(&mut self, count: u32, at: Timestamp, newest: Timestamp) {
        let age = (stretch::<WIDTH>(newest) - stretch::<WIDTH>(at)).max(0);
        if let Some(bucket) = self.bucket(age) {
            *bucket = bucket.saturating_add(count);
        }
    }

    /// Takes from the stretch of `at` what is there to take.
    pub(crate) fn remove(&mut self, count: u32, at: Timestamp, newest: Timestamp) {
        if let Some(bucket) = self.bucket(stretch::<WIDTH>(newest) - stretch::<WIDTH>(at)) {
            *bucket = bucket.saturating_sub(count);
        }
    }

    /// Adds the counts of another, each to the stretch it was counted in.
    #[cfg(feature = "redis")]
    pub(crate) fn merge(&mut self, other: &Self, other_newest: Timestamp, newest: Timestamp) {
        for (age, count) in (0_i64..).zip(other.0) {
            self.add(count, other_newest.plus_micros(-age * WIDTH), newest);
        }
    }

    /// When nothing is counted any more; `None` if nothing is.
    pub(crate) fn empty_at(&self, newest: Timestamp) -> Option<Timestamp> {
        let youngest = self.0.iter().position(|&count| count > 0)?;
        Some(Self::expiry(youngest, newest))
    }

    /// The first time from `newest` on at which fewer than `limit` are counted; never later than an empty window.
    pub(crate) fn below_at(&self, limit: u32, newest: Timestamp) -> Timestamp {
        let mut left = self.total();
        let mut at = newest;
        for age in (0..AGES).rev() {
            if left < u64::from(limit) {
                return at;
            }
            left -= u64::from(self.0[age]);
            at = Self::expiry(age, newest);
        }
        at
    }

    fn bucket(&mut self, age: i64) -> Option<&mut u32> {
        self.0.get_mut(usize::try_from(age).ok()?)
    }

    /// When the stretch that now has this age is forgotten.
    fn expiry(age: usize, newest: Timestamp) -> Timestamp {
        let stretches_to_live = i64::try_from(AGES - age).expect("there are few ages");
        let expiry = stretch::<WIDTH>(newest).saturating_add(stretches_to_live);
        Timestamp::from_micros(expiry.saturating_mul(WIDTH))
    }
}

fn stretch<const WIDTH: i64>(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(WIDTH)
}
