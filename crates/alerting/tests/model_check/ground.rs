//! Where a case is played: on lists in memory, or in a database.

use std::sync::Arc;

use async_trait::async_trait;
use pulsestream_alerting::KIND;
use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, AlertId, AlertQuery, Channel, Delivery, DeliveryQuery, Rule, TimelineEntry},
    event::NewEvent,
    job::{Demand, JobId, Lease, LeaseCheck, LeasedJob, NewJob, Settlement},
    ports::{AlertStore, EventStore as _, JobQueue as _},
    tenant::TenantId,
};
use pulsestream_testing::{builders::tenant, memory::MemoryAlerts};

use crate::stores::Database;

/// A store, and what a case needs of it beside. Nothing here is about more than one tenant.
#[async_trait]
pub(crate) trait Ground: Send + Sync + 'static {
    /// The store as the first of two processes has it.
    fn store(self: Arc<Self>) -> Arc<dyn AlertStore>;
    /// And the second.
    fn other_store(self: Arc<Self>) -> Arc<dyn AlertStore>;
    /// Makes the tenant with this number, if it has to be known.
    async fn add_tenant(&self, number: u128) -> TenantId;
    /// Stores a rule, its evaluation, due at this tick, and a channel.
    async fn add_rule(&self, rule: &Rule, channel: &Channel, first_tick: Timestamp);
    /// Stores events, some of which may be there.
    async fn append(&self, events: &[NewEvent]);
    /// Leases the evaluation of a rule, if it is due and free.
    async fn claim(&self, rule: &Rule, now: Timestamp, lease_until: Timestamp) -> Option<LeasedJob>;
    /// Settles a job by itself.
    async fn settle(&self, lease: Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck;
    /// Every alert of a rule.
    async fn alerts(&self, rule: &Rule) -> Vec<Alert>;
    /// The history of an alert.
    async fn timeline(&self, alert: &Alert) -> Vec<TimelineEntry>;
    /// Everything that was said.
    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery>;
}

#[async_trait]
impl Ground for MemoryAlerts {
    fn store(self: Arc<Self>) -> Arc<dyn AlertStore> {
        self
    }

    fn other_store(self: Arc<Self>) -> Arc<dyn AlertStore> {
        self
    }

    async fn add_tenant(&self, number: u128) -> TenantId {
        tenant(number).id
    }

    async fn add_rule(&self, rule: &Rule, channel: &Channel, first_tick: Timestamp) {
        self.put_rule(rule, first_tick);
        self.put_channel(channel);
    }

    async fn append(&self, events: &[NewEvent]) {
        self.events().append(events).await.expect("a list takes anything");
    }

    async fn claim(&self, rule: &Rule, now: Timestamp, lease_until: Timestamp) -> Option<LeasedJob> {
        Self::claim(self, rule.tenant_id, rule.id, now, lease_until)
    }

    async fn settle(&self, lease: Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck {
        Self::settle(self, lease, settlement, now)
    }

    async fn alerts(&self, rule: &Rule) -> Vec<Alert> {
        Self::alerts(self, rule.id)
    }

    async fn timeline(&self, alert: &Alert) -> Vec<TimelineEntry> {
        Self::timeline(self, alert.id)
    }

    async fn deliveries(&self, _: TenantId) -> Vec<Delivery> {
        Self::deliveries(self)
    }
}

const WORKS: &str = "the database works";

#[async_trait]
impl Ground for Database {
    fn store(self: Arc<Self>) -> Arc<dyn AlertStore> {
        Arc::new(self.store.clone())
    }

    fn other_store(self: Arc<Self>) -> Arc<dyn AlertStore> {
        Arc::new(self.other.clone())
    }

    async fn add_tenant(&self, number: u128) -> TenantId {
        Self::add_tenant(self, number).await
    }

    async fn add_rule(&self, rule: &Rule, channel: &Channel, first_tick: Timestamp) {
        self.store.create_channel(channel, None, 1, &self.origin()).await.expect(WORKS);
        let job = NewJob {
            unique_key: Some(rule.id.to_string()),
            ..NewJob::new(rule.tenant_id, JobId(rule.id.0), KIND, first_tick)
        };
        self.store.create_rule(rule, Some(&job), 1, &self.origin()).await.expect(WORKS);
    }

    async fn append(&self, events: &[NewEvent]) {
        self.store.append(events).await.expect(WORKS);
    }

    /// Other jobs that are due are those of cases that were played before: they are of no use any more.
    async fn claim(&self, rule: &Rule, now: Timestamp, lease_until: Timestamp) -> Option<LeasedJob> {
        let demand = Demand { kind: KIND, room: 100, sated: Vec::new() };
        let claimed = self.store.claim(&[demand], lease_until, now).await.expect(WORKS);
        let (mut meant, others): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|job| job.lease.tenant_id == rule.tenant_id);
        let over: Vec<_> = others.into_iter().map(|job| (job.lease, Settlement::Complete)).collect();
        if !over.is_empty() {
            self.store.settle(&over, now).await.expect(WORKS);
        }
        meant.pop()
    }

    async fn settle(&self, lease: Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck {
        let settled = self.store.settle(&[(lease, settlement.clone())], now).await.expect(WORKS);
        settled[0]
    }

    async fn alerts(&self, rule: &Rule) -> Vec<Alert> {
        let query = AlertQuery {
            statuses: Vec::new(),
            severities: Vec::new(),
            rule_id: Some(rule.id),
            limit: 10_000,
            offset: 0,
        };
        self.other.alerts(rule.tenant_id, &query).await.expect(WORKS).items
    }

    async fn timeline(&self, alert: &Alert) -> Vec<TimelineEntry> {
        let (tenant_id, id): (TenantId, AlertId) = (alert.tenant_id, alert.id);
        self.other.timeline(tenant_id, id).await.expect(WORKS).expect("the alert is there")
    }

    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery> {
        let query = DeliveryQuery {
            channel_id: None,
            alert_id: None,
            state: None,
            since: None,
            limit: 10_000,
            offset: 0,
        };
        self.other.deliveries(tenant_id, &query).await.expect(WORKS).items
    }
}
