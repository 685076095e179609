//! PagerDuty, by a stand-in that speaks its answers.

use pulsestream_notification::{Alert, Channel, Notice, Notifier, NotifierSettings, Outcome, Reason, Status};
use serde_json::Value;

use crate::{
    names::Names,
    notices::{NOW, PUBLIC, alert, notice, notifier, policy, retry, settings},
    receiver::{Behaviour, Receiver, answer},
};

fn channel() -> Channel {
    Channel::PagerDuty { routing_key: "0123456789abcdef0123456789abcdef".parse().unwrap() }
}

fn notifier_to(receiver: &Receiver) -> Notifier {
    let settings = NotifierSettings { pagerduty_url: receiver.url(), ..settings(policy(receiver.port())) };
    notifier(settings, Names::default())
}

fn two_alerts() -> Notice {
    let resolved = Alert { status: Status::Resolved, fingerprint: "beef".to_owned(), ..alert() };
    Notice { alerts: vec![alert(), resolved], ..notice() }
}

#[tokio::test]
async fn each_alert_is_an_event_of_its_own() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Answer(answer("202 Accepted", "", "{}"))).await;

    let attempt = notifier_to(&receiver).attempt(&channel(), &two_alerts(), NOW).await;

    assert_eq!((attempt.outcome, attempt.status), (Outcome::Delivered, Some(202)));
    let events: Vec<Value> =
        receiver.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
    let told: Vec<_> =
        events.iter().map(|event| (event["event_action"].as_str(), event["dedup_key"].as_str())).collect();
    let key = |fingerprint| format!("00000000-0000-0000-0000-000000000002/{fingerprint}");
    assert_eq!(
        told,
        [(Some("trigger"), Some(key("c0ffee").as_str())), (Some("resolve"), Some(key("beef").as_str()))]
    );
}

#[tokio::test]
async fn a_refused_event_does_not_keep_the_next_one_back() {
    let answers = vec![answer("400 Bad Request", "", "{}"), answer("202 Accepted", "", "{}")];
    let receiver = Receiver::start(PUBLIC, Behaviour::Answers(answers)).await;

    let attempt = notifier_to(&receiver).attempt(&channel(), &two_alerts(), NOW).await;

    assert_eq!(attempt.outcome, Outcome::Failed { reason: Reason::Refused });
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn a_receiver_in_trouble_is_not_pestered_with_the_rest() {
    let answers = vec![answer("500 Internal Server Error", "", ""), answer("202 Accepted", "", "{}")];
    let receiver = Receiver::start(PUBLIC, Behaviour::Answers(answers)).await;

    let attempt = notifier_to(&receiver).attempt(&channel(), &two_alerts(), NOW).await;

    assert_eq!(attempt.outcome, retry(Reason::BadStatus));
    assert_eq!(receiver.connections(), 1);
}
