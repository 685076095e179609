//! Signatures, as the reference implementation sees them.

use std::{collections::BTreeMap, time::SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pulsestream_domain::Timestamp;
use pulsestream_notification::{
    Channel, Destination, ExtraHeaders, SigningSecret, SigningSecrets, WebhookFormat,
};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::{
    names::Names,
    notices::{PUBLIC, notice, notifier, policy, settings},
    python::python,
    receiver::{Behaviour, Receiver, Request, answer},
};

const WEBHOOK_HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// What the verifier takes for now: it compares with the clock of the machine.
#[expect(clippy::disallowed_methods, reason = "the verifier is another program, which reads the real clock")]
fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_secs(elapsed.as_secs().try_into().unwrap())
}

fn secret(byte: u8) -> SigningSecret {
    SigningSecret::from_entropy([byte; 32])
}

/// The request of one attempt.
async fn request(secrets: SigningSecrets, format: WebhookFormat, at: Timestamp) -> Request {
    let receiver = Receiver::start(PUBLIC, Behaviour::Answer(answer("200 OK", "", ""))).await;
    let policy = policy(receiver.port());
    let destination = Destination::parse(&receiver.url(), &policy).unwrap();
    let headers = ExtraHeaders::new([("authorization", "Bearer hunter2"), ("webhook-id", "forged")]).unwrap();
    assert!(!format!("{headers:?}").contains("hunter2"));
    let channel = Channel::Webhook { destination, format, secrets, headers };
    notifier(settings(policy), Names::default()).attempt(&channel, &notice(), at).await;
    receiver.requests().remove(0)
}

/// What the reference implementation says of each.
async fn verify(requests: &[(&SigningSecret, &Request)]) -> Vec<String> {
    let mut verifier = python("verify_webhooks.py").spawn().unwrap();
    let mut input = String::new();
    for (secret, request) in requests {
        let headers: BTreeMap<_, _> =
            WEBHOOK_HEADERS.iter().map(|name| (name, request.header(name))).collect();
        let line =
            json!({"secret": secret.reveal(), "headers": headers, "body": BASE64.encode(&request.body)});
        input += &format!("{line}\n");
    }
    verifier.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = verifier.wait_with_output().await.unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_reference_implementation_accepts_what_was_sent_and_nothing_else() {
    let sent = request(secret(1).into(), WebhookFormat::PulseStream, now()).await;
    assert_eq!(sent.header("authorization"), Some("Bearer hunter2"), "what the receiver asks for goes along");
    let alertmanager = request(secret(1).into(), WebhookFormat::Alertmanager, now()).await;
    let old = request(secret(1).into(), WebhookFormat::PulseStream, now().plus_secs(-3_600)).await;
    let mut changed = sent.clone();
    *changed.body.last_mut().unwrap() = b' ';
    let mut other_id = sent.clone();
    other_id.head = other_id.head.replace("0190", "0191");

    let said = verify(&[
        (&secret(1), &sent),
        (&secret(1), &alertmanager),
        (&secret(2), &sent),
        (&secret(1), &changed),
        (&secret(1), &other_id),
        (&secret(1), &old),
    ])
    .await;

    assert_eq!(said[..2], ["ok", "ok"]);
    assert_eq!(said.len(), 6);
    for refused in &said[2..] {
        assert!(refused.starts_with("refused: "), "{refused}");
    }
}

#[tokio::test]
async fn while_a_rotation_lasts_either_secret_verifies() {
    let rotating = SigningSecrets { current: secret(2), previous: Some(secret(1)) };
    let sent = request(rotating, WebhookFormat::PulseStream, now()).await;

    let said = verify(&[(&secret(1), &sent), (&secret(2), &sent), (&secret(3), &sent)]).await;

    assert_eq!(said[..2], ["ok", "ok"]);
    assert!(said[2].starts_with("refused"), "{}", said[2]);
}

#[tokio::test]
async fn attempts_share_their_id_and_body_and_have_times_of_their_own() {
    let first =
        request(secret(1).into(), WebhookFormat::PulseStream, Timestamp::from_secs(1_800_000_000)).await;
    let second =
        request(secret(1).into(), WebhookFormat::PulseStream, Timestamp::from_secs(1_800_000_305)).await;

    assert_eq!(first.header("webhook-id"), Some("01900000-0000-7000-8000-000000000001"));
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("webhook-timestamp"), Some("1800000000"));
    assert_eq!(second.header("webhook-timestamp"), Some("1800000305"));
    assert_ne!(first.header("webhook-signature"), second.header("webhook-signature"));
}
