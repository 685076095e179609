//! Deliveries in a list, their jobs in a queue.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, AttemptRecord, Channel, ChannelEffect, ChannelId, Delivery, DeliveryId, DeliveryState,
        DueDelivery, FailureStreak, MAX_OWNERS_TOLD, Progress, Recorded,
    },
    identity::Email,
    job::{JobId, LeaseCheck, LeasedJob},
    ports::{DeliveryStore, StoreError},
    tenant::TenantId,
};

use super::{MemoryQueue, lock};

/// Keeps channels, deliveries and attempts in lists, beside a [`MemoryQueue`] that has the jobs.
///
/// It can be told to fail, once per order, so that a test sees what its caller does about it.
#[derive(Default)]
pub struct MemoryDeliveries {
    queue: Arc<MemoryQueue>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    channels: Vec<KeptChannel>,
    deliveries: Vec<KeptDelivery>,
    attempts: Vec<KeptAttempt>,
    owners: Vec<(TenantId, Email)>,
    failures: Vec<StoreError>,
}

struct KeptChannel {
    channel: Channel,
    sealed_secrets: Option<String>,
    streak: Option<FailureStreak>,
}

struct KeptDelivery {
    delivery: Delivery,
    progress: Progress,
}

struct KeptAttempt {
    attempt: Attempt,
    letters: u32,
}

impl MemoryDeliveries {
    /// Nothing to deliver yet; jobs are put into this queue.
    #[must_use]
    pub fn over(queue: Arc<MemoryQueue>) -> Self {
        Self { queue, ..Self::default() }
    }

    /// Where the jobs are.
    pub const fn queue(&self) -> &Arc<MemoryQueue> {
        &self.queue
    }

    /// Makes the next `record` fail like this, without storing anything. Orders queue up.
    pub fn fail_next(&self, error: StoreError) {
        self.kept().failures.insert(0, error);
    }

    /// Keeps a channel in place of one with its id. It has not failed since.
    pub fn put_channel(&self, channel: &Channel, sealed_secrets: Option<&str>) {
        let mut kept = self.kept();
        let is_it = |known: &KeptChannel| {
            (known.channel.tenant_id, known.channel.id) == (channel.tenant_id, channel.id)
        };
        kept.channels.retain(|known| !is_it(known));
        let (channel, sealed_secrets) = (channel.clone(), sealed_secrets.map(str::to_owned));
        kept.channels.push(KeptChannel { channel, sealed_secrets, streak: None });
    }

    /// Makes somebody an owner of a tenant.
    pub fn put_owner(&self, tenant_id: TenantId, owner: Email) {
        self.kept().owners.push((tenant_id, owner));
    }

    /// Forgets a channel.
    pub fn delete_channel(&self, tenant_id: TenantId, id: ChannelId) {
        self.kept().channels.retain(|known| (known.channel.tenant_id, known.channel.id) != (tenant_id, id));
    }

    /// Keeps a new delivery and its job.
    pub fn put_delivery(&self, delivery: &Delivery) {
        self.kept().put(delivery, &self.queue);
    }

    /// A channel as it stands.
    pub fn channel(&self, tenant_id: TenantId, id: ChannelId) -> Option<Channel> {
        let kept = self.kept();
        let known = kept.channels.iter().map(|known| &known.channel);
        known.into_iter().find(|channel| (channel.tenant_id, channel.id) == (tenant_id, id)).cloned()
    }

    /// A delivery as it stands, and its attempts.
    pub fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Option<(Delivery, Vec<Attempt>)> {
        let kept = self.kept();
        let is_its = |attempt: &&Attempt| (attempt.tenant_id, attempt.delivery_id) == (tenant_id, id);
        let attempts = kept.attempts.iter().map(|kept| &kept.attempt).filter(is_its).cloned().collect();
        let delivery = kept.delivery(tenant_id, id)?.delivery.clone();
        Some((delivery, attempts))
    }

