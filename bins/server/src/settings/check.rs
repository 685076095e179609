//! What each value may be. `config.default.toml` says the same in words.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Settings,
    units::{show_duration, show_size},
};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const TIB: usize = 1 << 40;

/// A value that is not allowed: its key, and the rule that it breaks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) key: &'static str,
    pub(super) rule: String,
}

/// Checks every value.
pub(super) fn check(settings: &Settings) -> Result<(), Broken> {
    let Settings {
        server,
        tls,
        cors: _,
        database,
        search: _,
        redis,
        ingestion,
        auth,
        alerting,
        smtp,
        jobs,
        log,
    } = settings;

    let url = Some(server.public_url.as_str()).filter(|url| !url.is_empty());
    scheme("server.public_url", url, &["http://", "https://"])?;
    count("server.workers", server.workers, 0..=512)?;
    count("server.max_connections", server.max_connections, 1..=1_000_000)?;
    count("server.max_connections_per_address", server.max_connections_per_address, 1..=1_000_000)?;
    time("server.keep_alive", server.keep_alive, seconds(1)..=seconds(3_600))?;
    time("server.header_timeout", server.header_timeout, seconds(1)..=seconds(300))?;
    time("server.body_timeout", server.body_timeout, seconds(1)..=seconds(3_600))?;
    time("server.disconnect_timeout", server.disconnect_timeout, millis(100)..=seconds(60))?;
    size("server.max_body", server.max_body, KIB..=GIB)?;
    size("server.max_body_in_flight", server.max_body_in_flight, server.max_body..=TIB)?;
    count("server.max_requests_in_flight", server.max_requests_in_flight, 1..=1_000_000)?;
    time("server.max_lag", server.max_lag, millis(10)..=seconds(60))?;
    count("server.max_exports", server.max_exports, 1..=1_000)?;
    time("server.drain_delay", server.drain_delay, Duration::ZERO..=seconds(300))?;
    time("server.finish_timeout", server.finish_timeout, millis(100)..=seconds(600))?;

    match (&tls.certificate, &tls.key) {
        (Some(_), None) => return Err(alone("tls.certificate", "tls.key")),
        (None, Some(_)) => return Err(alone("tls.key", "tls.certificate")),
        (None, None) | (Some(_), Some(_)) => {}
    }

    scheme("database.url", database.url.reveal(), &["postgres://", "postgresql://", "sqlite://"])?;
    if database.data_dir.as_os_str().is_empty() {
        return Err(Broken { key: "database.data_dir", rule: "must be a path".to_owned() });
    }
    count("database.ingest_connections", database.ingest_connections as usize, 1..=100)?;
    count("database.query_connections", database.query_connections as usize, 1..=500)?;
    count("database.bookkeeping_connections", database.bookkeeping_connections as usize, 1..=100)?;
    time("database.acquire_timeout", database.acquire_timeout, millis(100)..=seconds(60))?;
    time("database.ingest_timeout", database.ingest_timeout, millis(100)..=seconds(300))?;
    time("database.query_timeout", database.query_timeout, millis(100)..=seconds(3_600))?;

    scheme("redis.url", redis.url.reveal(), &["redis://", "redis+unix://", "unix://"])?;

    count("ingestion.lanes", ingestion.lanes, 1..=64)?;
    count("ingestion.group_events", ingestion.group_events, 1..=2_000)?;
    size("ingestion.group_bytes", ingestion.group_bytes, 64 * KIB..=256 * MIB)?;
    count("ingestion.queue_requests", ingestion.queue_requests, 1..=1_000_000)?;
    time("ingestion.max_wait", ingestion.max_wait, millis(10)..=seconds(60))?;
    count("ingestion.direct_events", ingestion.direct_events, 1..=2_000)?;
    count("ingestion.direct_requests", ingestion.direct_requests, 1..=100_000)?;
    count("ingestion.max_batch_events", ingestion.max_batch_events, 1..=10_000)?;
    count("ingestion.ready_queue_depth", ingestion.ready_queue_depth, 1..=1_000_000)?;

    if auth.secret_key.reveal().is_some_and(|secret| secret.len() < 32) {
        return Err(Broken { key: "auth.secret_key", rule: "must have at least 32 bytes".to_owned() });
    }
    count("auth.max_rate_limit_per_minute", auth.max_rate_limit_per_minute, 1..=4_000_000_000)?;
    time("auth.key_cache_life", auth.key_cache_life, Duration::ZERO..=seconds(5))?;

    time("alerting.ingest_delay", alerting.ingest_delay, Duration::ZERO..=seconds(300))?;
    if alerting.secret_key.reveal().is_some_and(|secret| secret.len() < 32) {
        return Err(Broken { key: "alerting.secret_key", rule: "must have at least 32 bytes".to_owned() });
    }
    count("alerting.letters_per_day", alerting.letters_per_day as usize, 0..=1_000_000)?;
    count("alerting.max_rules", alerting.max_rules as usize, 1..=100_000)?;

    if !smtp.host.is_empty() && smtp.from.is_empty() {
        return Err(alone("smtp.host", "smtp.from"));
    }
    match (smtp.user.is_empty(), smtp.password.reveal()) {
        (true, Some(_)) => return Err(alone("smtp.password", "smtp.user")),
        (false, None) => return Err(alone("smtp.user", "smtp.password")),
        (true, None) | (false, Some(_)) => {}
    }

    count("jobs.workers", jobs.workers as usize, 1..=64)?;
    time("jobs.lease", jobs.lease, seconds(5)..=seconds(600))?;
    time("jobs.poll_interval", jobs.poll_interval, millis(50)..=seconds(60))?;

    if crate::telemetry::filter(&log.filter).is_err() {
        let rule = "must be a level such as info, or levels by module such as info,pulsestream_api=debug";
        return Err(Broken { key: "log.filter", rule: rule.to_owned() });
    }
    Ok(())
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn count(key: &'static str, value: usize, allowed: RangeInclusive<usize>) -> Result<(), Broken> {
    within(key, &value, &allowed, usize::to_string)
}

fn time(key: &'static str, value: Duration, allowed: RangeInclusive<Duration>) -> Result<(), Broken> {
    within(key, &value, &allowed, |time| show_duration(*time))
}

fn size(key: &'static str, value: usize, allowed: RangeInclusive<usize>) -> Result<(), Broken> {
    within(key, &value, &allowed, |bytes| show_size(*bytes))
}

fn within<T: PartialOrd>(
    key: &'static str,
    value: &T,
    allowed: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<(), Broken> {
    if allowed.contains(value) {
        return Ok(());
    }
    Err(Broken { key, rule: format!("must be from {} to {}", show(allowed.start()), show(allowed.end())) })
}

/// One of two that make no sense alone.
fn alone(key: &'static str, missing: &str) -> Broken {
    Broken { key, rule: format!("is of no use without {missing}") }
}

fn scheme(key: &'static str, url: Option<&str>, allowed: &[&str]) -> Result<(), Broken> {
    match url {
        Some(url) if !allowed.iter().any(|scheme| url.starts_with(scheme)) => {
            Err(Broken { key, rule: format!("must start with {}", allowed.join(" or ")) })
        }
        _ => Ok(()),
    }
}
