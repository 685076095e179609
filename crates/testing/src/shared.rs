//! One PostgreSQL and one Redis for all tests of a process, started when first asked for.
//!
//! Which server it is, the first of these that applies decides:
//!
//! 1. the one that `PULSESTREAM_TEST_POSTGRES_URL` or `PULSESTREAM_TEST_REDIS_URL` names;
//! 2. a private one, from the programs installed here;
//! 3. a container, with the cargo feature `docker`.
//!
//! Whichever it is, a test only ever touches its own [`FreshDatabase`](crate::databases::FreshDatabase) or
//! [`KeySpace`], so that a named server can hold other things as well: no other database is written to, and
//! no key without the prefix. The PostgreSQL user of a named server has to be allowed to create databases.
//!
//! Servers started here end with the process, however it ends. A named server may keep databases and keys
//! called `pulsestream_test_…` of a test process that was killed; they can be removed at any time.

use std::{any::Any, env, sync::OnceLock};

use anyhow::{Result, anyhow};

use crate::{databases::Databases, key_space::KeySpace, postgres::PostgresServer, redis::RedisServer};

/// Names the PostgreSQL to use: a URL with a user that may create databases.
pub const POSTGRES_URL: &str = "PULSESTREAM_TEST_POSTGRES_URL";
/// Names the Redis to use.
pub const REDIS_URL: &str = "PULSESTREAM_TEST_REDIS_URL";

/// The databases of the PostgreSQL of this process.
///
/// # Errors
/// When there is none to be had; every later call says so too.
pub fn databases() -> Result<&'static Databases> {
    static POSTGRES: OnceLock<Result<Shared<Databases>>> = OnceLock::new();
    let server = POSTGRES.get_or_init(|| {
        if let Some(url) = named(POSTGRES_URL) {
            return Ok(Shared::new(Databases::at(&url)?, ()));
        }
        let private = PostgresServer::start().map(|server| Shared::new(server.databases().clone(), server));
        #[cfg(feature = "docker")]
        let private = private.or_else(|missing| {
            let (url, container) = crate::containers::postgres().map_err(|error| error.context(missing))?;
            Ok(Shared::new(Databases::at(&url)?, container))
        });
        private
    });
    server.as_ref().map(|server| &server.access).map_err(|error| unavailable(POSTGRES_URL, error))
}

/// A fresh piece of the Redis of this process.
///
/// # Errors
/// When there is none to be had; every later call says so too.
pub fn key_space() -> Result<KeySpace> {
    static REDIS: OnceLock<Result<Shared<String>>> = OnceLock::new();
    let server = REDIS.get_or_init(|| {
        if let Some(url) = named(REDIS_URL) {
            return Ok(Shared::new(url, ()));
        }
        let private = RedisServer::start().map(|server| Shared::new(server.url(), server));
        #[cfg(feature = "docker")]
        let private = private.or_else(|missing| {
            let (url, container) = crate::containers::redis().map_err(|error| error.context(missing))?;
            Ok(Shared::new(url, container))
        });
        private
    });
    let server = server.as_ref().map_err(|error| unavailable(REDIS_URL, error))?;
    KeySpace::fresh_at(&server.access)
}

/// How to reach a server, and what keeps it running.
struct Shared<T> {
    access: T,
    _server: Box<dyn Any + Send + Sync>,
}

impl<T> Shared<T> {
    fn new(access: T, server: impl Send + Sync + 'static) -> Self {
        Self { access, _server: Box::new(server) }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no settings file to name a server in")]
fn named(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|url| !url.is_empty())
}

/// The error is kept for the next test that asks, so each gets a copy of its text.
fn unavailable(variable: &str, error: &anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}").context(format!("no server for the tests; install one or name one in {variable}"))
}
