//! What receivers answer, and what they do instead.

use std::{io::Write, sync::Arc, time::Duration};

use flate2::{Compression, write::GzEncoder};
use pulsestream_notification::{Channel, Destination, Outcome, Reason, Timeouts};
use tokio::time::{Instant, timeout};

use crate::{
    names::Names,
    notices::{
        NOW, PUBLIC, alert, attempt, impatient, notice, notifier, patient, policy, retry, settings, webhook,
    },
    receiver::{Behaviour, Receiver, answer},
};

async fn attempt_at(receiver: &Receiver, timeouts: Timeouts) -> pulsestream_notification::Attempt {
    attempt(&receiver.url(), policy(receiver.port()), timeouts, Names::default()).await
}

async fn answered(bytes: impl Into<Vec<u8>>) -> pulsestream_notification::Attempt {
    let receiver = Receiver::start(PUBLIC, Behaviour::Answer(bytes.into())).await;
    let attempt = attempt_at(&receiver, patient()).await;
    assert_eq!(receiver.connections(), 1, "one attempt is one connection");
    attempt
}

#[tokio::test]
async fn each_answer_says_what_to_do_next() {
    let pause = |seconds| Outcome::Retry {
        reason: Reason::BadStatus,
        retry_after: Some(Duration::from_secs(seconds)),
    };
    for (status, headers, outcome) in [
        ("200 OK", "", Outcome::Delivered),
        ("202 Accepted", "", Outcome::Delivered),
        ("204 No Content", "", Outcome::Delivered),
        ("500 Internal Server Error", "", retry(Reason::BadStatus)),
        ("404 Not Found", "", retry(Reason::BadStatus)),
        ("410 Gone", "", Outcome::Gone),
        ("400 Bad Request", "", Outcome::Failed { reason: Reason::Refused }),
        ("429 Too Many Requests", "", retry(Reason::BadStatus)),
        ("429 Too Many Requests", "Retry-After: 120\r\n", pause(120)),
        ("503 Service Unavailable", "Retry-After: 999999\r\n", pause(3_600)),
        ("429 Too Many Requests", "Retry-After: Fri, 15 Jan 2027 08:00:10 GMT\r\n", pause(10)),
        ("500 Internal Server Error", "Retry-After: 120\r\n", retry(Reason::BadStatus)),
    ] {
        let attempt = answered(answer(status, headers, "")).await;
        assert_eq!(attempt.outcome, outcome, "{status} {headers}");
        assert_eq!(attempt.status, Some(status[..3].parse().unwrap()));
    }
}

#[tokio::test]
async fn an_excerpt_of_the_answer_is_kept_without_what_steers_terminals() {
    let hostile = "no\r\n\u{1b}[31mred\u{2028}fake: line\u{202e}\0";
    let attempt = answered(answer("500 Internal Server Error", "", hostile)).await;
    assert_eq!(attempt.excerpt, "no   [31mred fake: line");

    let attempt = answered(answer("200 OK", "", &"é".repeat(10_000))).await;
    assert_eq!(attempt.excerpt.len(), 1_024);
}

#[tokio::test]
async fn what_comes_is_the_body_that_was_announced() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Answer(answer("200 OK", "", ""))).await;
    attempt_at(&receiver, patient()).await;

    let request = receiver.requests().remove(0);
    assert!(request.head.starts_with("POST /hook HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert!(request.header("user-agent").unwrap().starts_with("PulseStream/"));
    assert_eq!(request.header("accept-encoding"), None);
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["data"]["alerts"][0]["title"], "Ünusual");
}

