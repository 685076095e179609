//! Deliveries get to people: real receivers on loopback, real workers' leases, and a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

mod ground;
#[path = "../../../notification/tests/it/python.rs"]
mod python;
mod receiver;
mod stage;
#[path = "../stores/mod.rs"]
mod stores;

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use pulsestream_domain::{
    Timestamp,
    alerting::{AttemptOutcome, DeliveryReason, DeliveryState},
    ports::StoreError,
};
use pulsestream_jobs::Verdict;
use pulsestream_notification::{Resolver, schedule::DELAYS};
use pulsestream_testing::memory::MemoryDeliveries;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use ground::Ground;
use python::python;
use receiver::{Behaviour, Receiver};
use stage::{Stage, secret, webhook};

const FAR: i64 = 40 * 3_600;

/// Makes each function a test in memory and on either database.
macro_rules! on_each {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::ground::in_memory().await).await;
            })*
        }
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::ground::on_sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::ground::on_postgres().await).await;
            })*
        }
    };
}

on_each!(
    what_arrived_is_never_sent_again,
    whatever_a_receiver_does_first_it_gets_the_notice_once_it_takes_it,
    an_endless_answer_that_says_yes_is_a_yes,
    a_receiver_that_never_takes_it_is_tried_as_often_as_the_schedule_says,
    a_redirect_is_not_followed_and_not_tried_again,
    a_receiver_that_is_gone_disables_its_channel_and_another_is_told,
    a_worker_that_dies_before_the_record_leaves_it_to_the_next_under_the_same_id,
    a_worker_whose_lease_is_over_records_nothing,
    a_name_that_turns_private_is_blocked_and_recorded_so,
    each_notice_arrives_and_is_not_sent_again_when_it_has,
    what_arrives_is_signed_as_the_reference_implementation_wants_it,
);

async fn what_arrived_is_never_sent_again(ground: Ground) {
    let receiver = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let stage = Stage::at(&ground, &receiver).await;
    let id = stage.say(1).await;
    stage.run_for(FAR).await;
    assert_eq!(receiver.ids(), [id.to_string()]);
    let (delivery, attempts) = stage.delivery(id).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 1));
    assert_eq!((attempts[0].outcome, attempts[0].status), (AttemptOutcome::Delivered, Some(200)));
}

async fn whatever_a_receiver_does_first_it_gets_the_notice_once_it_takes_it(ground: Ground) {
    use Behaviour::{Endless, ResetAfter, ResetBefore, Silent, Status};
    let stage = Stage::at(&ground, &Receiver::start(vec![Silent]).await).await;
    for (number, first) in [
        Status("500 Internal Server Error", ""),
        Status("429 Too Many Requests", "Retry-After: 600\r\n"),
        Silent,
        ResetBefore,
        ResetAfter,
        Endless("503 Service Unavailable"),
    ]
    .into_iter()
    .enumerate()
    {
        let receiver = Receiver::start(vec![first, first, Status("200 OK", "")]).await;
        let number = 10 + number as u128;
        stage.add(&webhook(number, &receiver.url())).await;
        let id = stage.say(number).await;
        stage.run_for(FAR).await;
        let (delivery, attempts) = stage.delivery(id).await;
        let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
        let retry = AttemptOutcome::Retry;
        assert_eq!(outcomes, [retry, retry, AttemptOutcome::Delivered], "{first:?}");
        assert_eq!(delivery.state, DeliveryState::Delivered);
        assert!(receiver.ids().iter().all(|seen| *seen == id.to_string()), "{first:?}");
        let asked_for = if matches!(first, Status("429 Too Many Requests", _)) { 600 } else { 4 };
        let pause = attempts[1].started_at.as_secs() - attempts[0].started_at.as_secs();
        assert!(pause >= asked_for, "{first:?}: {pause} s");
    }
}

async fn an_endless_answer_that_says_yes_is_a_yes(ground: Ground) {
    let receiver = Receiver::start(vec![Behaviour::Endless("200 OK")]).await;
    let stage = Stage::at(&ground, &receiver).await;
    let id = stage.say(1).await;
    stage.run_for(FAR).await;
    assert_eq!((stage.delivery(id).await.0.state, receiver.ids().len()), (DeliveryState::Delivered, 1));
}

async fn a_receiver_that_never_takes_it_is_tried_as_often_as_the_schedule_says(ground: Ground) {
    let receiver = Receiver::start(vec![Behaviour::Status("500 Internal Server Error", "")]).await;
    let stage = Stage::at(&ground, &receiver).await;
    let id = stage.say(1).await;
    stage.run_for(FAR).await;
    let (delivery, attempts) = stage.delivery(id).await;
    assert_eq!(delivery.state, DeliveryState::Failed);
    assert_eq!((attempts.len(), receiver.ids().len()), (DELAYS.len(), DELAYS.len()));
    for (pair, delay) in attempts.windows(2).zip(&DELAYS[1..]) {
        let pause = (pair[1].started_at.as_micros() - pair[0].started_at.as_micros()) as f64 / 1e6;
        assert!(pause >= delay.as_secs_f64() * 0.8, "{pause} s, {delay:?}");
    }
}

