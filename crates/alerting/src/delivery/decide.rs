//! From how the work on a delivery went to what is recorded. Pure.

use std::time::Duration;

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, AttemptOutcome, AttemptRecord, ChannelEffect, DeliveryReason, DeliveryState, DueDelivery,
        FailureStreak, Progress,
    },
    job::{Lease, Settlement},
};
use pulsestream_notification::{Outcome, Reason, schedule::delay_before_next};

use super::send::Sent;

/// How long a delivery may be put off without being tried: as long as the schedule of attempts takes. News that
/// is older is of no use to anybody.
const PATIENCE_SECS: i64 = 28 * 3_600;
/// How long to wait for a host that is busy with our own requests.
const BUSY_SECS: u64 = 30;

/// The work on a delivery.
pub(crate) struct Work<'a> {
    pub(crate) due: &'a DueDelivery,
    pub(crate) lease: Lease,
    /// Since when it should have been sent: that of its job.
    pub(crate) due_at: Timestamp,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// A random number from -1 to 1.
    pub(crate) jitter: f64,
}

/// How it went.
pub(crate) enum Ended {
    /// Something was sent, or at least tried.
    Tried(Sent),
    /// The operator's keys do not open the channel's secrets. They may tomorrow.
    Unreadable,
    /// The channel's address may not be reached.
    Blocked,
    /// The channel lacks something without which nothing can be sent.
    Malformed,
    /// The channel gets no notices.
    Disabled,
    /// It goes to the tenant's owners, and there are none any more.
    NoOwners,
    /// It is not its turn yet.
    PutOff { until: Timestamp, why: &'static str },
}

/// What becomes of the delivery.
enum Then {
    Done,
    Retry { after: Option<Duration> },
    PutOff { until: Timestamp },
    GiveUp,
}

struct Judged {
    then: Then,
    outcome: AttemptOutcome,
    error: Option<String>,
    channel: ChannelEffect,
}

/// What is recorded. Those who are told of a disabled channel are still to be added.
pub(crate) fn decide(work: &Work<'_>, ended: &Ended) -> AttemptRecord {
    let due = work.due;
    let Judged { then, mut outcome, mut error, mut channel } = work.judge(ended);
    if due.delivery.reason == DeliveryReason::OwnersTold {
        // It does not go to the channel.
        channel = ChannelEffect::Unchanged;
    }
    let (mut state, mut next_attempt_at, mut failures) = (DeliveryState::Failed, None, due.progress.failures);
    let mut settlement = Settlement::Complete;
    let mut is_attempt = true;
    match then {
        Then::Done => state = DeliveryState::Delivered,
        Then::GiveUp => {}
        Then::Retry { after } => {
            failures += 1;
            // Somebody waits for a test, and not until tomorrow.
            let is_test = due.delivery.reason == DeliveryReason::Test;
            let delay = delay_before_next(failures, after, work.jitter).filter(|_| !is_test);
            next_attempt_at = delay.map(|delay| later(work.ended_at, delay));
        }
        Then::PutOff { until } if until < work.due_at.plus_secs(PATIENCE_SECS) => {
            next_attempt_at = Some(until);
            is_attempt = matches!(ended, Ended::Tried(sent) if sent.arrived > 0);
        }
        Then::PutOff { .. } => {
            outcome = AttemptOutcome::Failed;
            error = error.map(|error| format!("given up: {error}"));
        }
    }
    if let Some(run_at) = next_attempt_at {
        state = DeliveryState::Pending;
        let error = error.clone().unwrap_or_default().into();
        settlement = Settlement::Retry { run_at, error };
    }
    let sent = match ended {
        Ended::Tried(sent) => Some(sent),
        _ => None,
    };
    let attempt = is_attempt.then(|| Attempt {
        tenant_id: due.delivery.tenant_id,
        delivery_id: due.delivery.id,
        number: due.delivery.attempts.saturating_add(1),
        started_at: work.started_at,
        duration: sent.map_or(Duration::ZERO, |sent| sent.duration),
        outcome,
        status: sent.and_then(|sent| sent.status),
        error,
        excerpt: sent.map(|sent| sent.excerpt.clone()).filter(|excerpt| !excerpt.is_empty()),
    });
    AttemptRecord {
        tenant_id: due.delivery.tenant_id,
        delivery_id: due.delivery.id,
        channel_id: due.channel.id,
        attempt,
        letters: sent.filter(|_| work.is_mail()).map_or(0, |sent| sent.arrived),
        progress: Progress {
            failures,
            parts_done: sent.map_or(due.progress.parts_done, |sent| sent.parts_done),
        },
        state,
        next_attempt_at,
        channel,
        lease: work.lease,
        settlement,
    }
}

impl Work<'_> {
    fn is_mail(&self) -> bool {
        self.due.delivery.is_mail(self.due.channel.destination.kind())
    }

