//! Letters, through a mail server that is not ours.

use std::{fs, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pulsestream_notification::{
    Alert, Attempt, Channel, Letter, MailError, Mailer, MailerSettings, Notice, Notifier, OutboundPolicy,
    Outcome, Reason, Recipient, Secret, SmtpEncryption, Timeouts,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, BufStream, Lines},
    net::TcpListener,
    process::{Child, ChildStdout},
};
use uuid::Uuid;

use crate::{
    certificates::Authority,
    names::Names,
    notices::{NOW, alert, impatient, notice, patient, retry, settings},
    python::python,
    tls::acceptor,
};

/// A mail server on loopback. It ends with this value.
struct MailServer {
    port: u16,
    authority: Authority,
    lines: Lines<BufReader<ChildStdout>>,
    // Held: the one ends when its input does, the other has its certificate.
    _child: Child,
    _directory: TempDir,
}

impl MailServer {
    async fn start(options: &[&str]) -> Self {
        Self::with_certificate_for("localhost", options).await
    }

    async fn with_certificate_for(name: &str, options: &[&str]) -> Self {
        let (authority, directory) = (Authority::new(), tempfile::tempdir().unwrap());
        let identity = authority.identity(name);
        let (certificate, key) = (directory.path().join("certificate.pem"), directory.path().join("key.pem"));
        fs::write(&certificate, identity.certificate.pem()).unwrap();
        fs::write(&key, identity.key.serialize_pem()).unwrap();
        let mut child = python("smtp_server.py").arg(certificate).arg(key).args(options).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next_line().await.unwrap().expect("it says its port").parse().unwrap();
        Self { port, authority, lines, _child: child, _directory: directory }
    }

    fn settings(&self, encryption: SmtpEncryption) -> MailerSettings {
        MailerSettings {
            host: "localhost".to_owned(),
            port: self.port,
            encryption,
            credentials: None,
            sender: "alerts@pulse.test".parse().unwrap(),
            sender_name: "PulseStream".to_owned(),
            timeouts: patient(),
            extra_roots: vec![self.authority.der()],
        }
    }

    /// The next letter it accepted.
    async fn letter(&mut self) -> Received {
        let line = self.lines.next_line().await.unwrap().expect("it runs");
        let envelope: Value = serde_json::from_str(&line).unwrap();
        let content = BASE64.decode(envelope["content"].as_str().unwrap()).unwrap();
        Received { envelope, content: String::from_utf8(content).unwrap() }
    }
}

struct Received {
    envelope: Value,
    content: String,
}

impl Received {
    /// The headers, each on one line as it came.
    fn headers(&self) -> Vec<&str> {
        let (head, _) = self.content.split_once("\r\n\r\n").unwrap();
        head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).collect()
    }

    fn header(&self, name: &str) -> Vec<&str> {
        let matching = self.headers().into_iter().filter_map(|line| line.split_once(": "));
        matching.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

fn recipient() -> Recipient {
    "on-call@example.com".parse().unwrap()
}

fn letter<'a>(to: &'a Recipient, subject: &'a str, text: &'a str) -> Letter<'a> {
    Letter { id: Uuid::from_u128(9), at: NOW, to, subject, text, html: None }
}

async fn send(settings: MailerSettings) -> Result<pulsestream_notification::SmtpAnswer, MailError> {
    let to = recipient();
    Mailer::new(settings).unwrap().send(&letter(&to, "Reset", "Here is your link.")).await
}

async fn attempt(settings: MailerSettings, notice: &Notice) -> Attempt {
    let mailer = Arc::new(Mailer::new(settings).unwrap());
    let names = Arc::new(Names::default());
    let notifier =
        Notifier::new(crate::notices::settings(OutboundPolicy::default()), names, Some(mailer)).unwrap();
    notifier.attempt(&Channel::Email { to: recipient() }, notice, NOW).await
}

#[tokio::test]
async fn letters_travel_encrypted_from_the_first_byte_or_after_starttls() {
    for (option, encryption) in
        [("implicit", SmtpEncryption::Implicit), ("starttls", SmtpEncryption::StartTls)]
    {
        let mut server = MailServer::start(&[option]).await;

        let answer = send(server.settings(encryption)).await.unwrap();

        assert_eq!((answer.status, answer.excerpt.as_str()), (Some(250), "2.0.0 accepted"));
        let received = server.letter().await;
        assert_eq!(received.envelope["encrypted"], true);
        assert_eq!(received.envelope["from"], "alerts@pulse.test");
        assert_eq!(received.envelope["to"], serde_json::json!(["on-call@example.com"]));
        assert_eq!(received.envelope["hello"], "pulse.test");
        assert_eq!(received.header("subject"), ["Reset"]);
        assert_eq!(received.header("to"), ["on-call@example.com"]);
        assert_eq!(received.header("from"), ["PulseStream <alerts@pulse.test>"]);
        assert_eq!(received.header("date"), ["Fri, 15 Jan 2027 08:00:00 +0000"]);
        assert_eq!(received.header("message-id"), ["<00000000-0000-0000-0000-000000000009@pulse.test>"]);
        assert_eq!(received.header("auto-submitted"), ["auto-generated"]);
        assert!(received.content.contains("Here is your link."));
    }
}

