//! Attempts against real listeners, on loopback addresses only.
//!
//! `127.0.0.2` stands for the public internet: the policies of these tests exempt it and nothing else.
//! Whatever is on `127.0.0.1` is private, and must not see a connection.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

mod answers;
mod certificates;
mod destinations;
mod guard;
mod log;
mod mail;
mod names;
mod notices;
mod pagerduty;
mod python;
mod receiver;
mod signatures;
mod tls;
