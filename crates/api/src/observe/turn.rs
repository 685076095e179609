//! Whether one worker keeps up with its requests.
//!
//! A worker takes up what has arrived in the order it came, on one thread. When reading, parsing and answering take longer
//! than requests need to arrive, they wait for that thread, where no queue of ours sees them. So the first request marks
//! the end of what had arrived by then: as long as the mark has not come up, everything belongs to the same turn, and once
//! the turn has lasted too long, the rest of it is refused. Refusing is cheap, so the turn is soon over.
//!
//! The turn starts with a request and not with a clock: a thread that got no processor for a while refuses nobody for it.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

/// The turn of one worker; `None` between turns.
#[derive(Clone, Default)]
pub(crate) struct Turn(Rc<Cell<Option<Instant>>>);

impl Turn {
    /// Whether a request that came up now came up in time. Begins a turn if there is none.
    pub(super) fn has_time(&self, now: Instant, max_lag: Duration) -> bool {
        let Some(begun) = self.0.get() else {
            self.0.set(Some(now));
            let turn = self.clone();
            // Comes up behind everything that has arrived.
            actix_web::rt::spawn(async move { turn.0.set(None) });
            return true;
        };
        now.saturating_duration_since(begun) <= max_lag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LAG: Duration = Duration::from_millis(250);

    #[actix_web::test]
    async fn what_comes_up_too_late_in_a_turn_is_refused_and_the_next_turn_is_a_new_one() {
        let turn = Turn::default();
        let begun = Instant::now();
        for (millis, has_time) in [(0, true), (0, true), (250, true), (251, false), (9_000, false)] {
            let now = begun + Duration::from_millis(millis);
            assert_eq!(turn.has_time(now, MAX_LAG), has_time, "after {millis} ms");
        }
        tokio::task::yield_now().await;
        assert!(turn.has_time(begun + Duration::from_millis(9_001), MAX_LAG));
    }
}
