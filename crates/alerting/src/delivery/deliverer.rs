//! The work of a job that delivers.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        AttemptRecord, ChannelEffect, ChannelKind, DELIVER, DeliveryId, DeliveryReason, DueDelivery, Recorded,
    },
    job::{JobKind, LeasedJob},
    ports::{Clock, DeliveryStore, IdSource, StoreError},
};
use pulsestream_jobs::{Entropy, Handler, KindSettings, Verdict};
use pulsestream_notification::{Keyring, OutboundPolicy};

use super::{
    ChannelSecrets, Transport,
    decide::{Ended, Work, decide},
    own::tell_of_disabled,
    pace::Pace,
    parts::{NoWay, Part, letters_to_owners, parts},
    send::send,
};
use crate::causes::causes;

/// How deliveries are sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DelivererSettings {
    /// How many letters a tenant may send in any 24 hours. What is beyond waits, for a day at most; a delivery to
    /// several people that begins below the limit may end above it.
    pub letters_per_day: u64,
    /// Where people reach the service, without a slash at the end; for the links in notices.
    pub public_url: Option<String>,
    /// What may be reached. That of the notifier.
    pub policy: OutboundPolicy,
}

impl Default for DelivererSettings {
    /// 500 letters a day, no links, the public internet by https.
    fn default() -> Self {
        Self { letters_per_day: 500, public_url: None, policy: OutboundPolicy::default() }
    }
}

/// How jobs of [`DELIVER`] are worked on. None is ever given up as a job: that is decided of the delivery. The
/// time is that of 20 letters to a slow server.
#[must_use]
pub fn deliver_settings() -> KindSettings {
    KindSettings {
        concurrency: 16,
        max_attempts: u32::MAX,
        time_limit: Duration::from_secs(330),
        ..KindSettings::default()
    }
}

/// Sends what is due, and records what came of it.
///
/// At least once: a worker that is lost between the sending and the record leaves the delivery to another, which
/// sends it again, under the same id. Once it is recorded as delivered it is never sent again.
pub struct Deliverer {
    store: Arc<dyn DeliveryStore>,
    transport: Arc<dyn Transport>,
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    entropy: Entropy,
    settings: DelivererSettings,
    pace: Pace,
}

/// How long what is over the daily limit of letters waits before it asks again.
const OVER_LIMIT_SECS: i64 = 3_600;
/// What was sent is recorded with some obstinacy: otherwise it is sent again.
const RECORD_ROUNDS: u32 = 3;

impl Deliverer {
    /// A deliverer on these.
    pub fn new(
        store: Arc<dyn DeliveryStore>,
        transport: Arc<dyn Transport>,
        keyring: Keyring,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        entropy: Entropy,
        settings: DelivererSettings,
    ) -> Self {
        Self { store, transport, keyring, clock, ids, entropy, settings, pace: Pace::default() }
    }

    /// Works on the delivery of a job of [`DELIVER`].
    ///
    /// # Errors
    /// When the store fails. If that was when recording, the notice may be out already, and goes out again.
    pub async fn deliver(&self, job: &LeasedJob) -> Result<Verdict, StoreError> {
        if job.unique_key.as_deref().and_then(|key| key.parse::<DeliveryId>().ok()).is_none() {
            return Ok(Verdict::bury("the key of a delivery's job is its id"));
        }
        let started_at = self.clock.now();
        let Some(due) = self.store.due(job, started_at).await? else { return Ok(Verdict::Done) };
        let ended = self.work(&due, started_at).await?;
        let work = Work {
            due: &due,
            lease: job.lease,
            due_at: job.due_at,
            started_at,
            ended_at: self.clock.now(),
            jitter: (self.entropy)() as f64 / u64::MAX as f64 * 2.0 - 1.0,
        };
        let mut record = decide(&work, &ended);
        if let ChannelEffect::Disabled { reason, told } = &mut record.channel {
            let tenant_id = due.channel.tenant_id;
            let channels = self.store.enabled_channels(tenant_id).await?;
            let has_owners = !self.store.owners(tenant_id).await?.is_empty();
            *told = tell_of_disabled(&due.channel, reason, &channels, has_owners, work.ended_at, &*self.ids);
            tracing::warn!(
                tenant.id = %due.channel.tenant_id,
                channel.id = %due.channel.id,
                reason,
                told.count = told.len(),
                "a channel is disabled"
            );
        }
        self.record(&record).await?;
        Ok(Verdict::SettledAlready)
    }