    fn judge(&self, ended: &Ended) -> Judged {
        let judged = |then, outcome, error: &str, channel| Judged {
            then,
            outcome,
            error: Some(error.to_owned()),
            channel,
        };
        let sent = match ended {
            Ended::Tried(sent) => sent,
            Ended::Unreadable => {
                let error = "the secrets of the channel can't be opened";
                let then = Then::Retry { after: None };
                return judged(then, AttemptOutcome::Retry, error, ChannelEffect::Unchanged);
            }
            Ended::Blocked => {
                let error = "the address of the channel may not be reached";
                return judged(Then::GiveUp, AttemptOutcome::BlockedAddress, error, self.failed());
            }
            Ended::Malformed => {
                let error = "the channel is not complete";
                return judged(Then::GiveUp, AttemptOutcome::Failed, error, self.failed());
            }
            Ended::Disabled => {
                let error = "the channel is disabled";
                return judged(Then::GiveUp, AttemptOutcome::Failed, error, ChannelEffect::Unchanged);
            }
            Ended::NoOwners => {
                let error = "the tenant has no owner to tell";
                return judged(Then::GiveUp, AttemptOutcome::Failed, error, ChannelEffect::Unchanged);
            }
            Ended::PutOff { until, why } => {
                let then = Then::PutOff { until: *until };
                return judged(then, AttemptOutcome::Retry, why, ChannelEffect::Unchanged);
            }
        };
        match sent.outcome {
            Outcome::Delivered => Judged {
                then: Then::Done,
                outcome: AttemptOutcome::Delivered,
                error: None,
                channel: ChannelEffect::Worked,
            },
            Outcome::Retry { reason, retry_after } => {
                let then = match reason {
                    Reason::HostBusy => {
                        let wait = Duration::from_secs(BUSY_SECS).mul_f64(1.0 + self.jitter / 2.0);
                        Then::PutOff { until: later(self.ended_at, wait) }
                    }
                    _ => Then::Retry { after: retry_after },
                };
                judged(then, AttemptOutcome::Retry, words(reason), self.effect(sent, reason))
            }
            Outcome::Failed { reason } => {
                judged(Then::GiveUp, AttemptOutcome::Failed, words(reason), self.effect(sent, reason))
            }
            Outcome::Gone => {
                let reason = "its receiver says that it is gone".to_owned();
                let disabled = ChannelEffect::Disabled { reason, told: Vec::new() };
                judged(Then::GiveUp, AttemptOutcome::Gone, "the receiver is gone", disabled)
            }
            Outcome::Blocked => {
                let error = "the address of the channel may not be reached";
                judged(Then::GiveUp, AttemptOutcome::BlockedAddress, error, self.failed())
            }
        }
    }

    /// What a failure says about the channel. That our own server of mail cannot be reached, or is not set up,
    /// says nothing about whoever reads the mail.
    fn effect(&self, sent: &Sent, reason: Reason) -> ChannelEffect {
        let is_ours = match reason {
            Reason::HostBusy | Reason::NotConfigured | Reason::NotAuthenticated => true,
            Reason::BadStatus | Reason::Refused => false,
            _ => self.is_mail(),
        };
        match sent.arrived {
            0 if is_ours => ChannelEffect::Unchanged,
            0 => self.failed(),
            _ => ChannelEffect::Worked,
        }
    }

    /// A failure, and maybe the one after which the channel is disabled. Tests are made to fail sometimes.
    fn failed(&self) -> ChannelEffect {
        if self.due.delivery.reason == DeliveryReason::Test {
            return ChannelEffect::Unchanged;
        }
        let begun = FailureStreak::starting(self.ended_at);
        let streak = self.due.streak.map_or(begun, |streak| streak.extended(self.ended_at));
        if streak.disables(self.ended_at) {
            let reason = format!("everything sent to it has failed since {}", streak.first_at);
            ChannelEffect::Disabled { reason, told: Vec::new() }
        } else {
            ChannelEffect::Failed
        }
    }
}

fn later(at: Timestamp, wait: Duration) -> Timestamp {
    at.plus_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

const fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::NameNotResolved => "the name of the receiver has no address",
        Reason::Unreachable => "no connection to the receiver came about",
        Reason::TlsFailed => "the connection could not be encrypted, or the certificate is not valid",
        Reason::TimedOut => "no answer came in time",
        Reason::ConnectionLost => "the connection ended without an answer",
        Reason::HostBusy => "too many requests to the receiver are under way",
        Reason::BadStatus => "the receiver answered with an error",
        Reason::Refused => "the receiver refused it",
        Reason::Redirected => "the receiver answered with a redirect, which is not followed",
        Reason::NotAuthenticated => "the mail server does not accept the credentials of the service",
        Reason::NotConfigured => "no mail server is set up",
    }
}
