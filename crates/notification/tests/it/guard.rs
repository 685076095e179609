//! Connections that must not be made, counted by decoys where they would arrive.

use std::{net::IpAddr, process::Stdio, sync::Arc};

use pulsestream_notification::{
    Channel, Destination, Notifier, NotifierSettings, OutboundPolicy, Outcome, PrivateDestinations, Reason,
    SystemResolver,
};
use tokio::process::Command;

use crate::{
    names::Names,
    notices::{NOW, PRIVATE, PUBLIC, attempt, notice, notifier, patient, policy, retry, settings, webhook},
    receiver::{Behaviour, Receiver, answer},
};

fn welcome() -> Behaviour {
    Behaviour::Answer(answer("200 OK", "", "ok"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A receiver at the public stand-in, and decoys with the same port at a private address of either family.
async fn receiver_and_decoys() -> (Receiver, Vec<Receiver>) {
    Receiver::with_decoys(PUBLIC, welcome(), &[PRIVATE, ip("::1")]).await
}

fn connections(decoys: &[Receiver]) -> usize {
    decoys.iter().map(Receiver::connections).sum()
}

#[tokio::test]
async fn a_name_with_private_addresses_only_is_never_connected_to() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let url = format!("http://inside.test:{}/", receiver.port());
    for addresses in [
        &["127.0.0.1"][..],
        &["::1"],
        &["127.0.0.1", "::1"],
        &["::ffff:127.0.0.1"],
        &["::127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["0.0.0.0"],
        &["::"],
        &["169.254.169.254"],
        &["127.0.0.3"],
    ] {
        let addresses: Vec<_> = addresses.iter().map(|text| ip(text)).collect();
        let names = Names::of("inside.test", &addresses);

        let attempt = attempt(&url, policy(receiver.port()), patient(), names.clone()).await;

        assert_eq!(attempt.outcome, Outcome::Blocked, "{addresses:?}");
        assert_eq!((attempt.status, attempt.excerpt.as_str()), (None, ""));
        assert_eq!(names.lookups(), 1);
    }
    assert_eq!((receiver.connections(), connections(&decoys)), (0, 0));
}

#[tokio::test]
async fn of_public_and_private_addresses_only_the_public_one_is_connected_to() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let url = format!("http://mixed.test:{}/", receiver.port());
    for addresses in [
        [PRIVATE, PUBLIC, ip("::1")],
        [ip("::1"), ip("::ffff:127.0.0.1"), PUBLIC],
        [PUBLIC, PRIVATE, PRIVATE],
    ] {
        let attempt =
            attempt(&url, policy(receiver.port()), patient(), Names::of("mixed.test", &addresses)).await;
        assert_eq!(attempt.outcome, Outcome::Delivered, "{addresses:?}");
    }
    assert_eq!((receiver.connections(), connections(&decoys)), (3, 0));
    assert_eq!(
        receiver.requests()[0].header("host"),
        Some(format!("mixed.test:{}", receiver.port()).as_str())
    );
}

#[tokio::test]
async fn when_the_public_address_is_down_the_private_one_is_not_tried() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let port = receiver.port();
    drop(receiver);
    // The task that listened ends when it is next looked at.
    while tokio::net::TcpStream::connect((PUBLIC, port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let names = Names::of("mixed.test", &[PUBLIC, PRIVATE]);

    let attempt = attempt(&format!("http://mixed.test:{port}/"), policy(port), patient(), names).await;

    assert_eq!(attempt.outcome, retry(Reason::Unreachable));
    assert_eq!(connections(&decoys), 0);
}

#[tokio::test]
async fn a_name_that_turns_private_is_blocked_from_then_on() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let names = Names::default().changing("rebinding.test", &[&[PUBLIC], &[PRIVATE], &[PUBLIC]]);
    let policy = policy(receiver.port());
    let channel = webhook(&format!("http://rebinding.test:{}/", receiver.port()), &policy);
    let notifier = notifier(settings(policy), names.clone());

    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(notifier.attempt(&channel, &notice(), NOW).await.outcome);
    }

    assert_eq!(outcomes, [Outcome::Delivered, Outcome::Blocked, Outcome::Delivered]);
    assert_eq!(names.lookups(), 3, "each attempt looks up once, and connects to what it found");
    assert_eq!((receiver.connections(), connections(&decoys)), (2, 0));
}

#[tokio::test]
async fn a_connection_kept_open_does_not_outlive_the_answer_it_was_checked_by() {
    let receiver = Receiver::start(PUBLIC, Behaviour::KeepAlive(answer("200 OK", "", "ok"))).await;
    let names = Names::default().changing("rebinding.test", &[&[PUBLIC], &[PRIVATE]]);
    let policy = policy(receiver.port());
    let channel = webhook(&format!("http://rebinding.test:{}/", receiver.port()), &policy);
    let notifier = notifier(settings(policy), names);

    assert_eq!(notifier.attempt(&channel, &notice(), NOW).await.outcome, Outcome::Delivered);
    assert_eq!(notifier.attempt(&channel, &notice(), NOW).await.outcome, Outcome::Blocked);

    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn an_alias_of_an_internal_name_is_blocked() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let names = Names::of("db.internal", &[PRIVATE])
        .alias("outside.test", "cdn.test")
        .alias("cdn.test", "db.internal");
    let url = format!("http://outside.test:{}/", receiver.port());

    let attempt = attempt(&url, policy(receiver.port()), patient(), names).await;

    assert_eq!(attempt.outcome, Outcome::Blocked);
    assert_eq!(connections(&decoys), 0);
}

#[tokio::test]
async fn a_literal_address_is_checked_again_by_the_policy_of_today() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let port = receiver.port();
    let when_it_was_saved = OutboundPolicy {
        private: Some(PrivateDestinations { ports: vec![port..=port], ..PrivateDestinations::default() }),
        ..policy(port)
    };
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://2130706433:{port}/"),
    ] {
        let channel = webhook(&url, &when_it_was_saved);
        let names = Names::default();

        let attempt = notifier(settings(policy(port)), names.clone()).attempt(&channel, &notice(), NOW).await;

        assert_eq!(attempt.outcome, Outcome::Blocked, "{url}");
        assert_eq!(names.lookups(), 0, "a resolver never sees an address");
    }
    assert_eq!(connections(&decoys), 0);
}