async fn a_redirect_is_not_followed_and_not_tried_again(ground: Ground) {
    let decoy = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let location: &'static str = format!("Location: {}\r\n", decoy.url()).leak();
    let receiver = Receiver::start(vec![Behaviour::Status("302 Found", location)]).await;
    let stage = Stage::at(&ground, &receiver).await;
    let id = stage.say(1).await;
    stage.run_for(FAR).await;
    assert_eq!(stage.delivery(id).await.0.state, DeliveryState::Failed);
    assert_eq!((receiver.ids().len(), decoy.ids().len()), (1, 0));
}

async fn a_receiver_that_is_gone_disables_its_channel_and_another_is_told(ground: Ground) {
    let gone = Receiver::start(vec![Behaviour::Status("410 Gone", "")]).await;
    let other = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let stage = Stage::at(&ground, &gone).await;
    stage.add(&webhook(2, &other.url())).await;
    let (id, waiting) = (stage.say(1).await, stage.say_in(1, 60).await);
    stage.run_for(FAR).await;

    let channel = stage.channel(1).await;
    assert!(!channel.enabled && channel.disabled_reason.is_some());
    let (delivery, attempts) = stage.delivery(id).await;
    assert_eq!((delivery.state, attempts[0].outcome), (DeliveryState::Failed, AttemptOutcome::Gone));
    assert_eq!(stage.delivery(waiting).await.0.state, DeliveryState::Failed, "it gets no notices any more");
    assert_eq!(gone.ids().len(), 1);
    assert_eq!(other.ids().len(), 1);
    let said = other.seen()[0].body().to_owned();
    assert!(said.contains("was disabled"), "{said}");
}

#[tokio::test]
async fn owners_are_told_of_a_disabled_channel_by_a_delivery_that_leaves_the_channel_alone() {
    let gone = Receiver::start(vec![Behaviour::Status("410 Gone", "")]).await;
    let memory = Arc::new(MemoryDeliveries::default());
    let ground: Ground = memory.clone();
    let stage = Stage::at(&ground, &gone).await;
    let channel = stage.channel(1).await;
    memory.put_owner(channel.tenant_id, "ann@example.com".parse().unwrap());
    stage.say(1).await;
    stage.run_for(FAR).await;

    let told: Vec<_> = memory.deliveries(channel.tenant_id);
    let [_, told] = told.as_slice() else { panic!("one delivery to the owners: {told:?}") };
    assert_eq!((told.reason, told.channel_id), (DeliveryReason::OwnersTold, channel.id));
    let (told, attempts) = stage.delivery(told.id).await;
    assert_eq!((told.state, attempts.len()), (DeliveryState::Failed, 1), "there is no mail server here");
    assert_eq!(attempts[0].error.as_deref(), Some("no mail server is set up"));
    assert_eq!(gone.ids().len(), 1, "the channel itself hears nothing of it");
}

async fn a_worker_that_dies_before_the_record_leaves_it_to_the_next_under_the_same_id(ground: Ground) {
    let receiver = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let stage = Stage::at(&ground, &receiver).await;
    let id = stage.say(1).await;
    let job = stage.claim().await.unwrap();
    stage.fail_next(StoreError::Unavailable("the worker is gone".into()));
    assert!(stage.deliverer.deliver(&job).await.is_err());
    assert_eq!(stage.delivery(id).await.1, [], "nothing is recorded");

    stage.run_for(FAR).await;

    assert_eq!(receiver.ids(), [id.to_string(), id.to_string()]);
    assert_eq!(stage.delivery(id).await.0.state, DeliveryState::Delivered);
}

async fn a_worker_whose_lease_is_over_records_nothing(ground: Ground) {
    let receiver = Receiver::start(vec![Behaviour::Status("410 Gone", "")]).await;
    let stage = Stage::at(&ground, &receiver).await;
    let id = stage.say(1).await;
    let late = stage.claim().await.unwrap();
    stage.pass(60);
    let job = stage.claim().await.expect("the lease is over");
    let before = stage.delivery(id).await;
    assert_eq!(stage.deliverer.deliver(&late).await.unwrap(), Verdict::SettledAlready);
    assert_eq!(stage.delivery(id).await, before);
    assert!(stage.channel(1).await.enabled);

    stage.deliverer.deliver(&job).await.unwrap();
    assert_eq!(
        (stage.delivery(id).await.0.state, stage.channel(1).await.enabled),
        (DeliveryState::Failed, false)
    );
}