#[tokio::test]
async fn without_encryption_nothing_is_sent() {
    let server = MailServer::start(&["plain"]).await;
    let error = send(server.settings(SmtpEncryption::StartTls)).await.unwrap_err();
    assert!(matches!(error, MailError::Tls(None)), "{error:?}");

    let attempt = attempt(server.settings(SmtpEncryption::StartTls), &notice()).await;
    assert_eq!(attempt.outcome, retry(Reason::TlsFailed));
    let implicit = send(server.settings(SmtpEncryption::Implicit)).await.unwrap_err();
    assert!(matches!(implicit, MailError::Tls(Some(_))), "{implicit:?}");
}

#[tokio::test]
async fn a_mail_server_with_another_certificate_gets_nothing() {
    for (option, encryption) in
        [("implicit", SmtpEncryption::Implicit), ("starttls", SmtpEncryption::StartTls)]
    {
        let server = MailServer::with_certificate_for("another.test", &[option]).await;
        let error = send(server.settings(encryption)).await.unwrap_err();
        assert!(matches!(error, MailError::Tls(Some(_))), "{error:?}");

        let server = MailServer::start(&[option]).await;
        let stranger = MailerSettings { extra_roots: vec![], ..server.settings(encryption) };
        let error = send(stranger).await.unwrap_err();
        assert!(matches!(error, MailError::Tls(Some(_))), "{error:?}");
    }
}

#[tokio::test]
async fn credentials_are_used_and_a_wrong_one_can_be_put_right() {
    let mut server = MailServer::start(&["starttls", "auth"]).await;
    let with = |password: &str| MailerSettings {
        credentials: Some(("pulse".to_owned(), Secret::new(password))),
        ..server.settings(SmtpEncryption::StartTls)
    };
    let (right, wrong, none) = (with("hunter2"), with("hunter3"), server.settings(SmtpEncryption::StartTls));
    assert!(!format!("{:?}", Mailer::new(right.clone()).unwrap()).contains("hunter2"));

    send(right).await.unwrap();
    assert_eq!(server.letter().await.envelope["user"], "pulse");
    for settings in [wrong, none] {
        let attempt = attempt(settings, &notice()).await;
        assert_eq!(attempt.outcome, retry(Reason::NotAuthenticated), "{attempt:?}");
    }
}

#[tokio::test]
async fn a_server_that_defers_is_asked_again_and_one_that_refuses_is_not() {
    let server = MailServer::start(&["implicit", "defer"]).await;
    let deferred = attempt(server.settings(SmtpEncryption::Implicit), &notice()).await;
    assert_eq!((deferred.outcome, deferred.status), (retry(Reason::BadStatus), Some(451)));
    assert_eq!(deferred.excerpt, "4.7.1 greylisted, come back later");

    let server = MailServer::start(&["implicit", "refuse"]).await;
    let refused = attempt(server.settings(SmtpEncryption::Implicit), &notice()).await;
    assert_eq!((refused.outcome, refused.status), (Outcome::Failed { reason: Reason::Refused }, Some(550)));
    assert_eq!(refused.excerpt, "5.1.1 no such user");
}

#[tokio::test]
async fn a_server_that_hangs_or_is_gone_is_tried_again() {
    let mut server = MailServer::start(&["implicit", "hang"]).await;
    let timeouts = Timeouts { total: Duration::from_secs(3), ..impatient() };
    let hung =
        attempt(MailerSettings { timeouts, ..server.settings(SmtpEncryption::Implicit) }, &notice()).await;
    assert_eq!(hung.outcome, retry(Reason::TimedOut));
    server.letter().await;

    let settings = server.settings(SmtpEncryption::Implicit);
    server._child.kill().await.unwrap();
    assert_eq!(attempt(settings, &notice()).await.outcome, retry(Reason::Unreachable));
}

#[tokio::test]
async fn without_a_mail_server_mail_fails_for_good() {
    let notifier =
        Notifier::new(settings(OutboundPolicy::default()), Arc::new(Names::default()), None).unwrap();
    let attempt = notifier.attempt(&Channel::Email { to: recipient() }, &notice(), NOW).await;
    assert_eq!(attempt.outcome, Outcome::Failed { reason: Reason::NotConfigured });
}

