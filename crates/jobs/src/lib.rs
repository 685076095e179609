//! Durable background jobs: what has to be done later is done, whatever crashes.
//!
//! Jobs wait in a [`JobQueue`](pulsestream_domain::ports::JobQueue); [`Workers`] claim them, run their
//! [`Handler`]s and tell the queue what became of them. The queue is a table beside the data that causes the
//! jobs, so that a job exists if and only if its cause was committed.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//!
//! use pulsestream_domain::job::{JobId, JobKind, LeasedJob, NewJob, SYSTEM};
//! use pulsestream_domain::{Timestamp, ports::JobQueue};
//! use pulsestream_jobs::{Handler, KindSettings, Settings, Verdict, Workers};
//! use pulsestream_testing::{clock::FakeClock, memory::MemoryQueue};
//!
//! const GREET: JobKind = JobKind::named("greet");
//!
//! struct Greet;
//!
//! #[async_trait::async_trait]
//! impl Handler for Greet {
//!     fn kind(&self) -> JobKind {
//!         GREET
//!     }
//!
//!     async fn run(&self, job: &LeasedJob) -> Verdict {
//!         match job.payload.as_str() {
//!             "" => Verdict::bury("nobody to greet"),
//!             name => {
//!                 println!("Hello, {name}!");
//!                 Verdict::Done
//!             }
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Timestamp::from_secs(1_795_343_430);
//! let queue = Arc::new(MemoryQueue::default()); // or pulsestream_storage::Store
//! let job = NewJob::new(SYSTEM, JobId(uuid::Uuid::from_u128(1)), GREET, now);
//! queue.enqueue(&[NewJob { payload: "Ada".to_owned(), ..job }]).await?;
//!
//! let workers = Workers::start(
//!     Arc::clone(&queue) as _,
//!     [(Arc::new(Greet) as _, KindSettings::default())],
//!     Arc::new(FakeClock::at(now)),
//!     Arc::new(|| 4), // chosen by fair dice roll; bring a real source
//!     Settings::default(),
//! );
//! while queue.live() > 0 {
//!     tokio::task::yield_now().await;
//! }
//! workers.drain(Duration::from_secs(10)).await;
//! # Ok(()) }
//! ```
//!
//! # What holds
//!
//! - **Nothing is lost.** A job that was committed ends completed, cancelled, or dead with a reason. One whose
//!   worker is gone is taken up by another after the lease at most.
//! - **Nobody late counts.** Each claim of a job gets a higher token, and all that is done under a lease is
//!   conditional on it. A worker that was paused, cut off or slow can neither complete nor fail nor move a job
//!   that is somebody else's by now.
//! - **Once, where it matters.** A job may be *run* twice. A handler whose effect and settlement are one
//!   transaction has its *effect* once; see [`Verdict::SettledAlready`].
//! - **A bad job ends.** An error, a panic, an attempt over its time and a worker that died with it all count as
//!   attempts; after the last one the job is dead, kept with the reason until it is replayed or purged.
//! - **No kind, and no tenant, starves another.** Each kind has workers of its own, and a tenant gets at most
//!   half of them while others wait.
//! - **Everything is bounded**: jobs held, attempts, their time, the length of a reason.
//!
//! # How it works
//!
//! | file | does |
//! |---|---|
//! | `workers` | the handle: start, drain |
//! | `dispatcher` | the one task that claims, extends and settles |
//! | `post` | the workers of one kind, and the share of each tenant |
//! | `attempt` | from how an attempt ended to what becomes of the job; pure |
//! | `backoff` | how long to wait between attempts; pure |
//!
//! One task talks to the queue and does one thing at a time with it, so verdicts that come in meanwhile are
//! settled together in the next statement without waiting for each other. It claims when a worker is free and
//! the queue may have something: after a claim that was filled, when this process has enqueued something, and
//! else once per poll interval. A look at an idle queue is one statement that touches a few index pages and
//! locks nothing.
//!
//! A lease lasts 30 seconds and is extended every 10 while the work goes on: short, so that a crash is made up
//! for soon, and independent of how long the work takes. Queues without a heartbeat have to let a lease last
//! longer than the longest job, and rescue after an hour. A handler whose lease was lost is stopped; should it
//! not stop, the token keeps it harmless.
//!
//! # Why not apalis
//!
//! apalis 1.0 is the nearest to this among the published crates, and was looked at first (`apalis-postgres`
//! and `apalis-sqlite` 1.0). It builds with the same sqlx, but:
//!
//! - *A job can't be enqueued in our transaction.* Its sinks own a pool and begin transactions of their own; the
//!   function inside that takes a connection is private. So a rule or an alert would be one commit and its job
//!   another, and an outbox between them would be a second queue.
//! - *A job can't be settled in our transaction*, either: results are written by the backend after the handler
//!   has returned, so an effect and its completion are two commits.
//! - *The fence is the worker's name.* A result is taken when the job is locked by a worker of that name, not
//!   by that attempt: one that lost a job and got it again, or a restarted process of the same name, completes
//!   it with the outcome of the attempt before. Its heartbeat is one per worker, so a job that hangs in a live
//!   worker is kept for ever.
//! - The two databases have tables and migrations of their own, without a tenant, and PostgreSQL needs the
//!   `hstore` extension, which not everybody may install.
//!
//! What remains would be its worker loop and its middleware, which are the small part.
//!
//! # What it deliberately lacks
//!
//! Calendars (a handler names its next moment with [`Verdict::Again`]), dependencies between jobs, results, and
//! order: jobs of a kind run side by side.
//!
//! To add a kind of job: a name ([`JobKind::named`](pulsestream_domain::job::JobKind::named)), a [`Handler`]
//! where its work belongs, and a line where the workers are started.

mod attempt;
mod backoff;
mod dispatcher;
mod handler;
mod measure;
mod post;
mod settings;
mod workers;

pub use backoff::Backoff;
pub use handler::{Handler, Verdict};
pub use settings::{KindSettings, Settings};
pub use workers::{Drained, Entropy, Workers};
