//! The whole surface in process, on a database of its own per test.

mod auth;
mod bodies;
mod credentials;
mod exports;
mod harness;
mod ingest;
mod limits;
mod reads;
mod service;
mod wire;
