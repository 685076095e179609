//! What every [`AlertStore`] has to do, as assertions.

mod keeping;
mod looking;

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, AlertId, Channel, Delivery, Labels, Rule, RuleId, Silence, TimelineEntry},
    event::{EventId, NewEvent},
    job::LeasedJob,
    ports::{AlertStore, EventStore as _},
    tenant::TenantId,
};

use crate::{builders::tenant, memory::MemoryAlerts};

/// A store under test, with what the port itself has no verbs for.
#[async_trait]
pub trait AlertFixture: Send + Sync {
    /// The store.
    fn store(&self) -> &dyn AlertStore;
    /// Stores events, of which it has none with these ids.
    async fn add_events(&self, events: &[NewEvent]);
    /// Deletes an event.
    async fn delete_event(&self, tenant_id: TenantId, event_id: &EventId);
    /// Stores a new rule as it is, and the job of its evaluation, due at `first_tick`.
    async fn add_rule(&self, rule: &Rule, first_tick: Timestamp);
    /// Stores a new channel.
    async fn add_channel(&self, channel: &Channel);
    /// Stores a new silence.
    async fn add_silence(&self, silence: &Silence);
    /// A rule as it stands.
    async fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<Rule>;
    /// Every alert of a rule, by id.
    async fn alerts(&self, tenant_id: TenantId, rule_id: RuleId) -> Vec<Alert>;
    /// The history of an alert, in order.
    async fn timeline(&self, tenant_id: TenantId, alert_id: AlertId) -> Vec<TimelineEntry>;
    /// Every delivery of a tenant, by id.
    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery>;
    /// Leases the job of a rule's evaluation, if its time has come and it is free.
    async fn lease(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<LeasedJob>;
}

/// The contract of [`AlertStore`]. The store has to be empty for the tenants 911 and 912, and has to know those
/// two if it insists on knowing tenants.
///
/// # Panics
/// When the store breaks the contract.
pub async fn alert_store(fixture: &dyn AlertFixture) {
    let (one, two) = (tenant(911).id, tenant(912).id);
    looking::events_are_looked_at_by_group_and_window(fixture, one, two).await;
    looking::every_measure_is_measured(fixture, one).await;
    looking::the_largest_groups_are_told_of(fixture, one).await;
    looking::examples_are_the_newest(fixture, one).await;
    looking::steps_add_up(fixture, one).await;
    keeping::a_state_is_all_that_counts(fixture, one, two).await;
    keeping::an_evaluation_is_stored_whole_or_not_at_all(fixture, one).await;
}

const START: Timestamp = Timestamp::from_secs(1_790_000_000);

const fn at(secs: i64) -> Timestamp {
    START.plus_secs(secs)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[async_trait]
impl AlertFixture for MemoryAlerts {
    fn store(&self) -> &dyn AlertStore {
        self
    }

    async fn add_events(&self, events: &[NewEvent]) {
        self.events().append(events).await.expect("a list takes anything");
    }

    async fn delete_event(&self, tenant_id: TenantId, event_id: &EventId) {
        self.events().delete(tenant_id, event_id);
    }

    async fn add_rule(&self, rule: &Rule, first_tick: Timestamp) {
        self.put_rule(rule, first_tick);
    }

    async fn add_channel(&self, channel: &Channel) {
        self.put_channel(channel);
    }

    async fn add_silence(&self, silence: &Silence) {
        self.put_silence(silence);
    }

    async fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<Rule> {
        Self::rule(self, tenant_id, rule_id)
    }

    async fn alerts(&self, _: TenantId, rule_id: RuleId) -> Vec<Alert> {
        Self::alerts(self, rule_id)
    }

    async fn timeline(&self, _: TenantId, alert_id: AlertId) -> Vec<TimelineEntry> {
        Self::timeline(self, alert_id)
    }

    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery> {
        let mut deliveries = Self::deliveries(self);
        deliveries.retain(|delivery| delivery.tenant_id == tenant_id);
        deliveries
    }

    async fn lease(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<LeasedJob> {
        self.claim(tenant_id, rule_id, now, lease_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_store_keeps_the_contract() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(alert_store(&MemoryAlerts::default()));
    }
}
