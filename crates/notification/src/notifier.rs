//! One attempt through any channel.

use std::sync::Arc;

use bytes::Bytes;
use pulsestream_domain::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use tokio::time::Instant;

use crate::{
    Attempt, Channel, Destination, DestinationError, Letter, MailError, Mailer, Notice, OutboundPolicy,
    Outcome, Reason, Recipient, Resolver, RoutingKey, SigningSecrets, SmtpAnswer, Timeouts, body,
    outbound::{HttpClient, Post},
    text,
};

/// Where PagerDuty takes events.
pub const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// Sends notices. One for the whole process: it counts what is under way per host.
#[derive(Debug)]
pub struct Notifier {
    http: HttpClient,
    pagerduty: Destination,
    mailer: Option<Arc<Mailer>>,
}

/// What a [`Notifier`] is made of.
#[derive(Clone, Debug)]
pub struct NotifierSettings {
    /// What may be reached.
    pub policy: OutboundPolicy,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// Certificate authorities to trust in addition to the public ones, in DER.
    pub extra_roots: Vec<Vec<u8>>,
    /// Where PagerDuty takes events: [`PAGERDUTY_URL`], or the European service region's. The policy applies
    /// to it.
    pub pagerduty_url: String,
}

/// The public internet by https, 5 s to connect and 15 s in total.
impl Default for NotifierSettings {
    fn default() -> Self {
        Self {
            policy: OutboundPolicy::default(),
            timeouts: Timeouts::default(),
            extra_roots: Vec::new(),
            pagerduty_url: PAGERDUTY_URL.to_owned(),
        }
    }
}

