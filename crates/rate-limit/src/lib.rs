//! How many newly stored events a tenant may still have.
//!
//! A [`Limiter`] keeps two promises per tenant: at most `per_minute` events in *any* 60 seconds, and at most
//! `burst` in *any* second. Not on average, and not per calendar minute: every window of that length, wherever
//! it starts, is within the limit. Callers reserve before they store, and give back what turned out to be a
//! duplicate, rejected or failed.
//!
//! ```
//! use pulsestream_domain::{Timestamp, tenant::{Limits, TenantId}};
//! use pulsestream_rate_limit::{Demand, Limiter, LocalLimiter, Refund};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let limiter = LocalLimiter::new();
//! let (tenant_id, limits) = (TenantId(uuid::Uuid::nil()), Limits::per_minute(100));
//! let now = Timestamp::from_secs(1_800_000_000);
//!
//! let grants = limiter.reserve(&[Demand { tenant_id, limits, count: 120 }], now).await;
//! assert_eq!(grants[0].granted, 100); // the head that fits
//! assert_eq!(grants[0].usage.retry_after_seconds, 61);
//!
//! limiter.give_back(&[Refund { tenant_id, count: 30, at: grants[0].at }], now).await;
//! assert_eq!(limiter.usage(tenant_id, limits, now).await.remaining, 30);
//! # }
//! ```
//!
//! # Which limiter
//!
//! - [`LocalLimiter`] counts inside the process. Exact for a single instance.
//! - `RedisLimiter` (feature `redis`, on by default) is exact over all instances that share one Redis, and
//!   limits locally while Redis is away: never open, never closed.
//!
//! To add one more, implement [`Limiter`] and let [`Window`] do the arithmetic.
//!
//! # What it costs
//!
//! A tenant takes about 350 bytes whatever its limit, and nothing once its last minute is empty. The price of
//! constant memory is that an event is counted until its *bucket* has left the window: up to 61 s instead of
//! 60, and up to 1.05 s instead of 1. A tenant that sends evenly at 90 % of its rate never notices.
//!
//! # What it lacks
//!
//! There are no queues, no waiting and no costs other than one per event; bodies, connections and requests are
//! limited elsewhere. A reservation whose caller vanishes is not given back: it counts until it expires.

mod buckets;
mod decisions;
mod limiter;
mod local;
#[cfg(feature = "redis")]
mod redis;
mod usage;
mod window;
mod window_map;

pub use limiter::{Demand, Grant, Limiter, Refund};
pub use local::LocalLimiter;
#[cfg(feature = "redis")]
pub use redis::{ConnectError, RedisLimiter};
pub use usage::{Policy, Quota, Usage};
pub use window::Window;