/// Leads to 127.0.0.2 the first time, and to 127.0.0.1 from then on.
#[derive(Default)]
struct Rebinding {
    asked: AtomicU8,
}

#[async_trait]
impl Resolver for Rebinding {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let last = if self.asked.fetch_add(1, Ordering::Relaxed) == 0 { 2 } else { 1 };
        Ok(vec![IpAddr::from([127, 0, 0, last])])
    }
}

/// 127.0.0.2 stands for the public internet. The decoy can be hit: where the operator lets it, it is.
async fn a_name_that_turns_private_is_blocked_and_recorded_so(ground: Ground) {
    for (number, network, outcome, hits) in [
        (31_u32, "127.0.0.2/32", AttemptOutcome::BlockedAddress, 0),
        (32, "127.0.0.0/8", AttemptOutcome::Delivered, 1),
    ] {
        let (receiver, decoy) = Receiver::and_decoy().await;
        let now = Timestamp::from_secs(1_800_000_000 + i64::from(number));
        let stage = Stage::of(&ground, Rebinding::default(), vec![network.parse().unwrap()], now);
        let url = format!("http://rebinding.test:{}/", receiver.port());
        stage.add(&webhook(number.into(), &url)).await;
        for expected in [AttemptOutcome::Delivered, outcome] {
            let id = stage.say(number.into()).await;
            stage.run_for(3_600).await;
            let (_, attempts) = stage.delivery(id).await;
            let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome).collect();
            assert_eq!(outcomes, [expected], "{network}");
        }
        assert_eq!((receiver.ids().len(), decoy.ids().len()), (1, hits), "{network}");
    }
}

/// Many notices at a receiver that does something else each time.
async fn each_notice_arrives_and_is_not_sent_again_when_it_has(ground: Ground) {
    use Behaviour::{Endless, ResetAfter, ResetBefore, Silent, Status};
    const NOTICES: usize = 24;
    let bad = [
        Status("500 Internal Server Error", ""),
        ResetBefore,
        Status("429 Too Many Requests", "Retry-After: 900\r\n"),
        ResetAfter,
        Status("503 Service Unavailable", "Retry-After: 1\r\n"),
        Endless("502 Bad Gateway"),
        Silent,
        Status("404 Not Found", ""),
    ];
    let good = [Status("200 OK", ""), Status("204 No Content", ""), Endless("200 OK")];
    // In another order each time around, so that a notice meets several of them.
    let nth = |n: usize| if n % 5 < 3 { bad[n * 7 / 3 % bad.len()] } else { good[n % good.len()] };
    let receiver = Receiver::start((0..200).map(nth).chain([good[0]]).collect()).await;
    let stage = Stage::at(&ground, &receiver).await;
    let mut ids = Vec::new();
    for _ in 0..NOTICES {
        ids.push(stage.say(1).await);
    }
    stage.run_for(FAR).await;

    let (mut attempted, mut read) = (0, 0);
    for id in ids {
        let (delivery, attempts) = stage.delivery(id).await;
        assert_eq!(delivery.state, DeliveryState::Delivered, "{attempts:?}");
        let seen = receiver.seen();
        let taken: Vec<bool> = seen
            .iter()
            .filter(|seen| seen.header("webhook-id") == id.to_string())
            .map(|seen| seen.is_taken)
            .collect();
        let (last, before) = taken.split_last().expect("it arrived");
        assert!(*last && !before.contains(&true), "it was sent until it was taken, and not again: {taken:?}");
        attempted += attempts.len();
        read += taken.len();
    }
    println!("{NOTICES} notices, {attempted} attempts, {read} requests: each arrived, none again");
    assert!(attempted > NOTICES * 2, "the receiver was hard to please: {attempted}");
}

async fn what_arrives_is_signed_as_the_reference_implementation_wants_it(ground: Ground) {
    let receiver = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    // The verifier is another program, with the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "a program of others reads the real clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let stage = Stage::at_time(&ground, &receiver, Timestamp::from_secs(now.try_into().unwrap())).await;
    stage.say(1).await;
    let job = stage.claim().await.unwrap();
    stage.deliverer.deliver(&job).await.unwrap();

    let line = {
        let seen = receiver.seen();
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: serde_json::Map<_, _> =
            names.map(|name| (name.to_owned(), json!(seen[0].header(name)))).into_iter().collect();
        let body = BASE64.encode(seen[0].body());
        format!("{}\n", json!({"secret": secret().reveal(), "headers": headers, "body": body}))
    };
    let mut verifier = python("../../notification/tests/verify_webhooks.py").spawn().unwrap();
    verifier.stdin.take().unwrap().write_all(line.as_bytes()).await.unwrap();
    let output = verifier.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n");
}
