//! The settings of what evaluates rules and tells people, out of those of the whole.

use anyhow::{Context, Result, ensure};
use pulsestream_alerting::DelivererSettings;
use pulsestream_notification::{
    MailerSettings, OutboundPolicy, PrivateDestinations, Secret, SmtpEncryption, Timeouts,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use url::{Host, Url};

use super::{Alerting, Jobs, Settings, Smtp, SmtpTls};
use crate::own_addresses;

impl Settings {
    /// Where notices may go.
    pub(crate) fn outbound_policy(&self) -> OutboundPolicy {
        let alerting = &self.alerting;
        let private = PrivateDestinations {
            networks: alerting.private_networks.clone(),
            ports: alerting.private_ports.clone(),
        };
        let bind = self.server.bind.ip();
        let mut policy = OutboundPolicy {
            allow_http: alerting.allow_http,
            private: alerting.allow_private_destinations.then_some(private),
            own_addresses: if bind.is_unspecified() { own_addresses::outgoing() } else { vec![bind] },
            own_names: Vec::new(),
        };
        // A name may lead to a proxy in front, whose address is not known here.
        let public_url = self.server.public_url().and_then(|url| Url::parse(&url).ok());
        match public_url.as_ref().and_then(Url::host) {
            Some(Host::Domain(name)) => policy.own_names.push(name.to_owned()),
            Some(Host::Ipv4(address)) => policy.own_addresses.push(address.into()),
            Some(Host::Ipv6(address)) => policy.own_addresses.push(address.into()),
            None => {}
        }
        policy
    }

    /// Those of what sends notices.
    pub(crate) fn deliverer(&self) -> DelivererSettings {
        DelivererSettings {
            letters_per_day: self.alerting.letters_per_day.into(),
            // No link rather than one to a loopback address, which leads a reader to their own machine.
            public_url: self.server.public_url(),
            policy: self.outbound_policy(),
        }
    }
}

impl Alerting {
    /// Those of what evaluates rules.
    pub(crate) fn evaluator(&self) -> pulsestream_alerting::Settings {
        let secs = self.ingest_delay.as_secs();
        pulsestream_alerting::Settings { ingest_delay_secs: u32::try_from(secs).unwrap_or(u32::MAX) }
    }
}

impl Smtp {
    /// Those of what sends mail; none without a server for it.
    ///
    /// # Errors
    /// When `smtp.from` is no address, or `smtp.certificate_authorities` holds something that is no certificate.
    pub(crate) fn mailer(&self) -> Result<Option<MailerSettings>> {
        if self.host.is_empty() {
            return Ok(None);
        }
        let password = self.password.reveal().unwrap_or_default();
        Ok(Some(MailerSettings {
            host: self.host.clone(),
            port: self.port,
            encryption: match self.tls {
                SmtpTls::Implicit => SmtpEncryption::Implicit,
                SmtpTls::Starttls => SmtpEncryption::StartTls,
            },
            credentials: (!self.user.is_empty()).then(|| (self.user.clone(), Secret::new(password))),
            sender: self.from.parse().context("smtp.from")?,
            sender_name: "PulseStream".to_owned(),
            timeouts: Timeouts::default(),
            extra_roots: self.authorities()?,
        }))
    }
}

impl Smtp {
    /// The authorities to trust besides the public ones, in DER.
    fn authorities(&self) -> Result<Vec<Vec<u8>>> {
        let Some(path) = &self.certificate_authorities else { return Ok(Vec::new()) };
        let certificates =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let certificates = certificates
            .with_context(|| format!("smtp.certificate_authorities: reading {}", path.display()))?;
        ensure!(
            !certificates.is_empty(),
            "smtp.certificate_authorities: no certificate in {}",
            path.display()
        );
        Ok(certificates.iter().map(|certificate| certificate.to_vec()).collect())
    }
}

impl Jobs {
    /// Those of all workers.
    pub(crate) fn service(&self) -> pulsestream_jobs::Settings {
        pulsestream_jobs::Settings {
            lease: self.lease,
            poll_interval: self.poll_interval,
            ..pulsestream_jobs::Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::load;

    fn with(pairs: &[(&str, &str)]) -> super::Settings {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(None, pairs).expect("the settings are good")
    }

    #[test]
    fn the_defaults_are_those_of_the_parts() {
        let settings = with(&[]);
        assert_eq!(settings.alerting.evaluator(), pulsestream_alerting::Settings::default());
        assert_eq!(settings.jobs.service(), pulsestream_jobs::Settings::default());
        let own = pulsestream_alerting::DelivererSettings::default();
        assert_eq!(settings.deliverer().letters_per_day, own.letters_per_day);
        let private = pulsestream_notification::PrivateDestinations::default();
        assert_eq!(settings.alerting.private_networks, private.networks);
        let policy = settings.outbound_policy();
        assert!(!policy.allow_http && policy.private.is_none());
        assert!(settings.smtp.mailer().is_ok_and(|mailer| mailer.is_none()));
    }

    #[test]
    fn notices_may_not_come_back_by_the_public_url() {
        let policy = |url| with(&[("PULSESTREAM_SERVER__PUBLIC_URL", url)]).outbound_policy();
        assert_eq!(policy("https://Events.Example:8443/").own_names, ["events.example"]);
        assert!(policy("https://203.0.113.9").own_addresses.contains(&[203, 0, 113, 9].into()));
        assert!(
            policy("http://[2001:db8::9]:80")
                .own_addresses
                .contains(&"2001:db8::9".parse().expect("it is one"))
        );
        assert!(policy("").own_names.is_empty());
    }

    #[test]
    fn private_ports_are_single_ones_and_ranges() {
        let policy = with(&[
            ("PULSESTREAM_ALERTING__ALLOW_PRIVATE_DESTINATIONS", "true"),
            ("PULSESTREAM_ALERTING__PRIVATE_PORTS", "8080, 9000-9100"),
        ])
        .outbound_policy();
        assert_eq!(policy.private.expect("it is allowed").ports, [8080..=8080, 9000..=9100]);
        let single = with(&[("PULSESTREAM_ALERTING__PRIVATE_PORTS", "8080")]);
        assert_eq!(single.alerting.private_ports, [8080..=8080]);
        for bad in ["0", "9-8", "x", "65536"] {
            let pair = ("PULSESTREAM_ALERTING__PRIVATE_PORTS".to_owned(), bad.to_owned());
            let refused = load(None, [pair]).expect_err("it has to be refused").to_string();
            assert!(refused.starts_with("alerting.private_ports must be a list of ports"), "{refused}");
        }
    }
}
