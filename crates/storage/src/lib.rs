//! Everything that is kept, in PostgreSQL or SQLite. The only crate that knows SQL.
//!
//! A [`Store`] is one database. It is the [`EventStore`](pulsestream_domain::ports::EventStore) that ingestion
//! writes through, and it has a method for each thing that is read or changed beside that.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use pulsestream_storage::{Settings, Store};
//!
//! let store = Store::connect(&Settings::new("sqlite://pulsestream.db")).await?;
//! store.migrate().await?;
//! # Ok(()) }
//! ```
//!
//! # What holds on both databases
//!
//! - **Same question, same answer.** One builder makes the SQL of a search from a
//!   [`Filter`](pulsestream_domain::search::Filter), and a property test holds it to
//!   [`Filter::matches`](pulsestream_domain::search::Filter::matches) on each database.
//! - **Acknowledged is durable.** A PostgreSQL that may lose a commit is refused; SQLite flushes each one.
//! - **No answer claims too much.** An error says that nothing was stored, or that nobody knows; see
//!   [`StoreError`](pulsestream_domain::ports::StoreError).
//! - **Every call ends.** The database has a limit for each statement, and this crate one for the database.
//! - **No tenant sees another.** Every query of events takes a tenant; the few that look at all of them are
//!   in the modules `across_tenants`. On PostgreSQL, a tenant's rows are asked for under a role that sees no others
//!   ([`Store::has_wall`]).
//! - **A late worker changes nothing.** What is done under the lease of a job is conditional on it, in the
//!   same statement.
//!
//! # Decisions
//!
//! - Instants are integers (microseconds), UUIDs are native or 16 bytes, compared texts go by their bytes:
//!   all three sort alike on both databases.
//! - What an event holds beyond its columns is text, as it was sent. A binary JSON type reorders, rounds, and
//!   costs more to write.
//! - Words and tags are cut in `domain`, so both databases index the same terms: PostgreSQL as a `tsvector`
//!   with a GIN index, SQLite in an FTS5 table. A term starts with a piece of its tenant's id; the tenant id
//!   is compared as well. Where [`Settings::text_index`] says so, there is no index, and a search finds the same events
//!   more slowly.
//! - `SeaORM` does everything but the appending of events, which is one prepared statement per group, and
//!   what is done with many jobs at once.
//!
//! # What it deliberately lacks
//!
//! Validation (it is complete before an event gets here), limits, and retries of a whole call: those who call
//! know how long their own caller will wait.
//!
//! To add a searched column: a migration, a line in `entity/events.rs`, `row.rs` and both files in `append`,
//! and a condition in `search/filter.rs`.

mod across_tenants;
mod alerting;
mod append;
mod backup;
mod connect;
mod entity;
mod error;
mod events;
mod identity;
mod jobs;
mod keys;
mod lists;
mod open;
mod retention;
mod row;
mod search;
mod secrets;
mod settings;
mod stats;
mod store;
mod tenants;

pub use append::{INSERT as INSERT_ON_POSTGRES, TermVector};
pub use backup::{CopyError, Inventory, Snapshot, examine_copy, sqlite_file};
pub use identity::{AuditPosition, Refreshed, UpdateUserError, UserChange, UserPage, UserQuery};
pub use open::OpenError;
pub use search::MAX_PAGE_BYTES;
pub use settings::Settings;
pub use stats::Stats;
pub use store::{Database, Store};
pub use tenants::{CreateError, NewTenant, TenantChange};