#[tokio::test]
async fn http_and_ports_are_checked_again_by_the_policy_of_today() {
    let receiver = Receiver::start(PUBLIC, welcome()).await;
    let channel = webhook(&receiver.url(), &policy(receiver.port()));
    for today in [OutboundPolicy { allow_http: false, ..policy(receiver.port()) }, policy(1)] {
        let attempt = notifier(settings(today), Names::default()).attempt(&channel, &notice(), NOW).await;
        assert_eq!(attempt.outcome, Outcome::Blocked);
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn the_guard_holds_for_slack_and_pagerduty_too() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let policy = policy(receiver.port());
    let url = format!("http://inside.test:{}/", receiver.port());
    let names = Names::of("inside.test", &[PRIVATE]);
    let notifier =
        notifier(NotifierSettings { pagerduty_url: url.clone(), ..settings(policy.clone()) }, names);
    let destination = Destination::parse(&url, &policy).unwrap();

    for channel in
        [Channel::Slack { destination }, Channel::PagerDuty { routing_key: "abc".parse().unwrap() }]
    {
        assert_eq!(notifier.attempt(&channel, &notice(), NOW).await.outcome, Outcome::Blocked);
    }
    assert_eq!(connections(&decoys), 0);
}

#[tokio::test]
async fn our_own_address_is_not_connected_to_by_any_name() {
    let policy = OutboundPolicy { own_addresses: vec![ip("8.8.4.4")], ..OutboundPolicy::default() };
    let names = Names::of("front-door.test", &[ip("8.8.4.4"), ip("::ffff:8.8.4.4")]);
    let attempt = attempt("https://front-door.test/", policy, patient(), names).await;
    assert_eq!(attempt.outcome, Outcome::Blocked);
}

#[tokio::test]
async fn the_system_resolver_is_guarded_like_any_other() {
    let (receiver, decoys) = receiver_and_decoys().await;
    let policy = policy(receiver.port());
    let channel = webhook(&format!("http://localhost:{}/", receiver.port()), &policy);
    let notifier = Notifier::new(settings(policy), Arc::new(SystemResolver), None).unwrap();

    assert_eq!(notifier.attempt(&channel, &notice(), NOW).await.outcome, Outcome::Blocked);
    assert_eq!(connections(&decoys), 0);
}

#[tokio::test]
async fn redirects_are_failures_and_are_not_followed() {
    for status in [
        "300 Multiple Choices",
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let decoy = Receiver::start(PRIVATE, welcome()).await;
        let elsewhere = Receiver::start(PUBLIC, welcome()).await;
        for target in [decoy.url(), elsewhere.url(), "/hook".to_owned(), "http://169.254.169.254/".to_owned()]
        {
            let headers = format!("Location: {target}\r\n");
            let receiver = Receiver::start(PUBLIC, Behaviour::Answer(answer(status, &headers, ""))).await;

            let attempt =
                attempt(&receiver.url(), policy(receiver.port()), patient(), Names::default()).await;

            assert_eq!(attempt.outcome, Outcome::Failed { reason: Reason::Redirected }, "{status} {target}");
            assert_eq!(receiver.connections(), 1);
        }
        assert_eq!((decoy.connections(), elsewhere.connections()), (0, 0));
    }
}

/// The environment belongs to the process, so this test runs itself once more in another one.
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let proxy = Receiver::start(PRIVATE, welcome()).await;
    let proxy_url = format!("http://127.0.0.1:{}", proxy.port());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "guard::a_direct_attempt_arrives"]).stdout(Stdio::piped()).kill_on_drop(true);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        child.env(name, &proxy_url);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");

    let output = child.output().await.unwrap();

    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_direct_attempt_arrives() {
    let receiver = Receiver::start(PUBLIC, welcome()).await;
    let url = format!("http://outside.test:{}/", receiver.port());
    let names = Names::of("outside.test", &[PUBLIC]);
    let attempt = attempt(&url, policy(receiver.port()), patient(), names).await;
    assert_eq!(attempt.outcome, Outcome::Delivered);
    assert_eq!(receiver.connections(), 1);
}
