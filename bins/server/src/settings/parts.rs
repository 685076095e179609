//! The settings of the parts, out of those of the whole.

use std::net::SocketAddr;

use super::{Ingestion, Registration, Server, Settings, Tls};

impl Settings {
    /// Those of the HTTP surface.
    pub(crate) fn api(&self) -> pulsestream_api::Settings {
        let server = &self.server;
        pulsestream_api::Settings {
            max_body_bytes: server.max_body,
            body_timeout: server.body_timeout,
            max_body_bytes_in_flight: server.max_body_in_flight,
            max_requests_in_flight: server.max_requests_in_flight,
            max_lag: server.max_lag,
            max_exports: server.max_exports,
            key_cache_life: self.auth.key_cache_life,
            ready_queue_depth: self.ingestion.ready_queue_depth,
            public_metrics: server.public_metrics && server.operations_bind.is_none(),
            public_readiness_details: server.operations_bind.is_none(),
            trusted_proxies: server.trusted_proxies.iter().copied().collect(),
            max_connections_per_address: server.max_connections_per_address,
            uncapped_networks: server.uncapped_networks.iter().copied().collect(),
            allowed_origins: self.cors.allowed_origins.clone(),
            registration: match self.auth.registration {
                Registration::Open => pulsestream_api::Registration::Open,
                Registration::Invite => pulsestream_api::Registration::Invite,
                Registration::Closed | Registration::Auto => pulsestream_api::Registration::Closed,
            },
            max_rate_limit_per_minute: u32::try_from(self.auth.max_rate_limit_per_minute).unwrap_or(u32::MAX),
            public_url: server.public_url().unwrap_or_default(),
        }
    }
}

impl Settings {
    /// Who may make a tenant when nobody said so: anybody on a first try, which is on the embedded database and for
    /// this host alone; else nobody.
    pub(super) fn registration(&self) -> Registration {
        match self.auth.registration {
            Registration::Auto => {
                let is_embedded = self.database.url.reveal().is_none();
                let is_local = self.server.bind.ip().to_canonical().is_loopback();
                if is_embedded && is_local { Registration::Open } else { Registration::Closed }
            }
            said => said,
        }
    }

    /// Whether anybody who reaches the listener from elsewhere may make a tenant.
    pub(crate) fn lets_strangers_register(&self, address: SocketAddr) -> bool {
        self.auth.registration == Registration::Open && !address.ip().to_canonical().is_loopback()
    }
}

impl Server {
    /// Where people reach the service, without a slash at the end, when that was said.
    pub(crate) fn public_url(&self) -> Option<String> {
        Some(self.public_url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty())
    }

    /// Whether others than this host get to the listener without a proxy that is known of.
    pub(crate) fn is_public(&self, address: SocketAddr) -> bool {
        !address.ip().to_canonical().is_loopback() && self.trusted_proxies.is_empty()
    }
}

impl Tls {
    /// How addresses of the server begin.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.certificate.is_some() { "https" } else { "http" }
    }
}

impl Settings {
    /// Those of the store at this URL.
    pub(crate) fn store(&self, url: String) -> pulsestream_storage::Settings {
        let database = &self.database;
        pulsestream_storage::Settings {
            ingest_connections: database.ingest_connections,
            query_connections: database.query_connections,
            bookkeeping_connections: database.bookkeeping_connections,
            acquire_timeout: database.acquire_timeout,
            ingest_timeout: database.ingest_timeout,
            query_timeout: database.query_timeout,
            text_index: self.search.text_index,
            ..pulsestream_storage::Settings::new(url)
        }
    }
}

impl Ingestion {
    /// Those of the ingestion service.
    pub(crate) fn service(&self) -> pulsestream_ingestion::Settings {
        pulsestream_ingestion::Settings {
            lanes: self.lanes,
            group_events: self.group_events,
            group_bytes: self.group_bytes,
            queue_requests: self.queue_requests,
            max_wait: self.max_wait,
            direct_events: self.direct_events,
            direct_requests: self.direct_requests,
            max_batch_events: self.max_batch_events,
            ..pulsestream_ingestion::Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Registration, load};

    #[test]
    fn what_others_reach_without_a_proxy_is_public() {
        let server = |proxies: &str| {
            let variable = ("PULSESTREAM_SERVER__TRUSTED_PROXIES".to_owned(), proxies.to_owned());
            load(None, [variable]).expect("it is good").server
        };
        for (address, public) in [
            ("127.0.0.1:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.1:1", true),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(server("").is_public(address), public, "{address}");
            assert!(!server("10.0.0.9").is_public(address), "{address}");
        }
    }

    #[test]
    fn strangers_may_register_on_a_first_try_alone_unless_it_is_said() {
        let (postgres, sqlite) = (("DATABASE_URL", "postgres://db/x"), ("DATABASE_URL", "sqlite:///x.db"));
        let (everywhere, here) = (("PULSESTREAM_BIND", "0.0.0.0:80"), ("PULSESTREAM_BIND", "[::1]:80"));
        let said = |value| ("PULSESTREAM_AUTH__REGISTRATION", value);
        for (variables, expected) in [
            (&[][..], Registration::Open),
            (&[here], Registration::Open),
            (&[everywhere], Registration::Closed),
            (&[postgres], Registration::Closed),
            (&[sqlite], Registration::Closed),
            (&[postgres, everywhere], Registration::Closed),
            (&[everywhere, said("auto")], Registration::Closed),
            (&[everywhere, said("open")], Registration::Open),
            (&[postgres, said("open")], Registration::Open),
            (&[said("invite")], Registration::Invite),
            (&[said("closed")], Registration::Closed),
        ] {
            let all = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            assert_eq!(load(None, all).expect("it is good").auth.registration, expected, "{variables:?}");
        }
    }

    #[test]
    fn strangers_register_where_they_get_to_and_it_is_open() {
        let with = |value: &str| {
            let variable = ("PULSESTREAM_AUTH__REGISTRATION".to_owned(), value.to_owned());
            load(None, [variable]).expect("it is good")
        };
        let (here, anywhere) = ("127.0.0.1:1".parse().unwrap(), "[::]:1".parse().unwrap());
        assert!(with("open").lets_strangers_register(anywhere));
        assert!(!with("open").lets_strangers_register(here));
        assert!(!with("invite").lets_strangers_register(anywhere));
    }

    #[test]
    fn an_address_for_operations_takes_them_off_the_public_one() {
        let variable = ("PULSESTREAM_SERVER__OPERATIONS_BIND".to_owned(), "127.0.0.1:9000".to_owned());
        let api = load(None, [variable]).expect("it is good").api();
        assert!(!api.public_metrics && !api.public_readiness_details);
    }

    #[test]
    fn the_defaults_are_those_of_the_parts() {
        let settings = load(None, []).expect("the defaults are good");
        let own = pulsestream_ingestion::Settings::default();
        assert_eq!(format!("{:?}", settings.ingestion.service()), format!("{own:?}"));
        let own = pulsestream_api::Settings::default();
        assert_eq!(format!("{:?}", settings.api()), format!("{own:?}"));
        let url = "sqlite:///somewhere";
        assert_eq!(settings.store(url.to_owned()), pulsestream_storage::Settings::new(url));
    }
}