#[tokio::test]
async fn slack_gets_a_message_without_a_signature() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Answer(answer("200 OK", "", "ok"))).await;
    let policy = policy(receiver.port());
    let channel = Channel::Slack { destination: Destination::parse(&receiver.url(), &policy).unwrap() };

    let attempt = notifier(settings(policy), Names::default()).attempt(&channel, &notice(), NOW).await;

    assert_eq!((attempt.outcome, attempt.excerpt.as_str()), (Outcome::Delivered, "ok"));
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("webhook-signature"), None);
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["attachments"][0]["color"], "#8b0000");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Silent).await;
    let (url, port) = (receiver.url(), receiver.port());
    drop(receiver);
    while tokio::net::TcpStream::connect((PUBLIC, port)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let refused = attempt(&url, policy(port), patient(), Names::default()).await;
    assert_eq!(refused.outcome, retry(Reason::Unreachable));

    let unknown = format!("http://unknown.test:{port}/");
    let unknown = attempt(&unknown, policy(port), patient(), Names::default()).await;
    assert_eq!(unknown.outcome, retry(Reason::NameNotResolved));
    let nowhere =
        attempt(&format!("http://empty.test:{port}/"), policy(port), patient(), Names::of("empty.test", &[]))
            .await;
    assert_eq!(nowhere.outcome, retry(Reason::NameNotResolved));
}

#[tokio::test]
async fn a_receiver_that_says_nothing_takes_its_time_and_no_more() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Silent).await;
    let start = Instant::now();
    let attempt = attempt_at(&receiver, impatient()).await;
    assert_eq!(attempt.outcome, retry(Reason::TimedOut));
    assert!(attempt.duration >= impatient().total && start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_reset_is_tried_again_once_it_is_asked_for() {
    for behaviour in [
        Behaviour::ResetBefore,
        Behaviour::ResetAfter(vec![]),
        Behaviour::ResetAfter(b"HTTP/1.1 20".to_vec()),
    ] {
        let receiver = Receiver::start(PUBLIC, behaviour).await;
        let attempt = attempt_at(&receiver, patient()).await;
        assert_eq!(attempt.outcome, retry(Reason::ConnectionLost));
        assert_eq!(receiver.connections(), 1, "nothing is sent again behind the caller's back");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_tried_again() {
    for bytes in [
        "",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "220 mail.test ESMTP\r\n",
    ] {
        let attempt = answered(bytes).await;
        assert_eq!(attempt.outcome, retry(Reason::ConnectionLost), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_status_line_counts_whatever_follows() {
    let cut_short = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nok".to_vec();
    let receiver = Receiver::start(PUBLIC, Behaviour::ResetAfter(cut_short.clone())).await;
    assert_eq!(attempt_at(&receiver, patient()).await.outcome, Outcome::Delivered);
    assert_eq!(answered(cut_short).await.outcome, Outcome::Delivered);

    let mut bytes = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    bytes.extend([b'x'; 100]);
    let receiver = Receiver::start(PUBLIC, Behaviour::Drip(bytes)).await;
    let attempt = attempt_at(&receiver, Timeouts { total: Duration::from_secs(1), ..impatient() }).await;
    assert_eq!((attempt.outcome, attempt.status), (Outcome::Delivered, Some(200)));
    assert!(attempt.excerpt.starts_with('x') && attempt.excerpt.len() < 100, "{}", attempt.excerpt);
}

#[tokio::test]
async fn slow_headers_end_with_the_attempt() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Slow: {}\r\n\r\n", "x".repeat(1_000));
    let receiver = Receiver::start(PUBLIC, Behaviour::Drip(head.into_bytes())).await;
    assert_eq!(attempt_at(&receiver, impatient()).await.outcome, retry(Reason::TimedOut));
}

#[tokio::test]
async fn endless_bodies_are_cut_and_do_not_keep_the_attempt() {
    let chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        [b"1000\r\n".as_slice(), &[b'x'; 4_096], b"\r\n"].concat(),
    );
    let unbounded = (b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 65_536]);
    let announced = (b"HTTP/1.1 500 No\r\nContent-Length: 10737418240\r\n\r\n".to_vec(), vec![b'x'; 65_536]);
    for ((first, again), outcome) in [
        (chunked, Outcome::Delivered),
        (unbounded, Outcome::Delivered),
        (announced, retry(Reason::BadStatus)),
    ] {
        let receiver = Receiver::start(PUBLIC, Behaviour::Endless(first, again)).await;
        let attempt = attempt_at(&receiver, patient()).await;
        assert_eq!((attempt.outcome, attempt.excerpt), (outcome, "x".repeat(1_024)));
        assert!(attempt.duration < patient().total, "it ended by its length, not by its time");
    }
}

#[tokio::test]
async fn floods_of_headers_and_interim_answers_end_with_the_attempt() {
    let interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_vec();
    let receiver = Receiver::start(PUBLIC, Behaviour::Endless(interim.clone(), interim)).await;
    assert_eq!(attempt_at(&receiver, impatient()).await.outcome, retry(Reason::TimedOut));

    for line in [b"X-Flood: x\r\n".to_vec(), vec![b'x'; 65_536]] {
        let receiver =
            Receiver::start(PUBLIC, Behaviour::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), line)).await;
        let attempt = attempt_at(&receiver, patient()).await;
        assert_eq!(attempt.outcome, retry(Reason::ConnectionLost));
    }
}

#[tokio::test]
async fn interim_answers_before_the_real_one_are_passed_over() {
    let bytes = [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n".as_slice(),
        &answer("200 OK", "", "ok"),
    ];
    let attempt = answered(bytes.concat()).await;
    assert_eq!((attempt.outcome, attempt.excerpt.as_str()), (Outcome::Delivered, "ok"));
}

#[tokio::test]
async fn a_gzip_bomb_stays_as_small_as_it_came() {
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![0; 32 * 1_024 * 1_024]).unwrap();
    let bomb = bomb.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());

    let attempt = answered([head.into_bytes(), bomb].concat()).await;

    assert_eq!(attempt.outcome, Outcome::Delivered);
    // The second byte of gzip's mark is no character; the first is a control character.
    assert!(attempt.excerpt.starts_with('\u{fffd}'), "{:?}", attempt.excerpt);
}

