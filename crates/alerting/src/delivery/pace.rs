//! One message a second per channel.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use pulsestream_domain::{
    Timestamp,
    alerting::{ChannelId, DeliveryId},
};

/// What Slack allows per channel.
const PAUSE_SECS: i64 = 1;
/// Turns that nobody took are forgotten after this time: somebody else has sent their deliveries.
const KEPT_SECS: i64 = 60;

/// Gives turns. What waits is told when to come back, so that it need not ask again and again. Per process:
/// what several processes send too fast together is answered with 429, and tried again later.
#[derive(Default)]
pub(crate) struct Pace(Mutex<Turns>);

#[derive(Default)]
struct Turns {
    /// When the next message of a channel may go.
    free_at: HashMap<ChannelId, Timestamp>,
    given: HashMap<DeliveryId, Timestamp>,
}

impl Pace {
    /// Whether it is the turn of this delivery.
    ///
    /// # Errors
    /// When it will be.
    pub(crate) fn turn(
        &self,
        channel: ChannelId,
        delivery: DeliveryId,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.free_at.retain(|_, free_at| *free_at > now);
        turns.given.retain(|_, turn| turn.plus_secs(KEPT_SECS) > now);
        let turn = turns.given.get(&delivery).copied().unwrap_or_else(|| {
            let turn = turns.free_at.get(&channel).copied().unwrap_or(now);
            turns.free_at.insert(channel, turn.plus_secs(PAUSE_SECS));
            turn
        });
        if turn <= now {
            turns.given.remove(&delivery);
            Ok(())
        } else {
            turns.given.insert(delivery, turn);
            Err(turn)
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_gets_a_turn_of_its_own_a_second_after_the_other() {
        let pace = Pace::default();
        let start = Timestamp::from_secs(1_000);
        let ask = |channel: u128, delivery: u128, secs| {
            let ids = (ChannelId(Uuid::from_u128(channel)), DeliveryId(Uuid::from_u128(delivery)));
            pace.turn(ids.0, ids.1, start.plus_secs(secs)).map_err(|turn| turn.as_secs() - 1_000)
        };
        assert_eq!(ask(1, 1, 0), Ok(()));
        assert_eq!([ask(1, 2, 0), ask(1, 3, 0), ask(1, 4, 0)], [Err(1), Err(2), Err(3)]);
        assert_eq!(ask(2, 5, 0), Ok(()), "another channel");
        assert_eq!(ask(1, 3, 1), Err(2), "too early; its turn stays");
        assert_eq!([ask(1, 2, 1), ask(1, 3, 2)], [Ok(()), Ok(())]);
        assert_eq!(ask(1, 4, 9), Ok(()), "late, and nobody else waits");
        assert_eq!([ask(1, 6, 10), ask(1, 4, 10)], [Ok(()), Err(11)], "a retry waits for its turn again");
    }
}
