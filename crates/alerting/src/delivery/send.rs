//! Sends the parts of a delivery that are still to be sent.

use std::time::Duration;

use async_trait::async_trait;
use pulsestream_domain::{Timestamp, alerting::Progress};
use pulsestream_notification::{Attempt, Channel, Notice, Notifier, Outcome, Reason};

use super::parts::Part;

/// Makes one attempt to send one notice. A [`Notifier`] does; a test may say what comes of it.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Makes the attempt. It ends in bounded time, and never fails otherwise than by its outcome.
    async fn attempt(&self, channel: &Channel, notice: &Notice, now: Timestamp) -> Attempt;
}

#[async_trait]
impl Transport for Notifier {
    async fn attempt(&self, channel: &Channel, notice: &Notice, now: Timestamp) -> Attempt {
        Self::attempt(self, channel, notice, now).await
    }
}

/// What came of the parts that were tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    /// The worst outcome there was.
    pub(crate) outcome: Outcome,
    /// The status of the answer that came with it.
    pub(crate) status: Option<u16>,
    /// Its beginning.
    pub(crate) excerpt: String,
    /// How long everything took.
    pub(crate) duration: Duration,
    /// See [`Progress::parts_done`]: with those that arrived now.
    pub(crate) parts_done: u32,
    /// How many arrived now.
    pub(crate) arrived: u32,
}

/// Tries each part that is still to be sent, one after the other. What stands in the way of all of them ends it.
pub(crate) async fn send(
    transport: &dyn Transport,
    parts: &[Part],
    progress: Progress,
    now: Timestamp,
) -> Sent {
    let mut sent = Sent {
        outcome: Outcome::Delivered,
        status: None,
        excerpt: String::new(),
        duration: Duration::ZERO,
        parts_done: progress.parts_done,
        arrived: 0,
    };
    for (number, part) in parts.iter().enumerate() {
        let bit = 1_u32.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(0);
        if sent.parts_done & bit != 0 {
            continue;
        }
        let attempt = transport.attempt(&part.channel, &part.notice, now).await;
        sent.duration += attempt.duration;
        if attempt.outcome == Outcome::Delivered {
            sent.parts_done |= bit;
            sent.arrived += 1;
        }
        let is_over = is_in_the_way_of_all(&part.channel, attempt.outcome);
        if weight(attempt.outcome) >= weight(sent.outcome) {
            (sent.outcome, sent.status, sent.excerpt) = (attempt.outcome, attempt.status, attempt.excerpt);
        }
        if is_over {
            break;
        }
    }
    sent
}

/// One mailbox may be full and the next one not; a server that is not there is there for none.
fn is_in_the_way_of_all(channel: &Channel, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Delivered | Outcome::Failed { .. } => false,
        Outcome::Retry { reason: Reason::BadStatus, .. } => !matches!(channel, Channel::Email { .. }),
        Outcome::Retry { .. } | Outcome::Gone | Outcome::Blocked => true,
    }
}

/// A part that can still arrive outweighs one that cannot: the delivery is not over then.
const fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Failed { .. } => 1,
        Outcome::Retry { reason: Reason::HostBusy, .. } => 2,
        Outcome::Retry { .. } => 3,
        Outcome::Blocked => 4,
        Outcome::Gone => 5,
    }
}
