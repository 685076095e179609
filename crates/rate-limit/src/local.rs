//! The limiter that counts inside the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};

use crate::{Demand, Grant, Limiter, Refund, Usage, decisions::count_decisions, window_map::WindowMap};

/// Limits what passes through this process. Exact when the process is the only one.
///
/// Memory is bounded by the tenants that stored something in the last two minutes.
pub struct LocalLimiter {
    /// Tenants are spread over several locks, so that they rarely wait for each other.
    shards: [Mutex<WindowMap>; SHARDS],
}

const SHARDS: usize = 16;

impl LocalLimiter {
    /// A limiter that has seen nothing yet.
    pub fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::new(WindowMap::new())) }
    }

    /// The windows among which this tenant's is.
    pub(crate) fn shard(&self, tenant_id: TenantId) -> MutexGuard<'_, WindowMap> {
        // The low bits of a UUID are random, in version 4 and version 7 alike.
        let shard = &self.shards[usize::from(tenant_id.0.as_bytes()[15]) % SHARDS];
        // No window is ever half changed: a panic of another holder leaves nothing to repair.
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reserve_each(&self, demands: &[Demand], now: Timestamp) -> Vec<Grant> {
        demands.iter().map(|demand| self.shard(demand.tenant_id).reserve(demand, now)).collect()
    }

    pub(crate) fn give_back_each(&self, refunds: &[Refund], now: Timestamp) {
        for refund in refunds {
            self.shard(refund.tenant_id).give_back(refund, now);
        }
    }
}

impl Default for LocalLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Limiter for LocalLimiter {
    async fn reserve(&self, demands: &[Demand], now: Timestamp) -> Vec<Grant> {
        let grants = self.reserve_each(demands, now);
        count_decisions("local", demands, &grants);
        grants
    }

    async fn give_back(&self, refunds: &[Refund], now: Timestamp) {
        self.give_back_each(refunds, now);
    }

    async fn usage(&self, tenant_id: TenantId, limits: Limits, now: Timestamp) -> Usage {
        self.shard(tenant_id).usage(tenant_id, limits, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn idle_tenants_hold_no_state() {
        let limiter = LocalLimiter::new();
        let limits = Limits::per_minute(5);
        let start = Timestamp::from_secs(1_800_000_000);
        let tenants_with_state =
            || limiter.shards.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>();

        for id in 0..1_000 {
            let demand = Demand { tenant_id: TenantId(Uuid::from_u128(id)), limits, count: 1 };
            limiter.reserve(&[demand], start).await;
        }
        let busy = tenants_with_state();
        for id in 0..SHARDS {
            let tenant_id = TenantId(Uuid::from_u128(id.try_into().unwrap()));
            limiter.usage(tenant_id, limits, start.plus_secs(61)).await;
        }

        assert_eq!((busy, tenants_with_state()), (1_000, 0));
    }
}
