//! The settings of the parts, out of those of the whole.

use super::{Database, Ingestion, Registration, Settings};

impl Settings {
    /// Those of the HTTP surface.
    pub(crate) fn api(&self) -> pulsestream_api::Settings {
        let server = &self.server;
        pulsestream_api::Settings {
            max_body_bytes: server.max_body,
            body_timeout: server.body_timeout,
            max_body_bytes_in_flight: server.max_body_in_flight,
            max_requests_in_flight: server.max_requests_in_flight,
            max_exports: server.max_exports,
            key_cache_life: self.auth.key_cache_life,
            ready_queue_depth: self.ingestion.ready_queue_depth,
            public_metrics: server.public_metrics,
            registration: match self.auth.registration {
                Registration::Open => pulsestream_api::Registration::Open,
                Registration::Invite => pulsestream_api::Registration::Invite,
                Registration::Closed => pulsestream_api::Registration::Closed,
            },
            max_rate_limit_per_minute: u32::try_from(self.auth.max_rate_limit_per_minute).unwrap_or(u32::MAX),
            public_url: self.auth.public_url.trim_end_matches('/').to_owned(),
        }
    }
}

impl Database {
    /// Those of the store at this URL.
    pub(crate) fn store(&self, url: String) -> pulsestream_storage::Settings {
        pulsestream_storage::Settings {
            ingest_connections: self.ingest_connections,
            query_connections: self.query_connections,
            bookkeeping_connections: self.bookkeeping_connections,
            acquire_timeout: self.acquire_timeout,
            ingest_timeout: self.ingest_timeout,
            query_timeout: self.query_timeout,
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
            direct_events: self.direct_events,
            direct_requests: self.direct_requests,
            max_batch_events: self.max_batch_events,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::load;

    #[test]
    fn the_defaults_are_those_of_the_parts() {
        let settings = load(None, []).expect("the defaults are good");
        let own = pulsestream_ingestion::Settings::default();
        assert_eq!(format!("{:?}", settings.ingestion.service()), format!("{own:?}"));
        let own = pulsestream_api::Settings::default();
        assert_eq!(format!("{:?}", settings.api()), format!("{own:?}"));
        let url = "sqlite:///somewhere";
        assert_eq!(settings.database.store(url.to_owned()), pulsestream_storage::Settings::new(url));
    }
}
