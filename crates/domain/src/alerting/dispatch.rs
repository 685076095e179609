//! What a worker reads to deliver, and what it records afterwards.

use super::{
    Attempt, Channel, ChannelId, ChannelKind, Delivery, DeliveryId, DeliveryReason, DeliveryState,
    FailureStreak,
};
use crate::{
    Timestamp,
    job::{JobId, JobKind, Lease, NewJob, Priority, Settlement},
    tenant::TenantId,
};

/// Sending one delivery. The key of the job is the delivery's id; it has no payload.
pub const DELIVER: JobKind = JobKind::named("deliver");

impl Delivery {
    /// The job that sends it, from `due_at` on. It is made in the transaction that makes the delivery, or that
    /// sends it again. A test goes first: somebody waits for it.
    pub fn job(&self, id: JobId, due_at: Timestamp) -> NewJob {
        let priority = if self.reason == DeliveryReason::Test { Priority::High } else { Priority::Normal };
        NewJob {
            unique_key: Some(self.id.to_string()),
            priority,
            ..NewJob::new(self.tenant_id, id, DELIVER, due_at)
        }
    }
}

/// Everything that is needed to send a delivery.
#[derive(Clone, PartialEq, Debug)]
pub struct DueDelivery {
    /// What to send; it is pending.
    pub delivery: Delivery,
    /// How far it is.
    pub progress: Progress,
    /// Where to; it may be disabled.
    pub channel: Channel,
    /// The channel's secrets, sealed; none where it has none.
    pub sealed_secrets: Option<String>,
    /// How the channel has been failing; none when it worked last, or was changed or enabled since.
    pub streak: Option<FailureStreak>,
    /// How many letters the tenant's attempts have sent in the 24 hours before; counted where it is sent as
    /// letters, and 0 elsewhere.
    pub letters_last_day: u64,
}

impl Delivery {
    /// Whether it is sent as letters when its channel is of this kind: it is then, and when it goes to owners.
    pub fn is_mail(&self, kind: ChannelKind) -> bool {
        kind == ChannelKind::Email || self.reason == DeliveryReason::OwnersTold
    }
}

/// How far a delivery is. All zero when it is made, and again when somebody has it sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// How many attempts were in vain.
    pub failures: u32,
    /// One bit for each part that need not be sent any more; a delivery has at most 32 parts. Mail to several
    /// people has a part for each of them.
    pub parts_done: u32,
}

/// What came of the work on a delivery.
#[derive(Clone, PartialEq, Debug)]
pub struct AttemptRecord {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its channel.
    pub channel_id: ChannelId,
    /// The attempt, a new row; the delivery's `attempts` become its number. None when nothing was tried, and
    /// the delivery was only put off.
    pub attempt: Option<Attempt>,
    /// How many letters the attempt has sent; kept with it. 0 for everything but mail.
    pub letters: u32,
    /// How far the delivery is now.
    pub progress: Progress,
    /// Where it stands now.
    pub state: DeliveryState,
    /// When it is tried next; none when it will not be.
    pub next_attempt_at: Option<Timestamp>,
    /// What it says about the channel.
    pub channel: ChannelEffect,
    /// The job's lease. Without it nothing is recorded.
    pub lease: Lease,
    /// What becomes of the job.
    pub settlement: Settlement,
}

/// What an attempt means for its channel.
#[derive(Clone, PartialEq, Debug)]
pub enum ChannelEffect {
    /// Nothing.
    Unchanged,
    /// It works: a [`FailureStreak`] is over.
    Worked,
    /// It failed now: its streak begins, or is one longer. In the store, so that no failure is lost when several
    /// attempts end at once.
    Failed,
    /// It failed, and gets no more notices until somebody enables it. Nothing but a failure where it was disabled
    /// already: then nobody is told.
    Disabled {
        /// See [`Channel::disabled_reason`].
        reason: String,
        /// Who is told, through other channels and by mail. Stored as new deliveries, each with its job, due at its
        /// `next_attempt_at`.
        told: Vec<Delivery>,
    },
}

/// What became of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// It is stored.
    Recorded,
    /// Nothing was stored: the job belongs to somebody else now, or is gone.
    LeaseLost,
}
