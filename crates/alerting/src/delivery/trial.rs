//! A channel, tried at once: nothing of it is kept.

use std::time::Duration;

use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, Progress},
    ports::IdSource,
};
use pulsestream_notification::{Attempt, OutboundPolicy, Outcome, Reason};

use super::{
    ChannelSecrets, Transport,
    own::test_delivery,
    parts::{NoWay, parts},
    send::send,
};

/// Sends a notice through a channel now, whether it is enabled or not, and tells what came of it: of mail to
/// several people, the worst that did.
pub async fn try_channel(
    transport: &dyn Transport,
    channel: &Channel,
    secrets: &ChannelSecrets,
    policy: &OutboundPolicy,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Attempt {
    let delivery = test_delivery(channel, now, ids);
    let untried =
        |outcome| Attempt { outcome, status: None, duration: Duration::ZERO, excerpt: String::new() };
    let parts = match parts(&delivery, channel, secrets, policy, None, now) {
        Ok(parts) => parts,
        Err(NoWay::Blocked) => return untried(Outcome::Blocked),
        Err(NoWay::Malformed) => return untried(Outcome::Failed { reason: Reason::NotConfigured }),
    };
    let sent = send(transport, &parts, Progress::default(), now).await;
    Attempt { outcome: sent.outcome, status: sent.status, duration: sent.duration, excerpt: sent.excerpt }
}
