//! The metric of what was decided.

use crate::{Demand, Grant};

/// Counts events, not calls: `limiter_decisions_total{backend, decision}`, `decision` being `admitted` or
/// `throttled`.
pub(crate) fn count_decisions(backend: &'static str, demands: &[Demand], grants: &[Grant]) {
    let asked: u64 = demands.iter().map(|demand| u64::from(demand.count)).sum();
    let admitted: u64 = grants.iter().map(|grant| u64::from(grant.granted)).sum();
    let decisions =
        |decision| metrics::counter!("limiter_decisions_total", "backend" => backend, "decision" => decision);
    decisions("admitted").increment(admitted);
    decisions("throttled").increment(asked - admitted);
}
