//! Choices that can be had again.

use std::{ops::Range, time::Duration};

/// A small generator (`splitmix64`): the same seed makes the same choices on every machine.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts from a seed; any will do.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own, whose choices don't move this one's.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// A number out of a range.
    pub fn number(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    /// A place in something this long.
    pub fn index(&mut self, length: usize) -> usize {
        self.number(0..length as u64) as usize
    }

    /// One of these.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    /// True this often out of a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.number(0..100) < percent
    }

    /// A time, to the millisecond.
    pub fn duration(&mut self, millis: Range<u64>) -> Duration {
        Duration::from_millis(self.number(millis))
    }

    /// Brings a list into another order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