    /// Every delivery of a tenant, in the order they were made.
    pub fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery> {
        let kept = self.kept();
        let all = kept.deliveries.iter().map(|kept| kept.delivery.clone());
        all.filter(|delivery| delivery.tenant_id == tenant_id).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Kept {
    fn put(&mut self, delivery: &Delivery, queue: &MemoryQueue) {
        if let Some(due_at) = delivery.next_attempt_at {
            queue.put(&[delivery.job(JobId(delivery.id.0), due_at)]);
        }
        self.deliveries.push(KeptDelivery { delivery: delivery.clone(), progress: Progress::default() });
    }

    fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Option<&KeptDelivery> {
        let is_it = |kept: &&KeptDelivery| (kept.delivery.tenant_id, kept.delivery.id) == (tenant_id, id);
        self.deliveries.iter().find(is_it)
    }

    fn letters_since(&self, tenant_id: TenantId, since: Timestamp) -> u64 {
        let is_meant =
            |kept: &&KeptAttempt| kept.attempt.tenant_id == tenant_id && kept.attempt.started_at >= since;
        self.attempts.iter().filter(is_meant).map(|kept| u64::from(kept.letters)).sum()
    }

    fn tell_channel(&mut self, record: &AttemptRecord, now: Timestamp, queue: &MemoryQueue) {
        let is_it = |known: &&mut KeptChannel| {
            (known.channel.tenant_id, known.channel.id) == (record.tenant_id, record.channel_id)
        };
        let Some(known) = self.channels.iter_mut().find(is_it) else { return };
        let begun = FailureStreak::starting(now);
        let longer = Some(known.streak.map_or(begun, |streak| streak.extended(now)));
        match &record.channel {
            ChannelEffect::Unchanged => {}
            ChannelEffect::Worked => known.streak = None,
            ChannelEffect::Failed => known.streak = longer,
            ChannelEffect::Disabled { reason, told } => {
                known.streak = longer;
                if known.channel.enabled {
                    known.channel.enabled = false;
                    known.channel.disabled_reason = Some(reason.clone());
                    known.channel.updated_at = now;
                    told.iter().for_each(|delivery| self.put(delivery, queue));
                }
            }
        }
    }
}

#[async_trait]
impl DeliveryStore for MemoryDeliveries {
    async fn due(&self, job: &LeasedJob, now: Timestamp) -> Result<Option<DueDelivery>, StoreError> {
        let kept = self.kept();
        let tenant_id = job.lease.tenant_id;
        let id = job.unique_key.as_deref().and_then(|key| key.parse().ok());
        let found = id.and_then(|id| kept.delivery(tenant_id, id));
        let Some(found) = found.filter(|kept| kept.delivery.state == DeliveryState::Pending) else {
            return Ok(None);
        };
        let is_its = |known: &&KeptChannel| {
            (known.channel.tenant_id, known.channel.id) == (tenant_id, found.delivery.channel_id)
        };
        let Some(known) = kept.channels.iter().find(is_its) else { return Ok(None) };
        let is_mail = found.delivery.is_mail(known.channel.destination.kind());
        let day_ago = now.plus_secs(-24 * 3_600);
        Ok(Some(DueDelivery {
            delivery: found.delivery.clone(),
            progress: found.progress,
            channel: known.channel.clone(),
            sealed_secrets: known.sealed_secrets.clone(),
            streak: known.streak,
            letters_last_day: if is_mail { kept.letters_since(tenant_id, day_ago) } else { 0 },
        }))
    }

    async fn enabled_channels(&self, tenant_id: TenantId) -> Result<Vec<Channel>, StoreError> {
        let kept = self.kept();
        let all = kept.channels.iter().map(|known| known.channel.clone());
        let mut channels: Vec<Channel> =
            all.filter(|channel| channel.tenant_id == tenant_id && channel.enabled).collect();
        channels.sort_by_key(|channel| channel.id);
        Ok(channels)
    }

    async fn owners(&self, tenant_id: TenantId) -> Result<Vec<Email>, StoreError> {
        let kept = self.kept();
        let mine = kept.owners.iter().filter(|(owned, _)| *owned == tenant_id);
        Ok(mine.map(|(_, owner)| owner.clone()).take(MAX_OWNERS_TOLD).collect())
    }

    async fn record(&self, record: &AttemptRecord, now: Timestamp) -> Result<Recorded, StoreError> {
        let mut kept = self.kept();
        if let Some(error) = kept.failures.pop() {
            return Err(error);
        }
        if self.queue.settle_one(&record.lease, &record.settlement, now) == LeaseCheck::Lost {
            return Ok(Recorded::LeaseLost);
        }
        let is_it = |kept: &&mut KeptDelivery| {
            (kept.delivery.tenant_id, kept.delivery.id) == (record.tenant_id, record.delivery_id)
        };
        if let Some(known) = kept.deliveries.iter_mut().find(is_it) {
            known.progress = record.progress;
            known.delivery.state = record.state;
            known.delivery.next_attempt_at = record.next_attempt_at;
            if let Some(attempt) = &record.attempt {
                known.delivery.attempts = attempt.number;
                kept.attempts.push(KeptAttempt { attempt: attempt.clone(), letters: record.letters });
            }
        }
        kept.tell_channel(record, now, &self.queue);
        Ok(Recorded::Recorded)
    }
}
