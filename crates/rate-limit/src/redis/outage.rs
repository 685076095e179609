//! What is decided without Redis, and what Redis has to be told about it afterwards.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pulsestream_domain::{Timestamp, tenant::TenantId};

use crate::{Demand, Grant, Refund, Window, window_map::WindowMap};

/// Whether Redis is away, and what was admitted since: both under one lock, so that nothing is admitted locally
/// that recovery doesn't learn of.
pub(super) struct Outage {
    unreported: Mutex<Option<WindowMap>>,
}

impl Outage {
    pub(super) fn none() -> Self {
        Self { unreported: Mutex::new(None) }
    }

    pub(super) fn is_ongoing(&self) -> bool {
        self.lock().is_some()
    }

    /// Begins an outage; false if there is one already.
    pub(super) fn begin(&self) -> bool {
        let mut unreported = self.lock();
        let begins = unreported.is_none();
        unreported.get_or_insert_with(WindowMap::new);
        begins
    }

    /// Notes what was granted locally; false, and nothing noted, if there is no outage.
    pub(super) fn note_grants(&self, demands: &[Demand], grants: &[Grant]) -> bool {
        let mut unreported = self.lock();
        let Some(windows) = unreported.as_mut() else { return false };
        for (demand, grant) in demands.iter().zip(grants).filter(|(_, grant)| grant.granted > 0) {
            windows.charge(demand.tenant_id, grant.granted, grant.at);
        }
        true
    }

    /// Notes what was given back locally; false, and nothing noted, if there is no outage.
    ///
    /// What Redis had granted before the outage can't be given back to it later: it stays counted until it expires.
    pub(super) fn note_refunds(&self, refunds: &[Refund], now: Timestamp) -> bool {
        let mut unreported = self.lock();
        let Some(windows) = unreported.as_mut() else { return false };
        for refund in refunds {
            windows.give_back(refund, now);
        }
        true
    }

    /// Takes out what Redis doesn't know yet. The outage goes on.
    pub(super) fn take_unreported(&self) -> Vec<(TenantId, Window)> {
        self.lock().as_mut().map(WindowMap::drain).unwrap_or_default()
    }

    /// Puts back what could not be reported, for the next time. Lost if the outage is over.
    pub(super) fn put_back(&self, windows: &[(TenantId, Window)]) {
        let mut unreported = self.lock();
        let Some(all) = unreported.as_mut() else { return };
        for (tenant_id, window) in windows {
            all.merge(*tenant_id, window);
        }
    }

    /// Ends the outage, and answers what came in since it was last asked.
    pub(super) fn end(&self) -> Vec<(TenantId, Window)> {
        self.lock().take().map(|mut windows| windows.drain()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<WindowMap>> {
        self.unreported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
