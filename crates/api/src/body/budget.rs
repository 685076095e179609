//! The bytes of all bodies in memory, counted, so that many requests can't take more than there is.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many bytes of bodies may be in memory at the same time.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    in_use: AtomicUsize,
    max: usize,
}

/// There is no room for more bytes now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BudgetSpent;

/// Bytes that one request holds. They are free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<BodyBudget>,
    bytes: usize,
}

impl BodyBudget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { in_use: AtomicUsize::new(0), max })
    }

    /// A reservation of nothing yet.
    pub(crate) fn open(self: &Arc<Self>) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0 }
    }

    /// Whether so many more bytes would fit now.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        self.in_use().saturating_add(bytes) <= self.max
    }

    pub(crate) fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// Makes the reservation at least this large.
    pub(crate) fn cover(&mut self, bytes: usize) -> Result<(), BudgetSpent> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let before = self.budget.in_use.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.budget.max {
            self.budget.in_use.fetch_sub(more, Ordering::Relaxed);
            return Err(BudgetSpent);
        }
        self.bytes += more;
        Ok(())
    }

    /// Gives back what is more than this.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.bytes -= less;
        self.budget.in_use.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.in_use.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_can_be_reserved_again() {
        let budget = BodyBudget::new(10);
        let (mut one, mut other) = (budget.open(), budget.open());

        assert_eq!(one.cover(6), Ok(()));
        assert_eq!(one.cover(4), Ok(()));
        assert_eq!(other.cover(5), Err(BudgetSpent));
        assert_eq!(other.cover(4), Ok(()));
        assert_eq!(budget.in_use(), 10);

        one.shrink_to(8);
        assert_eq!(budget.in_use(), 10);
        one.shrink_to(2);
        assert_eq!(budget.in_use(), 6);

        drop(one);
        assert_eq!(other.cover(10), Ok(()));
        drop(other);
        assert_eq!(budget.in_use(), 0);
    }
}
