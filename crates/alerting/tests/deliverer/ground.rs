//! Where deliveries are kept: in lists, or in a database.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, AttemptRecord, Channel, ChannelId, Committed, Delivery, DeliveryId, DueDelivery, Evaluation,
        Recorded, RuleId, Transition,
    },
    identity::Email,
    job::LeasedJob,
    ports::{AlertStore as _, DeliveryStore, JobQueue, StoreError},
    tenant::TenantId,
};
use pulsestream_testing::{builders::rule, contract::DeliveryFixture, memory::MemoryDeliveries};
use serde_json::json;
use uuid::Uuid;

use crate::stores::Database;

/// The number of the one tenant.
pub(crate) const TENANT: u128 = 1;
/// Deliveries come from evaluations, which are those of a rule.
const RULE: RuleId = RuleId(Uuid::from_u128(1));

pub(crate) type Ground = Arc<dyn DeliveryFixture>;

pub(crate) async fn in_memory() -> Ground {
    Arc::new(MemoryDeliveries::default())
}

pub(crate) async fn on_sqlite() -> Ground {
    with_rule(Database::sqlite().await).await
}

pub(crate) async fn on_postgres() -> Ground {
    with_rule(Database::postgres().await).await
}

async fn with_rule(database: Database) -> Ground {
    let tenant_id = database.add_tenant(TENANT).await;
    database
        .store
        .create_rule(&rule(tenant_id, RULE.0.as_u128(), json!({})), None, 1, &database.origin())
        .await
        .unwrap();
    Arc::new(database)
}

#[async_trait]
impl DeliveryFixture for Database {
    fn store(&self) -> &dyn DeliveryStore {
        &self.store
    }

    fn queue(&self) -> &dyn JobQueue {
        &self.store
    }

    async fn add_channel(&self, channel: &Channel, sealed_secrets: Option<&str>) {
        self.store.create_channel(channel, sealed_secrets, 100, &self.origin()).await.unwrap();
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
        self.other.channel(tenant_id, id).await.unwrap()
    }

    async fn delivery(&self, tenant_id: TenantId, id: DeliveryId) -> Option<(Delivery, Vec<Attempt>)> {
        self.other.delivery(tenant_id, id).await.unwrap()
    }
}

/// The store of a ground, which can be told to fail once.
pub(crate) struct Unreliable {
    pub(crate) ground: Ground,
    pub(crate) failure: Mutex<Option<StoreError>>,
}

#[async_trait]
impl DeliveryStore for Unreliable {
    async fn due(&self, job: &LeasedJob, now: Timestamp) -> Result<Option<DueDelivery>, StoreError> {
        self.ground.store().due(job, now).await
    }

    async fn enabled_channels(&self, tenant_id: TenantId) -> Result<Vec<Channel>, StoreError> {
        self.ground.store().enabled_channels(tenant_id).await
    }

    async fn owners(&self, tenant_id: TenantId) -> Result<Vec<Email>, StoreError> {
        self.ground.store().owners(tenant_id).await
    }

    async fn record(&self, record: &AttemptRecord, now: Timestamp) -> Result<Recorded, StoreError> {
        let failure = self.failure.lock().unwrap().take();
        match failure {
            Some(error) => Err(error),
            None => self.ground.store().record(record, now).await,
        }
    }
}
