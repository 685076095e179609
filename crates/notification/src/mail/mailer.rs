//! One letter, one connection, always encrypted.

use std::{error::Error, fmt, time::Duration};

use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        self,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        extension::ClientId,
        response::Response,
    },
};
use pulsestream_domain::Timestamp;
use tokio::{net::TcpStream, time::timeout};
use uuid::Uuid;

use super::{Recipient, line_stream::LineStream};
use crate::{
    BuildError, Secret, Timeouts,
    causes::{causes, is_tls},
    outbound::Slots,
    text,
};

const CONNECTIONS: usize = 4;
const MAX_SUBJECT_CHARS: usize = 250;
/// How long a server that has accepted a letter may take to say good-bye.
const FAREWELL: Duration = Duration::from_millis(200);

/// Sends letters through one mail server. It belongs to the operator, so it may be anywhere, and the guard of
/// outbound destinations does not apply to it.
pub struct Mailer {
    settings: MailerSettings,
    sender: Mailbox,
    tls: TlsParameters,
    slots: Slots,
}

/// The mail server and how to use it.
#[derive(Clone, Debug)]
pub struct MailerSettings {
    /// The name of the server; its certificate has to be for it.
    pub host: String,
    /// Its port: usually 465 for implicit TLS, 587 for STARTTLS.
    pub port: u16,
    /// How the connection is encrypted. There is no way not to.
    pub encryption: SmtpEncryption,
    /// User name and password, when the server wants them.
    pub credentials: Option<(String, Secret)>,
    /// The address that letters come from.
    pub sender: Recipient,
    /// The name shown beside it.
    pub sender_name: String,
    /// How long a connection and a whole letter may take.
    pub timeouts: Timeouts,
    /// Certificate authorities to trust in addition to the public ones, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SmtpEncryption {
    /// From its first byte (RFC 8314).
    Implicit,
    /// By `STARTTLS` (RFC 3207). A server that does not offer it gets no letter.
    StartTls,
}

/// A letter to one person.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The same whenever this letter is sent again; its `Message-ID`.
    pub id: Uuid,
    /// Its date.
    pub at: Timestamp,
    /// Whom it is for.
    pub to: &'a Recipient,
    /// Its subject. Line breaks become spaces; what is too long is cut.
    pub subject: &'a str,
    /// What it says.
    pub text: &'a str,
    /// The same as HTML. Whoever writes it escapes it.
    pub html: Option<&'a str>,
}

/// What the server said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SmtpAnswer {
    /// The code of its reply, when it was one.
    pub status: Option<u16>,
    /// The reply: at most 1 KiB, on one line.
    pub excerpt: String,
}