    async fn work(&self, due: &DueDelivery, now: Timestamp) -> Result<Ended, StoreError> {
        let parts = match due.delivery.reason {
            DeliveryReason::OwnersTold => self.letters_to_owners(due).await?,
            _ => self.parts(due, now),
        };
        let parts = match parts {
            Ok(parts) => parts,
            Err(ended) => return Ok(ended),
        };
        if let Some(put_off) = self.put_off(due, now) {
            return Ok(put_off);
        }
        Ok(Ended::Tried(send(&*self.transport, &parts, due.progress, now).await))
    }

    async fn letters_to_owners(&self, due: &DueDelivery) -> Result<Result<Vec<Part>, Ended>, StoreError> {
        let owners = self.store.owners(due.delivery.tenant_id).await?;
        let public_url = self.settings.public_url.as_deref();
        let letters = letters_to_owners(&due.delivery, &due.channel, &owners, public_url);
        Ok(if letters.is_empty() { Err(Ended::NoOwners) } else { Ok(letters) })
    }

    fn parts(&self, due: &DueDelivery, now: Timestamp) -> Result<Vec<Part>, Ended> {
        let (delivery, channel) = (&due.delivery, &due.channel);
        if !channel.enabled && delivery.reason != DeliveryReason::Test {
            return Err(Ended::Disabled);
        }
        let secrets = due.sealed_secrets.as_deref().map_or(Ok(ChannelSecrets::default()), |sealed| {
            ChannelSecrets::open(&self.keyring, channel, sealed)
        });
        let secrets = match secrets {
            Ok(secrets) => secrets,
            Err(error) => {
                tracing::error!(tenant.id = %channel.tenant_id, channel.id = %channel.id, error = %causes(&error), "the secrets of a channel can't be opened");
                return Err(Ended::Unreadable);
            }
        };
        let public_url = self.settings.public_url.as_deref();
        parts(delivery, channel, &secrets, &self.settings.policy, public_url, now).map_err(|no_way| {
            match no_way {
                NoWay::Blocked => Ended::Blocked,
                NoWay::Malformed => Ended::Malformed,
            }
        })
    }

    /// Whether it has to wait although it could be sent.
    fn put_off(&self, due: &DueDelivery, now: Timestamp) -> Option<Ended> {
        let (delivery, channel) = (&due.delivery, &due.channel);
        let kind = channel.destination.kind();
        if delivery.is_mail(kind) {
            return (due.letters_last_day >= self.settings.letters_per_day).then(|| Ended::PutOff {
                until: now.plus_secs(OVER_LIMIT_SECS),
                why: "the tenant's daily limit of letters is reached",
            });
        }
        if kind != ChannelKind::Slack {
            return None;
        }
        let until = self.pace.turn(channel.id, delivery.id, now).err()?;
        Some(Ended::PutOff { until, why: "the channel takes one message a second" })
    }

    async fn record(&self, record: &AttemptRecord) -> Result<(), StoreError> {
        let mut round = 1;
        loop {
            match self.store.record(record, self.clock.now()).await {
                Ok(Recorded::Recorded) => return Ok(()),
                // Or recorded by the round before, whose outcome was unknown.
                Ok(Recorded::LeaseLost) => {
                    tracing::debug!(tenant.id = %record.tenant_id, delivery.id = %record.delivery_id, "the lease on a delivery is over");
                    return Ok(());
                }
                Err(StoreError::Busy(_) | StoreError::OutcomeUnknown(_)) if round < RECORD_ROUNDS => {
                    round += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[async_trait]
impl Handler for Deliverer {
    fn kind(&self) -> JobKind {
        DELIVER
    }

    async fn run(&self, job: &LeasedJob) -> Verdict {
        let delivery = job.unique_key.as_deref().unwrap_or_default();
        match self.deliver(job).await {
            Ok(verdict) => verdict,
            // If nothing was recorded, the job is tried again when its lease is over.
            Err(error @ StoreError::OutcomeUnknown(_)) => {
                tracing::warn!(tenant.id = %job.lease.tenant_id, delivery.id = delivery, error = %causes(&error), "an attempt may or may not have been recorded");
                Verdict::SettledAlready
            }
            Err(error) => {
                tracing::warn!(tenant.id = %job.lease.tenant_id, delivery.id = delivery, error = %causes(&error), "a delivery could not be worked on");
                Verdict::retry(error.to_string())
            }
        }
    }
}
