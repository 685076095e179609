//! A mail server that is not ours, on loopback, with a certificate that only its own users trust.

use std::{path::Path, process::Stdio};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pulsestream_tests::{AppBuilder, canary};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::Mutex,
};

/// The one password that it takes.
pub(crate) const PASSWORD: &str = "hunter2";

/// Takes letters over STARTTLS, after a login. It ends with this value.
pub(crate) struct MailServer {
    port: u16,
    letters: Mutex<Lines<BufReader<ChildStdout>>>,
    directory: TempDir,
    // Held: it ends when its input does.
    _child: Child,
}

/// A letter it took.
#[derive(Debug)]
pub(crate) struct Letter {
    /// Whom it is for.
    pub(crate) to: Value,
    /// Head and body, decoded.
    pub(crate) text: String,
}

impl MailServer {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (directory.path().join("certificate.pem"), directory.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("the directory is ours");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("the directory is ours");
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-python/bin/python");
        assert!(python.exists(), "{} is missing: run scripts/install-test-python", python.display());
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/notification/tests/smtp_server.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([&certificate, &key])
            .args(["starttls", "auth"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.next_line().await.expect("it is read").expect("it says its port");
        let port = port.parse().expect("a port");
        Self { port, letters: Mutex::new(lines), directory, _child: child }
    }

    /// A server that sends its mail through this one, with this password.
    pub(crate) fn used_by(&self, builder: AppBuilder, password: &str) -> AppBuilder {
        let authorities = self.directory.path().join("certificate.pem");
        builder
            .set("smtp.host", "localhost")
            .set("smtp.port", self.port)
            .set("smtp.user", "pulse")
            .set("smtp.password", password)
            .set("smtp.from", "pulse@example.com")
            .set("smtp.certificate_authorities", authorities.display())
    }

    /// The next letter, whenever it comes: the trial's cap is the limit.
    pub(crate) async fn letter(&self) -> Letter {
        let line = self.letters.lock().await.next_line().await.expect("it is read").expect("it runs");
        let envelope: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&envelope["encrypted"], &envelope["user"]), (&true.into(), &"pulse".into()));
        let content = BASE64.decode(envelope["content"].as_str().expect("a text")).expect("base64");
        // Quoted-printable, where it is used, breaks long lines.
        let text =
            String::from_utf8(content).expect("mail is ASCII").replace("=\r\n", "").replace("=3D", "=");
        let to = envelope["to"].clone();
        canary::mailed(to.to_string().as_bytes(), text.as_bytes());
        Letter { to, text }
    }
}

impl Letter {
    /// The link in it.
    pub(crate) fn link(&self) -> &str {
        let start = self.text.find("http").unwrap_or_else(|| panic!("no link: {}", self.text));
        self.text[start..].split_whitespace().next().expect("it was found")
    }
}
