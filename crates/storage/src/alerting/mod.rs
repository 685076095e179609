//! Rules, alerts, and who is told of them.
//!
//! Whatever changes a rule or one of its alerts first increments the rule's `revision`, conditional on the one
//! it was read with ([`rules::advance`]): that takes the rule's row, so all changes of one rule come one after
//! the other, and none is based on something that is gone. Rows are locked in the order rule, alerts,
//! deliveries, channel, jobs.
//!
//! | file | holds |
//! |---|---|
//! | `gather` | what many evaluations ask at once, answered together |
//! | `load`, `commit` | what an evaluation reads, and what it changes |
//! | `groups`, `observe`, `examples`, `series` | looking at windows of events |
//! | `share`, `glance` | reading events once for the windows of many rules |
//! | `rules`, `ending` | rules, and what becomes of their alerts when they end |
//! | `alerts`, `timeline` | alerts as people see and change them, and their history |
//! | `channels`, `silences` | who is told, and when nobody is |
//! | `deliveries`, `outgoing`, `dispatch` | what was said: lists, making new ones, and working on them |

mod alerts;
mod channels;
mod commit;
mod deliveries;
mod dispatch;
mod ending;
mod examples;
mod gather;
mod glance;
mod groups;
mod load;
mod observe;
mod outgoing;
mod rows;
mod rules;
mod series;
mod share;
mod silences;
mod timeline;

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        AttemptRecord, Channel, Committed, DueDelivery, Evaluation, Example, ExampleQuery, ObservationQuery,
        Observed, Portion, Recorded, RuleId, RuleState, SeriesQuery,
    },
    identity::Email,
    job::LeasedJob,
    ports::{AlertStore, DeliveryStore, StoreError},
    tenant::TenantId,
};

pub(crate) use gather::Evaluations;

use self::load::StateQuestion;
use crate::Store;

/// At most so many rows go into one statement: SQLite binds 32,766 values, and no row here has more than 30.
const ROWS_AT_ONCE: usize = 1_000;

#[async_trait]
impl AlertStore for Store {
    async fn load(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        at: Timestamp,
    ) -> Result<Option<RuleState>, StoreError> {
        let state = self.ask_together(tenant_id, StateQuestion { rule_id, at }).await;
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("rule_loaded");
        state
    }

    async fn active_rules(&self, tenant_id: TenantId) -> Result<Vec<RuleId>, StoreError> {
        self.active_rule_ids(tenant_id).await
    }

    async fn observe(&self, tenant_id: TenantId, query: &ObservationQuery) -> Result<Observed, StoreError> {
        let observed = self.ask_together(tenant_id, query.clone()).await;
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("window_observed");
        observed
    }

    async fn examples(&self, tenant_id: TenantId, query: &ExampleQuery) -> Result<Vec<Example>, StoreError> {
        let _turn = self.evaluations.turn().await;
        self.examples_of_group(tenant_id, query).await
    }

    async fn series(&self, tenant_id: TenantId, query: &SeriesQuery) -> Result<Vec<Portion>, StoreError> {
        self.steps(tenant_id, query).await
    }

    async fn commit(&self, evaluation: &Evaluation, now: Timestamp) -> Result<Committed, StoreError> {
        let _turn = self.evaluations.turn().await;
        self.commit_evaluation(evaluation, now).await
    }
}

#[async_trait]
impl DeliveryStore for Store {
    async fn due(&self, job: &LeasedJob, now: Timestamp) -> Result<Option<DueDelivery>, StoreError> {
        let due = self.due_delivery(job, now).await;
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("delivery_loaded");
        due
    }

    async fn enabled_channels(&self, tenant_id: TenantId) -> Result<Vec<Channel>, StoreError> {
        let mut channels = self.channels(tenant_id).await?;
        channels.retain(|channel| channel.enabled);
        channels.sort_by_key(|channel| channel.id);
        Ok(channels)
    }

    async fn owners(&self, tenant_id: TenantId) -> Result<Vec<Email>, StoreError> {
        self.owners_to_tell(tenant_id).await
    }

    async fn record(&self, record: &AttemptRecord, now: Timestamp) -> Result<Recorded, StoreError> {
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("attempt_made");
        self.record_attempt(record, now).await
    }
}