/// Why a letter was not sent, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The connections that may be open at once are all in use. Nothing was sent.
    #[error("too many letters are under way")]
    Busy,
    /// No connection came about.
    #[error("the mail server can't be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// The connection could not be encrypted: no `STARTTLS`, or a certificate that is not trusted.
    #[error("the connection to the mail server can't be encrypted")]
    Tls(#[source] Option<smtp::Error>),
    /// It does not take our credentials.
    #[error("the mail server does not accept the credentials")]
    NotAuthenticated(SmtpAnswer, #[source] smtp::Error),
    /// It says no for now.
    #[error("the mail server asks to try again later")]
    Deferred(SmtpAnswer),
    /// It says no to this letter.
    #[error("the mail server refuses the letter")]
    Refused(SmtpAnswer),
    /// The time ran out. The letter may have been accepted.
    #[error("the mail server took too long")]
    TimedOut,
    /// The connection ended. The letter may have been accepted.
    #[error("the connection to the mail server was lost")]
    ConnectionLost(#[source] smtp::Error),
}

impl Mailer {
    /// Prepares to send. Does not connect.
    ///
    /// # Errors
    /// [`BuildError`] when the host or a certificate makes no sense.
    pub fn new(settings: MailerSettings) -> Result<Self, BuildError> {
        let mut tls =
            TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
        for root in &settings.extra_roots {
            tls = tls.add_root_certificate(Certificate::from_der(root.clone()).map_err(BuildError::Mail)?);
        }
        let tls = tls.build_rustls().map_err(BuildError::Mail)?;
        let name = text::cut(&text::one_line(&settings.sender_name), MAX_SUBJECT_CHARS);
        let sender = Mailbox::new((!name.is_empty()).then_some(name), settings.sender.address().clone());
        Ok(Self { settings, sender, tls, slots: Slots::new(CONNECTIONS) })
    }

    /// Sends a letter over a connection of its own.
    ///
    /// # Errors
    /// See [`MailError`]. After [`TimedOut`](MailError::TimedOut) and
    /// [`ConnectionLost`](MailError::ConnectionLost) the letter may arrive all the same; one that is sent
    /// again has the same `Message-ID`.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<SmtpAnswer, MailError> {
        let total = self.settings.timeouts.total;
        let wait = timeout(total, self.slots.take(&self.settings.host));
        let _slot = wait.await.map_err(|_| MailError::Busy)?;
        let message = self.message(letter);
        let sent = timeout(total, self.send_now(&message)).await;
        let (mut connection, answer) = sent.map_err(|_| MailError::TimedOut)??;
        // The letter is accepted; nothing that happens to the connection can change that.
        _ = timeout(FAREWELL, connection.abort()).await;
        Ok(answer)
    }

    async fn send_now(&self, message: &Message) -> Result<(AsyncSmtpConnection, SmtpAnswer), MailError> {
        let mut connection = self.connect().await?;
        if let Some((user, password)) = &self.settings.credentials {
            let credentials = Credentials::new(user.clone(), password.reveal().to_owned());
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&mechanisms, &credentials).await.map_err(not_authenticated)?;
        }
        let sent = connection.send(message.envelope(), &message.formatted()).await;
        let answer = SmtpAnswer::from_response(&sent.map_err(not_sent)?);
        Ok((connection, answer))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, MailError> {
        let MailerSettings { host, port, encryption, timeouts, sender, .. } = &self.settings;
        let hello = ClientId::Domain(sender.domain().to_owned());
        let server = (host.as_str(), *port);
        if *encryption == SmtpEncryption::Implicit {
            let (time, tls) = (Some(timeouts.connect), Some(self.tls.clone()));
            let connecting = AsyncSmtpConnection::connect_tokio1(server, time, &hello, tls, None);
            return connecting.await.map_err(not_connected);
        }
        let connecting = timeout(timeouts.connect, TcpStream::connect(server)).await;
        let stream = connecting
            .map_err(|_| MailError::TimedOut)?
            .map_err(|error| MailError::Unreachable(error.into()))?;
        let stream = Box::new(LineStream::new(stream));
        let mut connection =
            AsyncSmtpConnection::connect_with_transport(stream, &hello).await.map_err(not_connected)?;
        if !connection.can_starttls() {
            return Err(MailError::Tls(None));
        }
        connection.starttls(self.tls.clone(), &hello).await.map_err(|error| MailError::Tls(Some(error)))?;
        Ok(connection)
    }

    fn message(&self, letter: &Letter<'_>) -> Message {
        let subject = text::cut(&text::one_line(letter.subject), MAX_SUBJECT_CHARS);
        let seconds = u64::try_from(letter.at.as_secs()).unwrap_or(0);
        let builder = Message::builder()
            .from(self.sender.clone())
            .to(Mailbox::new(None, letter.to.address().clone()))
            .subject(subject)
            .date(std::time::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(format!("<{}@{}>", letter.id, self.settings.sender.domain())))
            // Nobody's holiday answers it (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let message = match letter.html {
            Some(html) => {
                let parts = MultiPart::alternative_plain_html(letter.text.to_owned(), html.to_owned());
                builder.multipart(parts)
            }
            None => builder.singlepart(SinglePart::plain(letter.text.to_owned())),
        };
        message.expect("it has a sender and a recipient, which is all that is asked for")
    }
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl SmtpAnswer {
    fn from_response(response: &Response) -> Self {
        let message: Vec<_> = response.message().collect();
        Self { status: Some(response.code().into()), excerpt: text::excerpt(message.join(" ").as_bytes()) }
    }

    fn from_error(error: &smtp::Error) -> Self {
        let reply = error.source().map(ToString::to_string).unwrap_or_default();
        Self { status: error.status().map(Into::into), excerpt: text::excerpt(reply.as_bytes()) }
    }
}

impl fmt::Display for SmtpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status} {}", self.excerpt),
            None => f.write_str(&self.excerpt),
        }
    }
}

fn not_connected(error: smtp::Error) -> MailError {
    match () {
        () if error.is_tls() || causes(&error).any(is_tls) => MailError::Tls(Some(error)),
        () if error.is_timeout() => MailError::TimedOut,
        () if error.status().is_some() => not_sent(error),
        () => MailError::Unreachable(error.into()),
    }
}

/// Credentials that are refused are the operator's mistake and can be put right, unlike a letter that is
/// refused.
fn not_authenticated(error: smtp::Error) -> MailError {
    if error.is_permanent() || error.is_client() {
        MailError::NotAuthenticated(SmtpAnswer::from_error(&error), error)
    } else {
        not_sent(error)
    }
}

fn not_sent(error: smtp::Error) -> MailError {
    match error.status().map(u16::from) {
        // What a server says that wants credentials first.
        Some(530 | 534 | 535 | 538) => MailError::NotAuthenticated(SmtpAnswer::from_error(&error), error),
        Some(500..) => MailError::Refused(SmtpAnswer::from_error(&error)),
        Some(_) => MailError::Deferred(SmtpAnswer::from_error(&error)),
        None if error.is_timeout() => MailError::TimedOut,
        None => MailError::ConnectionLost(error),
    }
}
