//! The port: what a caller asks of a limiter.

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};

use crate::Usage;

/// Admits newly stored events, tenant by tenant.
///
/// It never fails: one that depends on something that may be away has to have another way to decide, which is
/// neither to admit everything nor to refuse everything.
///
/// `now` is the caller's clock. A limiter with a clock of its own (a server that several instances share) uses
/// that one instead, and says so in [`Grant::at`].
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Takes room for each demand, as much as fits; the answer has the same length and order.
    ///
    /// Demands of one call are served one after the other, so two of the same tenant share its room.
    async fn reserve(&self, demands: &[Demand], now: Timestamp) -> Vec<Grant>;

    /// Gives room back to where it was taken from. What has expired since is of no use and is dropped.
    async fn give_back(&self, refunds: &[Refund], now: Timestamp);

    /// Tells how a tenant stands against its limits, without taking anything.
    async fn usage(&self, tenant_id: TenantId, limits: Limits, now: Timestamp) -> Usage;
}

/// Asks for room for some events of one tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Demand {
    /// Whose events.
    pub tenant_id: TenantId,
    /// The tenant's limits as of now; a change takes effect with the next call.
    pub limits: Limits,
    /// How many events.
    pub count: u32,
}

/// What a [`Demand`] was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant {
    /// How many events may be stored, from the head of those asked for; at most [`Demand::count`].
    pub granted: u32,
    /// The limiter's own time of the decision.
    ///
    /// Stamp the events with it and the stored timestamps keep to the limits exactly. It is also what a
    /// [`Refund`] has to name.
    pub at: Timestamp,
    /// How the tenant stands after this grant. `usage.remaining` is 0 when less was granted than asked for.
    pub usage: Usage,
}

/// Gives back room that was granted and not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refund {
    /// Whose events.
    pub tenant_id: TenantId,
    /// How many events; at most what was granted.
    pub count: u32,
    /// The [`Grant::at`] of the grant.
    pub at: Timestamp,
}
