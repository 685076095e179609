//! How many requests are being worked on.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A count with a cap.
#[derive(Debug)]
pub(crate) struct InFlight {
    count: AtomicUsize,
    max: usize,
}

/// One of the counted. It is counted no more when dropped.
#[derive(Debug)]
pub(crate) struct Entered(Arc<InFlight>);

impl InFlight {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { count: AtomicUsize::new(0), max })
    }

    /// Counts one more, if there is room.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Entered> {
        if self.count.fetch_add(1, Ordering::Relaxed) < self.max {
            return Some(Entered(Arc::clone(self)));
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        None
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_cap_get_in() {
        let requests = InFlight::new(2);
        let (first, _second) = (requests.enter(), requests.enter());
        assert!(requests.enter().is_none());
        assert_eq!(requests.count(), 2);

        drop(first);
        assert!(requests.enter().is_some());
    }
}
