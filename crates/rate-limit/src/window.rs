//! The arithmetic of one tenant. Time is an argument.

use pulsestream_domain::{Timestamp, tenant::Limits};

use crate::{Grant, Policy, Quota, Usage, buckets::Buckets};

/// What one tenant was granted in the last minute and in the last second, in constant space.
///
/// # Time going back
///
/// Time is never taken back: an earlier `now` counts as the newest time seen. When it is earlier by more than a
/// minute, the clock was wrong before rather than jittery now, and holding on to the wrong time would refuse the
/// tenant for as long as it was ahead. The window then takes the new time and counts all it holds as of now. In
/// both cases no more is admitted than if the clock had stood still.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    newest: Timestamp,
    minute: Buckets<61, 1_000_000>,
    second: Buckets<21, 50_000>,
}

/// A step back of the clock beyond this is a correction.
const LONGEST_STEP_BACK_MICROS: i64 = 60_000_000;

impl Window {
    /// An empty window.
    pub fn new(now: Timestamp) -> Self {
        Self { newest: now, minute: Buckets::EMPTY, second: Buckets::EMPTY }
    }

    /// Takes room for up to `count` events.
    pub fn reserve(&mut self, limits: Limits, count: u32, now: Timestamp) -> Grant {
        self.advance(now);
        let granted = count.min(self.remaining(limits));
        self.charge(granted, self.newest);
        Grant { granted, at: self.newest, usage: self.usage_as_of_newest(limits) }
    }

    /// Gives back room that was granted `at` that time. Nothing happens if that has expired, and no stretch of
    /// time gets more back than was taken there.
    pub fn give_back(&mut self, count: u32, at: Timestamp) {
        self.minute.remove(count, at, self.newest);
        self.second.remove(count, at, self.newest);
    }

    /// Takes room without asking whether there is any: somebody else admitted these events `at` that time.
    pub fn charge(&mut self, count: u32, at: Timestamp) {
        self.advance(at);
        self.minute.add(count, at, self.newest);
        self.second.add(count, at, self.newest);
    }

    /// How the tenant stands, without taking anything.
    pub fn usage(&self, limits: Limits, now: Timestamp) -> Usage {
        let mut window = self.clone();
        window.advance(now);
        window.usage_as_of_newest(limits)
    }

    /// Whether nothing in it counts any more: forgetting it changes no decision.
    pub fn is_empty(&self, now: Timestamp) -> bool {
        self.minute.empty_at(self.newest).is_none_or(|empty_at| empty_at <= now)
    }

    fn advance(&mut self, now: Timestamp) {
        if now < self.newest.plus_micros(-LONGEST_STEP_BACK_MICROS) {
            self.minute.rejuvenate();
            self.second.rejuvenate();
            self.newest = now;
        } else if now > self.newest {
            self.minute.advance(self.newest, now);
            self.second.advance(self.newest, now);
            self.newest = now;
        }
    }

    fn remaining(&self, limits: Limits) -> u32 {
        let in_minute = room(limits.per_minute, self.minute.total());
        if bursts_matter(limits) { in_minute.min(room(limits.burst, self.second.total())) } else { in_minute }
    }

    fn usage_as_of_newest(&self, limits: Limits) -> Usage {
        let remaining = self.remaining(limits);
        let minute_below = self.minute.below_at(limits.per_minute, self.newest);
        let burst_below = match bursts_matter(limits) {
            true => self.second.below_at(limits.burst, self.newest),
            false => self.newest,
        };
        let is_exhausted = remaining == 0;
        let longer_wait = if minute_below >= burst_below { Policy::PerMinute } else { Policy::Burst };
        let wait = seconds_between(self.newest, minute_below.max(burst_below)).max(1);
        Usage {
            limit: limits.per_minute,
            remaining,
            reset_at: self.minute.empty_at(self.newest).unwrap_or(self.newest),
            retry_after_seconds: if is_exhausted { wait } else { 0 },
            exhausted: is_exhausted.then_some(longer_wait),
            minute: self.quota(limits.per_minute, &self.minute),
            burst: bursts_matter(limits).then(|| self.quota(limits.burst, &self.second)),
        }
    }

    fn quota<const AGES: usize, const WIDTH: i64>(
        &self,
        limit: u32,
        buckets: &Buckets<AGES, WIDTH>,
    ) -> Quota {
        let empty_at = buckets.empty_at(self.newest).unwrap_or(self.newest);
        Quota {
            limit,
            remaining: room(limit, buckets.total()),
            reset_after_seconds: seconds_between(self.newest, empty_at),
        }
    }
}

/// A burst limit that is not below the minute's limit refuses nothing that the minute would admit.
fn bursts_matter(limits: Limits) -> bool {
    limits.burst < limits.per_minute
}

fn room(limit: u32, taken: u64) -> u32 {
    u32::try_from(u64::from(limit).saturating_sub(taken)).expect("at most the limit")
}

/// Whole seconds, rounded up.
fn seconds_between(from: Timestamp, to: Timestamp) -> u32 {
    let micros = to.as_micros().saturating_sub(from.as_micros()).max(0);
    u32::try_from(micros.unsigned_abs().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// The form that is kept in Redis: the newest time as `i64`, then the counts as `u32`, youngest first, the minute
/// before the second; everything little-endian.
#[cfg(feature = "redis")]
impl Window {
    pub(crate) fn newest(&self) -> Timestamp {
        self.newest
    }

    /// Adds what another window of the same tenant counts; what is later than this one's time counts as of that.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.minute.merge(&other.minute, other.newest, self.newest);
        self.second.merge(&other.second, other.newest, self.newest);
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let newest = self.newest.as_micros().to_le_bytes();
        let counts =
            self.minute.counts().iter().chain(self.second.counts()).flat_map(|count| count.to_le_bytes());
        newest.into_iter().chain(counts).collect()
    }

    /// `None` if this is not such a form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (newest, counts) = bytes.split_first_chunk::<8>()?;
        let (counts, rest) = counts.as_chunks::<4>();
        let counts: [u32; 82] =
            counts.iter().copied().map(u32::from_le_bytes).collect::<Vec<_>>().try_into().ok()?;
        let (minute, second) = counts.split_first_chunk::<61>()?;
        Some(Self {
            newest: Timestamp::from_micros(i64::from_le_bytes(*newest)),
            minute: Buckets::from_counts(*minute),
            second: Buckets::from_counts(second.try_into().ok().filter(|_| rest.is_empty())?),
        })
    }
}
