//! Deliveries get to people: real receivers on loopback, real workers' leases, and a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

mod receiver;
mod stage;

use pulsestream_domain::{
    alerting::{AttemptOutcome, DeliveryReason, DeliveryState},
    ports::StoreError,
};
use pulsestream_jobs::Verdict;
use pulsestream_notification::schedule::DELAYS;

use receiver::{Behaviour, Receiver};
use stage::{Stage, webhook};

const FAR: i64 = 40 * 3_600;

#[tokio::test]
async fn what_arrived_is_never_sent_again() {
    let receiver = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let stage = Stage::at(&receiver);
    let id = stage.say(1);
    stage.run_for(FAR).await;
    assert_eq!(receiver.ids(), [id.to_string()]);
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 1));
    assert_eq!((attempts[0].outcome, attempts[0].status), (AttemptOutcome::Delivered, Some(200)));
}

#[tokio::test]
async fn whatever_a_receiver_does_first_it_gets_the_notice_once_it_takes_it() {
    use Behaviour::{Endless, ResetAfter, ResetBefore, Silent, Status};
    for first in [
        Status("500 Internal Server Error", ""),
        Status("429 Too Many Requests", "Retry-After: 600\r\n"),
        Silent,
        ResetBefore,
        ResetAfter,
        Endless("503 Service Unavailable"),
    ] {
        let receiver = Receiver::start(vec![first, first, Status("200 OK", "")]).await;
        let stage = Stage::at(&receiver);
        let id = stage.say(1);
        stage.run_for(FAR).await;
        let (delivery, attempts) = stage.delivery(id);
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

#[tokio::test]
async fn an_endless_answer_that_says_yes_is_a_yes() {
    let receiver = Receiver::start(vec![Behaviour::Endless("200 OK")]).await;
    let stage = Stage::at(&receiver);
    let id = stage.say(1);
    stage.run_for(FAR).await;
    assert_eq!((stage.delivery(id).0.state, receiver.ids().len()), (DeliveryState::Delivered, 1));
}

#[tokio::test]
async fn a_receiver_that_never_takes_it_is_tried_as_often_as_the_schedule_says() {
    let receiver = Receiver::start(vec![Behaviour::Status("500 Internal Server Error", "")]).await;
    let stage = Stage::at(&receiver);
    let id = stage.say(1);
    stage.run_for(FAR).await;
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!(delivery.state, DeliveryState::Failed);
    assert_eq!((attempts.len(), receiver.ids().len()), (DELAYS.len(), DELAYS.len()));
    for (pair, delay) in attempts.windows(2).zip(&DELAYS[1..]) {
        let pause = (pair[1].started_at.as_micros() - pair[0].started_at.as_micros()) as f64 / 1e6;
        assert!(pause >= delay.as_secs_f64() * 0.8, "{pause} s, {delay:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_not_tried_again() {
    let decoy = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let location: &'static str = format!("Location: {}\r\n", decoy.url()).leak();
    let receiver = Receiver::start(vec![Behaviour::Status("302 Found", location)]).await;
    let stage = Stage::at(&receiver);
    let id = stage.say(1);
    stage.run_for(FAR).await;
    assert_eq!(stage.delivery(id).0.state, DeliveryState::Failed);
    assert_eq!((receiver.ids().len(), decoy.ids().len()), (1, 0));
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_channel_and_another_is_told() {
    let gone = Receiver::start(vec![Behaviour::Status("410 Gone", "")]).await;
    let other = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let stage = Stage::at(&gone);
    stage.add(&webhook(2, &other.url()));
    let (id, waiting) = (stage.say(1), stage.say_in(1, 60));
    stage.run_for(FAR).await;

    let channel = stage.channel(1);
    assert!(!channel.enabled && channel.disabled_reason.is_some());
    let (delivery, attempts) = stage.delivery(id);
    assert_eq!((delivery.state, attempts[0].outcome), (DeliveryState::Failed, AttemptOutcome::Gone));
    assert_eq!(stage.delivery(waiting).0.state, DeliveryState::Failed, "it gets no notices any more");
    assert_eq!(gone.ids().len(), 1);
    assert_eq!(other.ids().len(), 1);
    assert!(other.bodies()[0].contains("was disabled"), "{}", other.bodies()[0]);
}

#[tokio::test]
async fn owners_are_told_of_a_disabled_channel_by_a_delivery_that_leaves_the_channel_alone() {
    let gone = Receiver::start(vec![Behaviour::Status("410 Gone", "")]).await;
    let stage = Stage::at(&gone);
    let tenant_id = stage.channel(1).tenant_id;
    stage.store.put_owner(tenant_id, "ann@example.com".parse().unwrap());
    stage.say(1);
    stage.run_for(FAR).await;

    let told: Vec<_> = stage.store.deliveries(tenant_id);
    let [_, told] = told.as_slice() else { panic!("one delivery to the owners: {told:?}") };
    assert_eq!((told.reason, told.channel_id), (DeliveryReason::OwnersTold, stage.channel(1).id));
    let (told, attempts) = stage.delivery(told.id);
    assert_eq!((told.state, attempts.len()), (DeliveryState::Failed, 1), "there is no mail server here");
    assert_eq!(attempts[0].error.as_deref(), Some("no mail server is set up"));
    assert_eq!(gone.ids().len(), 1, "the channel itself hears nothing of it");
}

#[tokio::test]
async fn a_worker_that_dies_before_the_record_leaves_it_to_the_next_under_the_same_id() {
    let receiver = Receiver::start(vec![Behaviour::Status("200 OK", "")]).await;
    let stage = Stage::at(&receiver);
    let id = stage.say(1);
    let job = stage.claim().await.unwrap();
    stage.store.fail_next(StoreError::Unavailable("the worker is gone".into()));
    assert!(stage.deliverer.deliver(&job).await.is_err());
    assert_eq!(stage.delivery(id).1, [], "nothing is recorded");

    stage.run_for(FAR).await;

    assert_eq!(receiver.ids(), [id.to_string(), id.to_string()]);
    assert_eq!(stage.delivery(id).0.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_worker_whose_lease_is_over_records_nothing() {
    let receiver = Receiver::start(vec![Behaviour::Status("410 Gone", "")]).await;
    let stage = Stage::at(&receiver);
    let id = stage.say(1);
    let late = stage.claim().await.unwrap();
    stage.pass(60);
    let job = stage.claim().await.expect("the lease is over");
    let before = stage.delivery(id);
    assert_eq!(stage.deliverer.deliver(&late).await.unwrap(), Verdict::SettledAlready);
    assert_eq!(stage.delivery(id), before);
    assert!(stage.channel(1).enabled);

    stage.deliverer.deliver(&job).await.unwrap();
    assert_eq!((stage.delivery(id).0.state, stage.channel(1).enabled), (DeliveryState::Failed, false));
}
