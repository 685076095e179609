//! The store keeps the contracts of an alert store and of a delivery store.

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertId, AlertQuery, Attempt, Channel, ChannelCreated, ChannelId, Committed, Delivery,
        DeliveryId, DeliveryQuery, EVALUATE_RULE, Evaluation, Rule, RuleCreated, RuleId, Silence,
        TimelineEntry, Transition,
    },
    event::{EventId, NewEvent},
    job::{Demand, JobId, LeasedJob, NewJob},
    ports::{AlertStore, DeliveryStore, JobQueue},
    tenant::TenantId,
};
use pulsestream_testing::{builders, contract};
use serde_json::json;
use uuid::Uuid;

use crate::support::{Fresh, on_both, origin};

on_both!(the_store_keeps_the_contract_of_an_alert_store, the_store_keeps_the_contract_of_a_delivery_store,);

async fn the_store_keeps_the_contract_of_an_alert_store(fresh: &Fresh) {
    for number in [911, 912] {
        fresh.store.create_tenant(&builders::tenant(number), None, &origin()).await.unwrap();
    }
    contract::alert_store(fresh).await;
}

#[async_trait]
impl contract::AlertFixture for Fresh {
    fn store(&self) -> &dyn AlertStore {
        &self.store
    }

    async fn add_events(&self, events: &[NewEvent]) {
        self.put(events).await;
    }

    async fn delete_event(&self, tenant_id: TenantId, event_id: &EventId) {
        assert!(self.store.delete_event(tenant_id, event_id).await.unwrap());
    }

    async fn add_rule(&self, rule: &Rule, first_tick: Timestamp) {
        let job = NewJob {
            unique_key: Some(rule.id.to_string()),
            ..NewJob::new(rule.tenant_id, JobId(rule.id.0), EVALUATE_RULE, first_tick)
        };
        let created = self.store.create_rule(rule, Some(&job), 1_000, &origin()).await.unwrap();
        assert_eq!(created, RuleCreated::Created);
    }

    async fn add_channel(&self, channel: &Channel) {
        self.store.create_channel(channel, None, 100, &origin()).await.unwrap();
    }

    async fn add_silence(&self, silence: &Silence) {
        self.store.create_silence(silence, &origin()).await.unwrap();
    }

    async fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<Rule> {
        self.store.rule(tenant_id, rule_id).await.unwrap()
    }

    async fn alerts(&self, tenant_id: TenantId, rule_id: RuleId) -> Vec<Alert> {
        let query = AlertQuery {
            statuses: Vec::new(),
            severities: Vec::new(),
            rule_id: Some(rule_id),
            limit: 1_000,
            offset: 0,
        };
        let mut alerts = self.store.alerts(tenant_id, &query).await.unwrap().items;
        alerts.sort_by_key(|alert| alert.id);
        alerts
    }

    async fn timeline(&self, tenant_id: TenantId, alert_id: AlertId) -> Vec<TimelineEntry> {
        self.store.timeline(tenant_id, alert_id).await.unwrap().unwrap_or_default()
    }

    async fn deliveries(&self, tenant_id: TenantId) -> Vec<Delivery> {
        let query = DeliveryQuery {
            channel_id: None,
            alert_id: None,
            state: None,
            since: None,
            limit: 1_000,
            offset: 0,
        };
        let mut deliveries = self.store.deliveries(tenant_id, &query).await.unwrap().items;
        deliveries.sort_by_key(|delivery| delivery.id);
        deliveries
    }

    async fn lease(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<LeasedJob> {
        // The queue gives what is due, whosoever it is: what was not meant waits on.
        let demand = Demand { kind: EVALUATE_RULE, room: 100, sated: Vec::new() };
        let claimed = self.store.claim(&[demand], lease_until, now).await.unwrap();
        let is_meant =
            |job: &LeasedJob| job.lease.tenant_id == tenant_id && job.unique_key == Some(rule_id.to_string());
        let (meant, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(is_meant);
        let released =
            others.into_iter().map(|job| (job.lease, pulsestream_domain::job::Settlement::Release));
        self.store.settle(&released.collect::<Vec<_>>(), now).await.unwrap();
        meant.into_iter().next()
    }
}

/// Deliveries come from evaluations, which are those of a rule.
const RULE: RuleId = RuleId(Uuid::from_u128(1));

async fn the_store_keeps_the_contract_of_a_delivery_store(fresh: &Fresh) {
    for number in [921, 922] {
        let tenant = builders::tenant(number);
        fresh.store.create_tenant(&tenant, None, &origin()).await.unwrap();
        let rule = builders::rule(tenant.id, RULE.0.as_u128(), json!({}));
        assert_eq!(fresh.store.create_rule(&rule, None, 1, &origin()).await.unwrap(), RuleCreated::Created);
    }
    contract::delivery_store(fresh).await;
}

#[async_trait]
impl contract::DeliveryFixture for Fresh {
    fn store(&self) -> &dyn DeliveryStore {
        &self.store
    }

    fn queue(&self) -> &dyn JobQueue {
        &self.store
    }

    async fn add_channel(&self, channel: &Channel, sealed_secrets: Option<&str>) {
        let created = self.store.create_channel(channel, sealed_secrets, 100, &origin()).await.unwrap();
        assert_eq!(created, ChannelCreated::Created);
    }

    async fn add_delivery(&self, delivery: &Delivery) {
        let rule = self.store.rule(delivery.tenant_id, RULE).await.unwrap().unwrap();
        let evaluation = Evaluation {
            tenant_id: delivery.tenant_id,
            rule_id: RULE,
            revision: rule.revision,
            at: delivery.created_at,
            transition: Transition { deliveries: vec![delivery.clone()], ..Transition::default() },
            settlement: None,
        };
        let committed = self.store.commit(&evaluation, delivery.created_at).await.unwrap();
        assert_eq!(committed, Committed::Committed);
    }

    async fn channel(&self, tenant_id: TenantId, id: ChannelId) -> Option<Channel> {
        self.store.channel(tenant_id, id).await.unwrap()
    }

    async fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Option<(Delivery, Vec<Attempt>)> {
        self.store.delivery(tenant_id, id).await.unwrap()
    }
}
