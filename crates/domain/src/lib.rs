//! What an event, a tenant, a key and a search *are*.
//!
//! Everything here is a value or a rule: it parses, compares and matches, and it does no IO, runs no task
//! and reads no clock. Time, randomness and storage come in as arguments or through the traits in
//! [`ports`], which are the few things that an embedder may replace.
//!
//! | module | holds |
//! |---|---|
//! | [`event`] | what a client may send, the rules it is held to, and what is stored |
//! | [`search`] | one query language for search, export and live streams, with its cursor |
//! | [`tenant`] | whose events they are, and how many per minute |
//! | [`api_key`] | the format of a key, what is kept of it, what it may do |
//! | [`identity`] | people, their roles and sessions, and the book of what was done |
//! | [`ports`] | where events become durable, what time it is |
//!
//! What it deliberately lacks: SQL, HTTP, JSON of whole answers. Those live in `storage` and `api`.

pub mod api_key;
pub mod event;
pub mod identity;
pub mod ports;
pub mod search;
pub mod tenant;
mod timestamp;

pub use timestamp::{ParseTimestampError, Timestamp};
