//! A deliverer on a store, with a real notifier.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ipnet::IpNet;
use pulsestream_alerting::{ChannelSecrets, Deliverer, DelivererSettings};
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, Channel, ChannelId, DELIVER, Delivery, DeliveryId, DeliveryReason, DeliveryState,
        Destination, Facts, WebhookFormat,
    },
    job::{Demand, LeasedJob},
    ports::{Clock, IdSource, StoreError},
};
use pulsestream_notification::{
    Keyring, Notifier, NotifierSettings, OutboundPolicy, PrivateDestinations, Resolver, SealingKey,
    SigningSecret, SystemResolver, Timeouts,
};
use pulsestream_testing::{
    builders::{log_channel, rule, tenant},
    clock::{FakeClock, SequentialIds},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    ground::{Ground, TENANT, Unreliable},
    receiver::Receiver,
};

const LEASE_SECS: i64 = 30;
/// How far the clock moves when there is nothing to do.
const STEP_SECS: i64 = 300;

pub(crate) struct Stage {
    ground: Ground,
    store: Arc<Unreliable>,
    pub(crate) deliverer: Deliverer,
    clock: Arc<FakeClock>,
    ids: Arc<SequentialIds>,
    keyring: Keyring,
}

pub(crate) fn webhook(number: u128, url: &str) -> Channel {
    let url = url.to_owned();
    let destination = Destination::Webhook { url, format: WebhookFormat::Standard, header_names: Vec::new() };
    Channel { destination, ..log_channel(tenant(TENANT).id, number) }
}

impl Stage {
    /// With one channel, number 1, that leads to this receiver.
    pub(crate) async fn at(ground: &Ground, receiver: &Receiver) -> Self {
        Self::at_time(ground, receiver, Timestamp::from_secs(1_800_000_000)).await
    }

    pub(crate) async fn at_time(ground: &Ground, receiver: &Receiver, now: Timestamp) -> Self {
        let stage = Self::of(ground, SystemResolver, PrivateDestinations::default().networks, now);
        stage.add(&webhook(1, &receiver.url())).await;
        stage
    }

    /// Without a channel, with names that lead where this says, and these networks open beside the public ones.
    pub(crate) fn of(
        ground: &Ground,
        resolver: impl Resolver + 'static,
        networks: Vec<IpNet>,
        now: Timestamp,
    ) -> Self {
        let clock = Arc::new(FakeClock::at(now));
        // No two stages of a ground have an id in common, as none begins where another one does.
        let ids = Arc::new(SequentialIds::seeded(now.as_secs() as u32));
        let store = Arc::new(Unreliable { ground: Arc::clone(ground), failure: Mutex::default() });
        let keyring = Keyring::new(SealingKey::new("test", [1; 32]).unwrap());
        let ports = vec![1..=u16::MAX];
        let private = Some(PrivateDestinations { ports, networks });
        let policy = OutboundPolicy { allow_http: true, private, ..OutboundPolicy::default() };
        let timeouts = Timeouts { connect: Duration::from_secs(1), total: Duration::from_secs(1) };
        let settings = NotifierSettings { policy: policy.clone(), timeouts, ..NotifierSettings::default() };
        let notifier = Notifier::new(settings, Arc::new(resolver), None).unwrap();
        let deliverer = Deliverer::new(
            store.clone(),
            Arc::new(notifier),
            keyring.clone(),
            clock.clone(),
            ids.clone(),
            Arc::new(|| u64::MAX / 2),
            DelivererSettings { policy, ..DelivererSettings::default() },
        );
        Self { ground: Arc::clone(ground), store, deliverer, clock, ids, keyring }
    }

    pub(crate) async fn add(&self, channel: &Channel) {
        let secrets = ChannelSecrets { signing: Some(secret()), ..ChannelSecrets::default() };
        let sealed = secrets.seal(&self.keyring, channel, [9; 24]);
        self.ground.add_channel(channel, Some(&sealed)).await;
    }

    pub(crate) async fn say(&self, channel: u128) -> DeliveryId {
        self.say_in(channel, 0).await
    }

    /// Makes the next record fail.
    pub(crate) fn fail_next(&self, error: StoreError) {
        *self.store.failure.lock().unwrap() = Some(error);
    }

    /// Something to say, after so many seconds.
    pub(crate) async fn say_in(&self, channel: u128, secs: i64) -> DeliveryId {
        let now = self.clock.now();
        let id = DeliveryId(self.ids.uuid_v7(now));
        let tenant_id = tenant(TENANT).id;
        let delivery = Delivery {
            tenant_id,
            id,
            channel_id: ChannelId(Uuid::from_u128(channel)),
            reason: DeliveryReason::Firing,
            facts: Facts::of(&rule(tenant_id, 1, json!({})), &[]),
            state: DeliveryState::Pending,
            attempts: 0,
            created_at: now,
            next_attempt_at: Some(now.plus_secs(secs)),
        };
        self.ground.add_delivery(&delivery).await;
        id
    }

    pub(crate) fn pass(&self, secs: i64) {
        self.clock.set(self.clock.now().plus_secs(secs));
    }

    pub(crate) async fn claim(&self) -> Option<LeasedJob> {
        let now = self.clock.now();
        let demand = Demand { kind: DELIVER, room: 1, sated: Vec::new() };
        self.ground.queue().claim(&[demand], now.plus_secs(LEASE_SECS), now).await.unwrap().pop()
    }

    /// Does whatever comes due until this time is over.
    pub(crate) async fn run_for(&self, secs: i64) {
        let end = self.clock.now().plus_secs(secs);
        while self.clock.now() < end {
            match self.claim().await {
                Some(job) => _ = self.deliverer.deliver(&job).await.unwrap(),
                None => self.pass(STEP_SECS),
            }
        }
    }

    pub(crate) async fn delivery(&self, id: DeliveryId) -> (Delivery, Vec<Attempt>) {
        self.ground.delivery(tenant(TENANT).id, id).await.unwrap()
    }

    pub(crate) async fn channel(&self, number: u128) -> Channel {
        self.ground.channel(tenant(TENANT).id, ChannelId(Uuid::from_u128(number))).await.unwrap()
    }
}

/// What every channel signs with.
pub(crate) fn secret() -> SigningSecret {
    SigningSecret::from_entropy([7; 32])
}
