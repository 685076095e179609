//! The windows of many tenants, of those only that have something in theirs.

use std::collections::HashMap;

use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};

use crate::{Demand, Grant, Refund, Usage, Window};

/// Windows by tenant, without those that became empty more than a minute ago.
pub(crate) struct WindowMap {
    windows: HashMap<TenantId, Window>,
    swept_at: Timestamp,
}

/// Sweeping costs a look at every window, so it waits until all of them may have become empty.
const SWEEP_INTERVAL_MICROS: u64 = 60_000_000;

impl WindowMap {
    pub(crate) fn new() -> Self {
        Self { windows: HashMap::new(), swept_at: Timestamp::EPOCH }
    }

    pub(crate) fn reserve(&mut self, demand: &Demand, now: Timestamp) -> Grant {
        self.window(demand.tenant_id, now).reserve(demand.limits, demand.count, now)
    }

    pub(crate) fn give_back(&mut self, refund: &Refund, now: Timestamp) {
        self.sweep(now);
        if let Some(window) = self.windows.get_mut(&refund.tenant_id) {
            window.give_back(refund.count, refund.at);
        }
    }

    pub(crate) fn usage(&mut self, tenant_id: TenantId, limits: Limits, now: Timestamp) -> Usage {
        self.sweep(now);
        let nothing_used = Window::new(now);
        self.windows.get(&tenant_id).unwrap_or(&nothing_used).usage(limits, now)
    }

    fn window(&mut self, tenant_id: TenantId, now: Timestamp) -> &mut Window {
        self.sweep(now);
        self.windows.entry(tenant_id).or_insert_with(|| Window::new(now))
    }

    fn sweep(&mut self, now: Timestamp) {
        if now.as_micros().abs_diff(self.swept_at.as_micros()) < SWEEP_INTERVAL_MICROS {
            return;
        }
        self.windows.retain(|_, window| !window.is_empty(now));
        self.windows.shrink_to(2 * self.windows.len());
        self.swept_at = now;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.windows.len()
    }
}

#[cfg(feature = "redis")]
impl WindowMap {
    pub(crate) fn charge(&mut self, tenant_id: TenantId, count: u32, at: Timestamp) {
        self.window(tenant_id, at).charge(count, at);
    }

    pub(crate) fn merge(&mut self, tenant_id: TenantId, other: &Window) {
        self.window(tenant_id, other.newest()).merge(other);
    }

    /// Takes out all windows.
    pub(crate) fn drain(&mut self) -> Vec<(TenantId, Window)> {
        self.windows.drain().collect()
    }
}
