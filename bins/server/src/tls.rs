//! The certificate that the server shows, and its replacement while connections go on.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use anyhow::{Context, Result, anyhow};
use rustls::{
    Error, ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::settings::Tls;

/// A certificate with its key, from two files.
///
/// A handshake takes what was read last; connections that are open keep what they began with.
#[derive(Debug)]
pub(crate) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files that the settings name; `None` when they name none.
    ///
    /// # Errors
    /// When a file can't be read, or the two don't belong together. The text starts with the setting to look
    /// at and shows nothing of the files.
    pub(crate) fn load(settings: &Tls) -> Result<Option<Arc<Self>>> {
        let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else { return Ok(None) };
        let current = RwLock::new(Arc::new(read(certificate, key)?));
        Ok(Some(Arc::new(Self { certificate: certificate.clone(), key: key.clone(), current })))
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// As [`load`](Self::load); then the old certificate stays.
    fn reload(&self) -> Result<()> {
        let new = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// How the server speaks TLS: 1.2 and 1.3, with no certificates asked of clients.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .context("preparing TLS")?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }

    /// Reads the files again at each SIGHUP, until told to stop.
    pub(crate) async fn reload_on(self: Arc<Self>, mut hangup: Signal, stop: CancellationToken) {
        while let Some(Some(())) = stop.run_until_cancelled(hangup.recv()).await {
            let certificate = Arc::clone(&self);
            // Reading files blocks.
            let reloaded = tokio::task::spawn_blocking(move || certificate.reload()).await;
            match reloaded.map_err(anyhow::Error::from).flatten() {
                Ok(()) => {
                    tracing::info!("SIGHUP received: new connections get the certificate read just now")
                }
                Err(error) => tracing::error!(
                    error = crate::one_line(&error),
                    "SIGHUP received, but the certificate can't be used: the old one stays"
                ),
            }
        }
    }
}

/// From here on SIGHUP is waited for instead of ending the process.
///
/// # Errors
/// When the system does not let it be waited for.
pub(crate) fn hangup() -> Result<Signal> {
    signal(SignalKind::hangup()).context("listening for SIGHUP")
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|error| unusable("tls.certificate", certificate, "certificate", &error))?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("tls.key", key, "private key", &error))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(_) => anyhow!("tls.key is not the key of tls.certificate"),
        Error::InvalidCertificate(_) => anyhow!("tls.certificate holds something that is no certificate"),
        _ => anyhow!("tls.key is of a kind that is not supported"),
    })
}

/// Says what is wrong with a file. The error's own text may quote a line of it.
fn unusable(setting: &str, path: &Path, content: &str, error: &pem::Error) -> anyhow::Error {
    let why = match error {
        pem::Error::Io(error) => error.kind().to_string(),
        pem::Error::NoItemsFound => format!("it holds no {content}"),
        _ => "it is not PEM".to_owned(),
    };
    anyhow!("{setting}: the file {} can't be used: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A certificate and its key, as PEM.
    fn issue() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn write(directory: &TempDir, certificate: &str, key: &str) -> Tls {
        let [certificate_file, key_file] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
        fs::write(&certificate_file, certificate).expect("it can be written");
        fs::write(&key_file, key).expect("it can be written");
        Tls { certificate: Some(certificate_file), key: Some(key_file) }
    }

    fn refusal(certificate: &str, key: &str) -> String {
        let directory = TempDir::new().expect("a directory");
        let loaded = Certificate::load(&write(&directory, certificate, key));
        let text = format!("{:#}", loaded.expect_err("it has to be refused"));
        text.replace(directory.path().to_str().expect("text"), "")
    }

    #[test]
    fn files_that_are_no_good_are_refused_without_being_shown() {
        let (certificate, key) = issue();
        let (_, strange) = issue();
        let cut = &key[..key.len() / 2];
        let marred = key.replace("-----BEGIN", "-----BEGUN");
        for (certificate, key, expected) in [
            ("", key.as_str(), "tls.certificate: the file /cert.pem can't be used: it holds no certificate"),
            ("hunter2", &key, "tls.certificate: the file /cert.pem can't be used: it holds no certificate"),
            (&certificate, "", "tls.key: the file /key.pem can't be used: it holds no private key"),
            (&certificate, &marred, "tls.key: the file /key.pem can't be used: it holds no private key"),
            (&certificate, cut, "tls.key: the file /key.pem can't be used: it is not PEM"),
            (&certificate, &certificate, "tls.key: the file /key.pem can't be used: it holds no private key"),
            (&certificate, &strange, "tls.key is not the key of tls.certificate"),
        ] {
            assert_eq!(refusal(certificate, key), expected);
        }
        let missing = Tls { certificate: Some("/nonexistent".into()), key: Some("/nonexistent".into()) };
        let text = format!("{:#}", Certificate::load(&missing).expect_err("there is no file"));
        assert_eq!(text, "tls.certificate: the file /nonexistent can't be used: entity not found");
    }

    #[test]
    fn a_reload_takes_the_new_certificate_or_keeps_the_old() {
        let directory = TempDir::new().expect("a directory");
        let (old, new) = (issue(), issue());
        let shown =
            |certificate: &Certificate| certificate.current.read().expect("not poisoned").cert.clone();
        let settings = write(&directory, &old.0, &old.1);
        let certificate = Certificate::load(&settings).expect("it is good").expect("it is named");
        let first = shown(&certificate);

        write(&directory, &new.0, &old.1);
        assert!(certificate.reload().is_err());
        assert_eq!(shown(&certificate), first);
        write(&directory, &new.0, &new.1);
        certificate.reload().expect("it is good");
        assert_ne!(shown(&certificate), first);
    }

    #[test]
    fn without_files_there_is_no_tls() {
        let nothing = Tls { certificate: None, key: None };
        assert!(Certificate::load(&nothing).expect("nothing is wrong").is_none());
    }
}