/// The settings make no sense.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A certificate is none.
    #[error("a certificate authority can't be read")]
    Certificate(#[source] rustls::Error),
    /// The mail server's name, or a certificate.
    #[error("the mail server can't be set up")]
    Mail(#[source] lettre::transport::smtp::Error),
    /// The HTTP client.
    #[error("the HTTP client can't be set up")]
    Http(#[source] reqwest::Error),
    /// The URL of PagerDuty.
    #[error("the URL of PagerDuty is not allowed")]
    PagerDuty(#[source] DestinationError),
}

impl Notifier {
    /// Prepares to send. `mailer` is `None` where no mail server is set up: e-mail channels then fail.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn new(
        settings: NotifierSettings,
        resolver: Arc<dyn Resolver>,
        mailer: Option<Arc<Mailer>>,
    ) -> Result<Self, BuildError> {
        let pagerduty =
            Destination::parse(&settings.pagerduty_url, &settings.policy).map_err(BuildError::PagerDuty)?;
        let tls = tls(settings.extra_roots)?;
        let http = HttpClient::new(Arc::new(settings.policy), settings.timeouts, tls, resolver)?;
        Ok(Self { http, pagerduty, mailer })
    }

    /// Makes one attempt to send a notice. Never takes longer than the total time, and never fails otherwise
    /// than by its outcome. `now` is the time of the attempt.
    pub async fn attempt(&self, channel: &Channel, notice: &Notice, now: Timestamp) -> Attempt {
        let deadline = self.http.deadline();
        match channel {
            Channel::Webhook { destination, format, secrets, headers } => {
                let body = body::group(notice, *format);
                let mut headers = headers.to_map();
                headers.extend(signed(notice, secrets, now, &body));
                let post = Post { destination, headers, body };
                self.http.post(post, deadline, now).await
            }
            Channel::Slack { destination } => {
                let post = Post { destination, headers: HeaderMap::new(), body: body::slack(notice) };
                self.http.post(post, deadline, now).await
            }
            Channel::PagerDuty { routing_key } => self.page(routing_key, notice, deadline, now).await,
            Channel::Email { to } => self.mail(to, notice).await,
            Channel::Log => log(notice),
        }
    }

    /// One event per alert, in one attempt. Events that were taken before one failed are sent again by the
    /// next attempt; their key makes PagerDuty see the same incident.
    async fn page(
        &self,
        routing_key: &RoutingKey,
        notice: &Notice,
        deadline: Instant,
        now: Timestamp,
    ) -> Attempt {
        let start = Instant::now();
        let mut worst: Option<Attempt> = None;
        for alert in &notice.alerts {
            let body = body::pagerduty(notice, alert, routing_key);
            let post = Post { destination: &self.pagerduty, headers: HeaderMap::new(), body };
            let attempt = self.http.post(post, deadline, now).await;
            let goes_on = matches!(attempt.outcome, Outcome::Delivered | Outcome::Failed { .. });
            // One event that is refused must not keep the others from being sent.
            let failed_before = worst.as_ref().is_some_and(|worst| worst.outcome != Outcome::Delivered);
            if !(failed_before && goes_on) {
                worst = Some(attempt);
            }
            if !goes_on {
                break;
            }
        }
        let nothing = Attempt {
            outcome: Outcome::Delivered,
            status: None,
            duration: start.elapsed(),
            excerpt: String::new(),
        };
        Attempt { duration: start.elapsed(), ..worst.unwrap_or(nothing) }
    }

    async fn mail(&self, to: &Recipient, notice: &Notice) -> Attempt {
        let start = Instant::now();
        let (outcome, answer) = match &self.mailer {
            None => (Outcome::Failed { reason: Reason::NotConfigured }, None),
            Some(mailer) => {
                let content = body::letter(notice);
                let letter = Letter {
                    id: notice.id,
                    at: notice.occurred_at,
                    to,
                    subject: &content.subject,
                    text: &content.text,
                    html: Some(&content.html),
                };
                match mailer.send(&letter).await {
                    Ok(answer) => (Outcome::Delivered, Some(answer)),
                    Err(error) => outcome_of_mail_error(error),
                }
            }
        };
        let (status, excerpt) = answer.map(|answer| (answer.status, answer.excerpt)).unwrap_or_default();
        Attempt { outcome, status, duration: start.elapsed(), excerpt }
    }
}

/// The headers of Standard Webhooks.
fn signed(notice: &Notice, secrets: &SigningSecrets, now: Timestamp, body: &Bytes) -> HeaderMap {
    let value = |text: String| HeaderValue::from_str(&text).expect("digits, hyphens and base64");
    HeaderMap::from_iter([
        (HeaderName::from_static("webhook-id"), value(notice.id.to_string())),
        (HeaderName::from_static("webhook-timestamp"), value(now.as_secs().to_string())),
        (HeaderName::from_static("webhook-signature"), value(secrets.sign(notice.id, now, body))),
    ])
}

fn outcome_of_mail_error(error: MailError) -> (Outcome, Option<SmtpAnswer>) {
    let retry = Outcome::retry;
    match error {
        MailError::Busy => (retry(Reason::HostBusy), None),
        MailError::Unreachable(_) => (retry(Reason::Unreachable), None),
        MailError::Tls(_) => (retry(Reason::TlsFailed), None),
        MailError::NotAuthenticated(answer, _) => (retry(Reason::NotAuthenticated), Some(answer)),
        MailError::Deferred(answer) => (retry(Reason::BadStatus), Some(answer)),
        MailError::Refused(answer) => (Outcome::Failed { reason: Reason::Refused }, Some(answer)),
        MailError::TimedOut => (retry(Reason::TimedOut), None),
        MailError::ConnectionLost(_) => (retry(Reason::ConnectionLost), None),
    }
}

/// The log channel. It can't fail.
fn log(notice: &Notice) -> Attempt {
    let start = Instant::now();
    tracing::info!(
        notice.id = %notice.id,
        notice.status = notice.status().as_str(),
        notice.receiver = %text::one_line(&notice.receiver),
        rule.id = %notice.rule.id,
        rule.name = %text::one_line(&notice.rule.name),
        alert.count = notice.alert_count(),
        alert.title = %text::one_line(notice.alerts.first().map_or("", |alert| &alert.title)),
        "a rule gave notice"
    );
    Attempt { outcome: Outcome::Delivered, status: None, duration: start.elapsed(), excerpt: String::new() }
}

/// The public certificate authorities and the operator's own. The provider is named here, so nothing has to
/// be installed for the process.
pub(crate) fn tls(extra_roots: Vec<Vec<u8>>) -> Result<ClientConfig, BuildError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for root in extra_roots {
        roots.add(CertificateDer::from(root)).map_err(BuildError::Certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has every safe version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
