//! A deliverer on a store in memory, with a real notifier.

use std::{sync::Arc, time::Duration};

use pulsestream_alerting::{ChannelSecrets, Deliverer, DelivererSettings};
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, Channel, ChannelId, DELIVER, Delivery, DeliveryId, DeliveryReason, DeliveryState,
        Destination, Facts, WebhookFormat,
    },
    job::{Demand, LeasedJob},
    ports::{Clock, IdSource, JobQueue},
};
use pulsestream_notification::{
    Keyring, Notifier, NotifierSettings, OutboundPolicy, PrivateDestinations, SealingKey, SigningSecret,
    SystemResolver, Timeouts,
};
use pulsestream_testing::{
    builders::{log_channel, rule, tenant},
    clock::{FakeClock, SequentialIds},
    memory::MemoryDeliveries,
};
use serde_json::json;
use uuid::Uuid;

use crate::receiver::Receiver;

const LEASE_SECS: i64 = 30;

pub(crate) struct Stage {
    pub(crate) store: Arc<MemoryDeliveries>,
    pub(crate) deliverer: Deliverer,
    clock: Arc<FakeClock>,
    ids: Arc<SequentialIds>,
    keyring: Keyring,
}

pub(crate) fn webhook(number: u128, url: &str) -> Channel {
    let url = url.to_owned();
    let destination = Destination::Webhook { url, format: WebhookFormat::Standard, header_names: Vec::new() };
    Channel { destination, ..log_channel(tenant(1).id, number) }
}

impl Stage {
    /// With one channel, number 1, that leads to this receiver.
    pub(crate) fn at(receiver: &Receiver) -> Self {
        let clock = Arc::new(FakeClock::at(Timestamp::from_secs(1_800_000_000)));
        let ids = Arc::new(SequentialIds::default());
        let store = Arc::new(MemoryDeliveries::default());
        let keyring = Keyring::new(SealingKey::new("test", [1; 32]).unwrap());
        let ports = vec![1..=u16::MAX];
        let private = Some(PrivateDestinations { ports, ..PrivateDestinations::default() });
        let policy = OutboundPolicy { allow_http: true, private, ..OutboundPolicy::default() };
        let timeouts = Timeouts { connect: Duration::from_secs(1), total: Duration::from_secs(1) };
        let settings = NotifierSettings { policy: policy.clone(), timeouts, ..NotifierSettings::default() };
        let notifier = Notifier::new(settings, Arc::new(SystemResolver), None).unwrap();
        let deliverer = Deliverer::new(
            store.clone(),
            Arc::new(notifier),
            keyring.clone(),
            clock.clone(),
            ids.clone(),
            Arc::new(|| u64::MAX / 2),
            DelivererSettings { policy, ..DelivererSettings::default() },
        );
        let stage = Self { store, deliverer, clock, ids, keyring };
        assert_ne!(receiver.port(), 0);
        stage.add(&webhook(1, &receiver.url()));
        stage
    }

    pub(crate) fn add(&self, channel: &Channel) {
        let signing = Some(SigningSecret::from_entropy([7; 32]));
        let secrets = ChannelSecrets { signing, ..ChannelSecrets::default() };
        self.store.put_channel(channel, Some(&secrets.seal(&self.keyring, channel, [9; 24])));
    }

    pub(crate) fn say(&self, channel: u128) -> DeliveryId {
        self.say_in(channel, 0)
    }

    /// Something to say, after so many seconds.
    pub(crate) fn say_in(&self, channel: u128, secs: i64) -> DeliveryId {
        let now = self.clock.now();
        let id = DeliveryId(self.ids.uuid_v7(now));
        let tenant_id = tenant(1).id;
        self.store.put_delivery(&Delivery {
            tenant_id,
            id,
            channel_id: ChannelId(Uuid::from_u128(channel)),
            reason: DeliveryReason::Firing,
            facts: Facts::of(&rule(tenant_id, 1, json!({})), &[]),
            state: DeliveryState::Pending,
            attempts: 0,
            created_at: now,
            next_attempt_at: Some(now.plus_secs(secs)),
        });
        id
    }

    pub(crate) fn pass(&self, secs: i64) {
        self.clock.set(self.clock.now().plus_secs(secs));
    }

    pub(crate) async fn claim(&self) -> Option<LeasedJob> {
        let now = self.clock.now();
        let demand = Demand { kind: DELIVER, room: 1, sated: Vec::new() };
        self.store.queue().claim(&[demand], now.plus_secs(LEASE_SECS), now).await.unwrap().pop()
    }

    /// Does whatever comes due, until no job is left or this time is over.
    pub(crate) async fn run_for(&self, secs: i64) {
        let end = self.clock.now().plus_secs(secs);
        while self.store.queue().live() > 0 && self.clock.now() < end {
            match self.claim().await {
                Some(job) => _ = self.deliverer.deliver(&job).await.unwrap(),
                None => self.pass(1),
            }
        }
    }

    pub(crate) fn delivery(&self, id: DeliveryId) -> (Delivery, Vec<Attempt>) {
        self.store.delivery(tenant(1).id, id).unwrap()
    }

    pub(crate) fn channel(&self, number: u128) -> Channel {
        self.store.channel(tenant(1).id, ChannelId(Uuid::from_u128(number))).unwrap()
    }
}
