//! The limiter as mutants would have it. Only with the feature `sabotage`.

use deadpool_redis::redis::Cmd;
use pulsestream_domain::{Timestamp, tenant::Limits};

use super::{Shared, read_grant};
use crate::{Demand, Grant};

/// Spoils what was decided.
pub(super) fn grants(grants: &mut [Grant], demands: &[Demand], now: Timestamp, is_local: bool) {
    for (grant, demand) in grants.iter_mut().zip(demands) {
        if is_local && pulsestream_sabotage::is_broken("limiter_fails_open") {
            grant.granted = demand.count;
        }
        if pulsestream_sabotage::is_broken("own_clock") {
            grant.at = now;
        }
    }
}

impl Shared {
    /// Looks how much room there is, and takes it afterwards. In between, others do the same.
    pub(super) async fn confirm_in_two_steps(&self, demands: &[Demand], grants: &mut [Grant]) -> bool {
        let script = self.server.script();
        let looks: Vec<Cmd> = demands.iter().map(|demand| script.reserve(demand, 0)).collect();
        let Ok(replies) = self.call(&looks).await else { return false };
        let mut takes = Vec::new();
        for ((demand, grant), reply) in demands.iter().zip(grants.iter_mut()).zip(replies) {
            let Ok((_, window)) = read_grant(reply) else { return false };
            let usage = window.usage(demand.limits, window.newest());
            let granted = grant.granted.min(usage.remaining);
            takes.push(script.reserve(&Demand { limits: Limits::per_minute(u32::MAX), ..*demand }, granted));
            *grant = self.settle(demand, grant, granted, &window);
        }
        self.call(&takes).await.is_ok()
    }
}