#[tokio::test]
async fn a_notice_is_a_letter_in_text_and_html_with_a_stable_id() {
    let mut server = MailServer::start(&["implicit"]).await;
    let settings = server.settings(SmtpEncryption::Implicit);
    let notice = Notice { alerts: vec![Alert { title: "<b>bold</b>".to_owned(), ..alert() }], ..notice() };

    let attempt = attempt(settings.clone(), &notice).await;
    assert_eq!((attempt.outcome, attempt.status), (Outcome::Delivered, Some(250)));
    crate::mail::attempt(settings, &notice).await;

    let (first, second) = (server.letter().await, server.letter().await);
    assert_eq!(first.header("subject"), ["[FIRING:1] errors"]);
    assert_eq!(first.header("message-id"), ["<01900000-0000-7000-8000-000000000001@pulse.test>"]);
    assert_eq!(first.header("message-id"), second.header("message-id"));
    assert!(first.header("content-type")[0].starts_with("multipart/alternative"));
    assert!(first.content.contains("text/plain") && first.content.contains("text/html"));
    assert!(first.content.contains("<b>bold</b>") && first.content.contains("&lt;b&gt;bold&lt;/b&gt;"));
    assert!(!first.content.contains("<h2><b>"));
}

#[tokio::test]
async fn no_text_becomes_a_header_or_a_recipient() {
    let mut server = MailServer::start(&["implicit"]).await;
    let mailer = Mailer::new(MailerSettings {
        sender_name: "Pulse\r\nBcc: victim@example.com".to_owned(),
        ..server.settings(SmtpEncryption::Implicit)
    });
    let (mailer, to) = (mailer.unwrap(), recipient());
    let long = "ü".repeat(5_000);
    for subject in [
        "x\r\nBcc: victim@example.com",
        "x\nBcc: victim@example.com",
        "x\rBcc: victim@example.com",
        "x\r\n\r\nbody",
        "x\u{2028}Bcc: victim@example.com",
        "ünï\r\nBcc: victim@example.com",
        "=?utf-8?q?x=0D=0ABcc:_victim@example.com?=",
        &long,
    ] {
        let text = "a\r\n.\r\nRCPT TO:<victim@example.com>\r\nBcc: victim@example.com\n.\n";
        mailer.send(&letter(&to, subject, text)).await.unwrap();

        let received = server.letter().await;
        assert_eq!(received.envelope["to"], serde_json::json!(["on-call@example.com"]), "{subject:?}");
        for name in ["bcc", "cc"] {
            assert!(received.header(name).is_empty(), "{subject:?}: {}", received.content);
        }
        for name in ["to", "from", "subject", "message-id", "content-type"] {
            assert_eq!(received.header(name).len(), 1, "{subject:?}: {}", received.content);
        }
        assert!(received.headers().iter().all(|line| line.len() <= 998));
        if subject == "x\r\nBcc: victim@example.com" {
            assert_eq!(received.header("subject"), ["x  Bcc: victim@example.com"]);
        }
    }
}

/// Somebody on the way adds replies in the clear behind the one that starts TLS. Taken for the server's, they would
/// make a letter seem accepted that never arrived.
#[tokio::test]
async fn replies_injected_before_encryption_are_not_taken_for_the_servers() {
    let authority = Authority::new();
    let acceptor = acceptor(&authority.identity("localhost"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server: tokio::task::JoinHandle<()> = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufStream::new(stream);
        for (reply, next) in
            [("220 mail.test\r\n", "EHLO"), ("250-mail.test\r\n250 STARTTLS\r\n", "STARTTLS")]
        {
            stream.write_all(reply.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let mut command = String::new();
            stream.read_line(&mut command).await.unwrap();
            assert!(command.starts_with(next), "{command}");
        }
        let injected = "220 go\r\n250 mail.test\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 accepted\r\n";
        stream.write_all(injected.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // Whatever comes of the handshake, nothing is answered.
        let _stream = acceptor.accept(stream).await;
        std::future::pending().await
    });
    let settings = MailerSettings {
        host: "localhost".to_owned(),
        port,
        encryption: SmtpEncryption::StartTls,
        credentials: None,
        sender: "alerts@pulse.test".parse().unwrap(),
        sender_name: String::new(),
        timeouts: patient(),
        extra_roots: vec![authority.der()],
    };

    let error = send(settings).await.unwrap_err();

    assert!(matches!(error, MailError::Tls(Some(_))), "{error:?}");
    server.abort();
}
