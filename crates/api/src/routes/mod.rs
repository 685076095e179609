//! One file per route. Each says what it takes, what it does, and how it is documented.

pub(crate) mod alerting;
pub(crate) mod auth;
pub(crate) mod ingestion;
pub(crate) mod service;
