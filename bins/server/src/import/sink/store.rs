//! Straight into the store, through the same rules as over HTTP and without a rate limit.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, Tenant, TenantId},
};
use pulsestream_ingestion::{Failure, Ingestion, Outcome};
use pulsestream_rate_limit::{Demand, Grant, Limiter, Quota, Refund, Usage};
use serde_json::value::RawValue;

use super::{Answer, Sink, Verdict};
use crate::import::batch::Record;

/// One tenant's share of the store.
pub(crate) struct StoreSink {
    ingestion: Ingestion,
    tenant: Arc<Tenant>,
}

impl StoreSink {
    pub(crate) fn new(ingestion: Ingestion, tenant: Tenant) -> Self {
        Self { ingestion, tenant: Arc::new(tenant) }
    }
}

#[async_trait]
impl Sink for StoreSink {
    async fn offer(&self, records: &[Record]) -> Result<Answer> {
        let events: Vec<&RawValue> = records.iter().map(|record| &*record.event).collect();
        let receipt = self.ingestion.ingest_events(&self.tenant, &events).await.context("offering events")?;
        ensure!(receipt.outcomes.len() == records.len(), "the answer does not have one outcome per event");
        let mut trouble = None;
        let mut verdicts = Vec::with_capacity(records.len());
        for item in receipt.outcomes {
            verdicts.push(match item.outcome {
                Outcome::Accepted { .. } => Verdict::Stored,
                Outcome::Duplicate { .. } => Verdict::Duplicate,
                Outcome::Conflict { .. } => {
                    Verdict::Refused("its id is stored with other content".to_owned())
                }
                Outcome::Rejected(errors) => {
                    let told = errors.iter().map(|error| format!("{} {}", error.pointer, error.detail));
                    Verdict::Refused(told.collect::<Vec<_>>().join(", ").trim().to_owned())
                }
                Outcome::Failed(Failure::Full) => bail!("the database has no room left"),
                Outcome::Failed(failure) => {
                    trouble = Some(format!("the store answered {}", failure.code()));
                    Verdict::NotYet
                }
                Outcome::Throttled { .. } => Verdict::NotYet,
            });
        }
        Ok(Answer { verdicts, retry_after: None, trouble })
    }
}

/// Grants everything: whoever reaches the store directly is not a tenant over its limit.
pub(crate) struct Unlimited;

#[async_trait]
impl Limiter for Unlimited {
    async fn reserve(&self, demands: &[Demand], now: Timestamp) -> Vec<Grant> {
        let granted = |demand: &Demand| Grant { granted: demand.count, at: now, usage: unlimited(now) };
        demands.iter().map(granted).collect()
    }

    async fn give_back(&self, _refunds: &[Refund], _now: Timestamp) {}

    async fn usage(&self, _tenant_id: TenantId, _limits: Limits, now: Timestamp) -> Usage {
        unlimited(now)
    }
}

const fn unlimited(now: Timestamp) -> Usage {
    Usage {
        limit: u32::MAX,
        remaining: u32::MAX,
        reset_at: now,
        retry_after_seconds: 0,
        exhausted: None,
        minute: Quota { limit: u32::MAX, remaining: u32::MAX, reset_after_seconds: 0 },
        burst: None,
    }
}
