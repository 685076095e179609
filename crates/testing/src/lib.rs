//! What the tests of this workspace share. Nothing that ships depends on it.
//!
//! | module | holds | feature |
//! |---|---|---|
//! | [`builders`] | tenants and events for tests that care about one thing of them | |
//! | [`clock`] | a clock that moves when told, ids that can be foretold | |
//! | [`contract`] | what every implementation of a port has to do, as assertions | |
//! | [`memory`] | a store and a queue without a database: the models that the real ones are compared with | |
//! | `postgres`, `redis` | private servers that a test may stop, pause and restart | `servers` |
//! | `databases`, `key_space` | a piece of a server that belongs to one test | `servers` |
//! | `shared` | one server of each kind for all tests of a process | `servers` |
//!
//! A backend that is missing makes its tests fail; none is ever skipped.
//!
//! ```
//! use std::time::Duration;
//!
//! use pulsestream_domain::{Timestamp, ports::Clock};
//! use pulsestream_testing::clock::FakeClock;
//!
//! let clock = FakeClock::at(Timestamp::from_secs(60));
//! clock.advance(Duration::from_secs(1));
//! assert_eq!(clock.now(), Timestamp::from_secs(61));
//! ```
//!
//! # Servers
//!
//! Most tests want a database or some keys that nobody else touches: see `shared`. A test that breaks the
//! server itself starts its own with `PostgresServer::start` or `RedisServer::start`. Those listen on a
//! Unix socket in a temporary directory, never on a port, and are gone together with the directory when
//! the fixture is dropped and also when the test process is killed.

pub mod builders;
pub mod clock;
pub mod contract;
pub mod memory;

#[cfg(feature = "servers")]
mod account;
#[cfg(feature = "servers")]
mod blocking;
#[cfg(feature = "docker")]
mod containers;
#[cfg(feature = "servers")]
pub mod databases;
#[cfg(feature = "servers")]
pub mod key_space;
#[cfg(feature = "servers")]
pub mod postgres;
#[cfg(feature = "servers")]
pub mod redis;
#[cfg(feature = "servers")]
mod server_process;
#[cfg(feature = "servers")]
pub mod shared;
#[cfg(feature = "servers")]
mod watchdog;