#[tokio::test]
async fn a_host_has_four_requests_under_way_and_the_fifth_waits() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Silent).await;
    let policy = policy(receiver.port());
    let channel = webhook(&receiver.url(), &policy);
    let notifier = Arc::new(notifier(settings(policy), Names::default()));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (notifier, channel) = (notifier.clone(), channel.clone());
            tokio::spawn(async move { notifier.attempt(&channel, &notice(), NOW).await })
        })
        .collect();
    while receiver.requests().len() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let fifth = timeout(Duration::from_millis(300), notifier.attempt(&channel, &notice(), NOW)).await;

    assert!(fifth.is_err(), "it waits");
    assert_eq!(receiver.connections(), 4);
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn one_slow_host_does_not_hold_up_another() {
    let slow = Receiver::start(PUBLIC, Behaviour::Silent).await;
    let quick = Receiver::start(PUBLIC, Behaviour::Answer(answer("200 OK", "", ""))).await;
    let mut policy = policy(slow.port());
    let private = policy.private.as_mut().unwrap();
    private.ports.push(quick.port()..=quick.port());
    let names = Names::of("slow.test", &[PUBLIC]).changing("quick.test", &[&[PUBLIC]]);
    let (to_slow, to_quick) = (
        webhook(&format!("http://slow.test:{}/", slow.port()), &policy),
        webhook(&format!("http://quick.test:{}/", quick.port()), &policy),
    );
    let notifier = Arc::new(notifier(settings(policy), names));
    let stuck: Vec<_> = (0..8)
        .map(|_| {
            let (notifier, channel) = (notifier.clone(), to_slow.clone());
            tokio::spawn(async move { notifier.attempt(&channel, &notice(), NOW).await })
        })
        .collect();
    while slow.requests().len() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    assert_eq!(notifier.attempt(&to_quick, &notice(), NOW).await.outcome, Outcome::Delivered);

    stuck.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_huge_notice_arrives_as_a_small_body() {
    let receiver = Receiver::start(PUBLIC, Behaviour::Answer(answer("200 OK", "", ""))).await;
    let policy = policy(receiver.port());
    let mut notice = notice();
    notice.alerts = vec![alert(); 1_000];
    let channel = webhook(&receiver.url(), &policy);

    notifier(settings(policy), Names::default()).attempt(&channel, &notice, NOW).await;

    let body = receiver.requests().remove(0).body;
    assert!(body.len() < 20_000);
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let told = body["data"]["alerts"].as_array().unwrap().len() as u64;
    assert_eq!(body["data"]["truncatedAlerts"], 1_000 - told);
}
