//! Receivers with TLS: whom they are taken for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use pulsestream_notification::{Attempt, NotifierSettings, OutboundPolicy, Outcome, Reason};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use tokio::{io::AsyncWriteExt, net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::{
    certificates::{Authority, Identity},
    names::Names,
    notices::{NOW, PUBLIC, notice, notifier, policy, retry, settings, webhook},
    receiver::{Request, answer},
};

/// The name that was asked for by SNI, and the request.
type Seen = (Option<String>, Request);

/// Answers 200 by TLS and keeps what it was asked, with the name it was asked for.
struct TlsReceiver {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

/// The server's side of TLS.
pub(crate) fn acceptor(identity: &Identity) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl TlsReceiver {
    async fn start(identity: Identity) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(PUBLIC, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = acceptor(&identity);
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    let name = stream.get_ref().1.server_name().map(str::to_owned);
                    let Some(request) = Request::read(&mut stream).await else { continue };
                    seen.lock().unwrap().push((name, request));
                    stream.write_all(&answer("200 OK", "", "ok")).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            }
        });
        Self { port, seen, task }
    }

    async fn attempt(&self, name: &str, extra_roots: Vec<Vec<u8>>) -> Attempt {
        let policy = OutboundPolicy { allow_http: false, ..policy(self.port) };
        let channel = webhook(&format!("https://{name}:{}/hook", self.port), &policy);
        let settings = NotifierSettings { extra_roots, ..settings(policy) };
        notifier(settings, Names::of(name, &[PUBLIC])).attempt(&channel, &notice(), NOW).await
    }
}

impl Drop for TlsReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn the_connection_goes_to_the_checked_address_and_asks_for_the_name() {
    let authority = Authority::new();
    let receiver = TlsReceiver::start(authority.identity("receiver.test")).await;

    let attempt = receiver.attempt("receiver.test", vec![authority.der()]).await;

    assert_eq!(attempt.outcome, Outcome::Delivered);
    let (name, request) = receiver.seen.lock().unwrap().remove(0);
    assert_eq!(name.as_deref(), Some("receiver.test"));
    assert_eq!(request.header("host"), Some(format!("receiver.test:{}", receiver.port).as_str()));
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_an_unknown_authority_gets_nothing() {
    let authority = Authority::new();
    let receiver = TlsReceiver::start(authority.identity("another.test")).await;

    let other_name = receiver.attempt("receiver.test", vec![authority.der()]).await;
    let unknown = receiver.attempt("another.test", vec![Authority::new().der()]).await;

    assert_eq!(other_name.outcome, retry(Reason::TlsFailed));
    assert_eq!(unknown.outcome, retry(Reason::TlsFailed));
    assert!(receiver.seen.lock().unwrap().is_empty(), "no request was sent");
}
