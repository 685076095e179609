//! Where rules are looked up, windows of events are looked at, and alerts become durable.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    Timestamp,
    alerting::{
        Committed, Evaluation, Example, ExampleQuery, ObservationQuery, Observed, Portion, RuleId, RuleState,
        SeriesQuery,
    },
    tenant::TenantId,
};

/// What evaluating rules needs of a store.
///
/// Rules, channels and silences are made and changed elsewhere. Whoever does so, or changes an alert, also
/// increments the rule's [`revision`](crate::alerting::Rule::revision) in the same transaction.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Reads everything that decides what an evaluation of the instant `at` means, in one snapshot. `None`
    /// when there is no such rule.
    ///
    /// # Errors
    /// Any [`StoreError`] but `OutcomeUnknown` and `Unstorable`: reading changes nothing.
    async fn load(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        at: Timestamp,
    ) -> Result<Option<RuleState>, StoreError>;

    /// Lists the tenant's active rules, by id.
    ///
    /// # Errors
    /// As for [`AlertStore::load`].
    async fn active_rules(&self, tenant_id: TenantId) -> Result<Vec<RuleId>, StoreError>;

    /// Looks at a window of the tenant's committed events, in one snapshot.
    ///
    /// # Errors
    /// As for [`AlertStore::load`].
    async fn observe(&self, tenant_id: TenantId, query: &ObservationQuery) -> Result<Observed, StoreError>;

    /// Finds some events of one group. Asked only for groups that are about to be told of.
    ///
    /// # Errors
    /// As for [`AlertStore::load`].
    async fn examples(&self, tenant_id: TenantId, query: &ExampleQuery) -> Result<Vec<Example>, StoreError>;

    /// Looks at many steps of the past at once: by step, then by labels. The groups that are left out because
    /// of `max_groups` are left out of every step.
    ///
    /// # Errors
    /// As for [`AlertStore::load`].
    async fn series(&self, tenant_id: TenantId, query: &SeriesQuery) -> Result<Vec<Portion>, StoreError>;

    /// Stores what an evaluation changes: alerts, timelines, deliveries with their jobs, and the settlement
    /// of its own job, all in one transaction, which also increments the rule's revision and, when it
    /// triggered alerts, sets its `last_triggered_at` and adds to its `total_triggers`.
    ///
    /// An evaluation with a settlement is stored only while its lease holds at `now`. In any case it is
    /// stored only while the rule exists, is active, and has the evaluation's revision; a unique index allows one
    /// unresolved alert per rule and fingerprint besides.
    ///
    /// # Errors
    /// Nothing was stored, except with [`StoreError::OutcomeUnknown`], where everything or nothing was:
    /// committing again then gives [`Committed::Changed`] or [`Committed::LeaseLost`] if it was.
    async fn commit(&self, evaluation: &Evaluation, now: Timestamp) -> Result<Committed, StoreError>;
}
