//! The ingestion service: what happens to an event between its arrival and its answer.
//!
//! ```text
//! body ─ split ─ parse and validate ─ admit ─ commit in a group ─ judge ─ receipt
//!         │            │                │             │             │
//!      Unreadable   Rejected        Throttled       Failed     Accepted, Duplicate, Conflict
//! ```
//!
//! Every event offered gets exactly one [`Outcome`], in the order it was offered. `Accepted` and
//! `Duplicate` are given only after the store has committed.
//!
//! This crate knows neither HTTP nor SQL. Bring a store ([`EventStore`](pulsestream_domain::ports)), a
//! limiter, a clock and a source of ids:
//!
//! ```
//! use std::sync::Arc;
//! use pulsestream_domain::tenant::{DuplicatePolicy, Limits, Tenant, TenantId};
//! use pulsestream_domain::Timestamp;
//! use pulsestream_ingestion::{Ingestion, Outcome, Settings, SystemClock, SystemIds};
//! use pulsestream_rate_limit::LocalLimiter;
//! use pulsestream_testing::memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ingestion = Ingestion::new(
//!     Arc::new(MemoryStore::default()), // or pulsestream_storage::Store, or your own
//!     Arc::new(LocalLimiter::default()),
//!     Arc::new(SystemClock),
//!     Arc::new(SystemIds::default()),
//!     Settings::default(),
//! );
//! let tenant = Arc::new(Tenant {
//!     id: TenantId(uuid::Uuid::from_u128(1)),
//!     name: "Example".to_owned(),
//!     slug: "example".parse()?,
//!     limits: Limits::per_minute(6_000),
//!     duplicate_policy: DuplicatePolicy::Strict,
//!     created_at: Timestamp::EPOCH,
//! });
//! let event = serde_json::json!({
//!     "event_id": "order-4711",
//!     "event_type": "user_action",
//!     "title": "Order placed",
//!     "source": {"service": "shop", "endpoint": "/orders", "method": "POST"},
//!     "payload": {"amount": 12.50},
//! });
//!
//! let first = ingestion.ingest_events(&tenant, &[&event]).await?;
//! assert!(matches!(first.outcomes[0].outcome, Outcome::Accepted { .. }));
//!
//! let again = ingestion.ingest_events(&tenant, &[&event]).await?;
//! assert!(matches!(again.outcomes[0].outcome, Outcome::Duplicate { .. }));
//! # Ok(())
//! # }
//! ```
//!
//! | file | does |
//! |---|---|
//! | `body` | splits a body into events without looking into them |
//! | `ingestion` | the service: offers each event to the rules, the rest to the committer |
//! | `committer` | admits, stores and judges one group of events |
//! | `lanes` | collects what waits into groups |
//! | `large_bodies` | threads of low priority for bodies of 256 KiB and more |
//! | `outcome` | what each event is answered |

mod body;
mod committer;
mod idempotency_key;
mod ingestion;
mod lanes;
mod large_bodies;
mod outcome;
mod rate;
mod system;

pub use body::{Format, Unreadable};
pub use idempotency_key::{IdempotencyKey, ParseIdempotencyKeyError};
pub use ingestion::{Ingestion, LARGE_BODY_BYTES, Options, Settings, Vitals};
pub use large_bodies::LargeBodies;
pub use outcome::{Counts, EventOutcome, Failure, Outcome, Receipt};
pub use system::{SystemClock, SystemIds};
