//! Work to be done later, and the lease under which it is done.
//!
//! A job is taken in as a [`NewJob`], handed out as a [`LeasedJob`] and ends with a [`Settlement`]. What a
//! job means is up to its [`JobKind`]; here it is a name, a payload and a time.
//!
//! | instant | is |
//! |---|---|
//! | `due_at` | the moment a job stands for, such as a tick of a schedule; no retry changes it |
//! | `run_at` | when its next attempt may start; `due_at` at first |
//! | `lease_until` | until when somebody works on it, unless that is extended |

mod dead;
mod kind;
mod lease;
mod reason;

use uuid::Uuid;

pub use dead::{DeadJob, DeadJobs, Replayed};
pub use kind::{JobKind, ParseJobKindError};
pub use lease::{Demand, Lease, LeaseCheck, LeasedJob, Settlement};
pub use reason::Reason;

use crate::{Timestamp, tenant::TenantId};

/// Whose jobs those are that belong to the service itself: the nil UUID, which no tenant has.
pub const SYSTEM: TenantId = TenantId(Uuid::nil());

/// The id of a job; unique within its tenant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(pub Uuid);

/// A job to be taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewJob {
    /// Whose it is, or [`SYSTEM`].
    pub tenant_id: TenantId,
    /// Chosen by who enqueues it. A job with an id that is taken is not taken in again.
    pub id: JobId,
    /// Who can do it.
    pub kind: JobKind,
    /// What it is about, in JSON; empty when the key says it all. Never a secret: it is kept in clear.
    pub payload: String,
    /// Of live jobs with the same tenant, kind and key there is one at most. Up to 255 characters without
    /// NUL.
    pub unique_key: Option<String>,
    /// What goes first when many wait.
    pub priority: Priority,
    /// The moment it stands for, and the earliest it is worked on.
    pub due_at: Timestamp,
}

impl NewJob {
    /// A job of normal priority, with an empty payload and without a key.
    pub const fn new(tenant_id: TenantId, id: JobId, kind: JobKind, due_at: Timestamp) -> Self {
        Self {
            tenant_id,
            id,
            kind,
            payload: String::new(),
            unique_key: None,
            priority: Priority::Normal,
            due_at,
        }
    }
}

/// What goes first among due jobs of a kind. Strictly: a lower one waits while a higher one does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Priority {
    /// Somebody waits for it.
    High,
    /// Everything else.
    #[default]
    Normal,
    /// Whenever there is time.
    Low,
}

impl Priority {
    /// Its number in columns: the lower, the earlier.
    pub const fn as_number(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

/// What became of a job that was to be taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Enqueued {
    /// It waits now.
    New,
    /// There is a live job with its key, or any job with its id; that one was left alone.
    Existing,
}

/// How many jobs of one kind there are, over all tenants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueueFigures {
    /// The kind they have.
    pub kind: JobKind,
    /// Whose time has come and whom nobody works on, among them those whose lease is over.
    pub due: u64,
    /// Whose time is still to come.
    pub scheduled: u64,
    /// That somebody works on.
    pub leased: u64,
    /// That were given up.
    pub dead: u64,
    /// Since when the one waits that has waited longest; `None` when none is due.
    pub oldest_due: Option<Timestamp>,
}
