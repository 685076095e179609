//! The limiter that several instances share.

mod outage;
#[cfg(test)]
#[path = "../../tests/private_redis/mod.rs"]
#[expect(dead_code, reason = "the tests in tests/ use all of it")]
mod private_redis;
#[cfg(feature = "sabotage")]
mod sabotage;
mod script;
mod server;

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, RedisError, RedisResult, Value};
use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::{outage::Outage, script::read_grant, server::Server};
use crate::{Demand, Grant, Limiter, LocalLimiter, Refund, Usage, Window, decisions::count_decisions};

/// Limits what passes through all instances that use one Redis, exactly.
///
/// Every demand is put to this instance's own window first, and what fits there is put to Redis, all demands of a
/// call in one round trip; both have to agree. Redis keeps the time ([`Grant::at`]) and one key of 336 bytes per
/// tenant, `pulsestream:limit:{tenant}`, which expires with the window.
///
/// # When Redis is away
///
/// The first call that fails, or is not answered within 500 ms, leaves what fitted into the own window standing, and
/// so does every later call, without asking, until a probe in the background (once a second) has got through. So
/// each instance keeps to the limits by itself: `n` instances admit at most `n` times the limit, one admits not one
/// event more than with Redis. The same holds when Redis comes back without its memory.
///
/// What was admitted meanwhile is reported to Redis on the way back. Where it is not known whether Redis counted a
/// call that failed, it may count it twice: for a minute less fits, never more.
///
/// # Metrics
///
/// `limiter_decisions_total{backend, decision}` counts events (`redis` or `local`; `admitted` or `throttled`);
/// `limiter_fallback_active` is 1 while Redis is away.
#[derive(Clone)]
pub struct RedisLimiter {
    shared: Arc<Shared>,
}

/// Why no [`RedisLimiter`] could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address is none. Trying again doesn't help.
    #[error("not the url of a redis server")]
    InvalidUrl(#[source] RedisError),
}

struct Shared {
    server: Server,
    /// What this instance admitted, at Redis' time.
    own: LocalLimiter,
    outage: Outage,
    /// Redis' clock minus ours, as of the last answer, in microseconds.
    clock_lead: AtomicI64,
    /// Whether the server was asked how it evicts.
    checked_eviction: AtomicBool,
}

const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// Windows per round trip when reporting what was admitted without Redis.
const REPORT_SIZE: usize = 256;

impl RedisLimiter {
    /// Connects to `redis://[user:password@]host[:port][/db]` or `redis+unix:///path/to/socket[?db=n]`.
    ///
    /// A server that is away is no error: the limiter starts without it, and joins it when it is there. Waits for
    /// at most a second. Connections live on the calling Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError::InvalidUrl`], also for `rediss://`, which this build doesn't speak.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        let shared = Arc::new(Shared {
            server: Server::new(url).map_err(ConnectError::InvalidUrl)?,
            own: LocalLimiter::new(),
            outage: Outage::none(),
            clock_lead: AtomicI64::new(0),
            checked_eviction: AtomicBool::new(false),
        });
        match shared.server.probe().await {
            Ok(()) => shared.is_connected().await,
            Err(error) => shared.go_local(&error),
        }
        Ok(Self { shared })
    }

    /// Whether Redis is away and this instance limits by itself.
    pub fn is_falling_back(&self) -> bool {
        self.shared.outage.is_ongoing()
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn reserve(&self, demands: &[Demand], now: Timestamp) -> Vec<Grant> {
        let mut grants = self.shared.own.reserve_each(demands, self.shared.redis_time(now));
        let backend = match self.shared.confirm(demands, &mut grants, now).await {
            true => "redis",
            false => "local",
        };
        count_decisions(backend, demands, &grants);
        #[cfg(feature = "sabotage")]
        sabotage::grants(&mut grants, demands, now, backend == "local");
        grants
    }

    async fn give_back(&self, refunds: &[Refund], now: Timestamp) {
        let shared = &self.shared;
        shared.own.give_back_each(refunds, shared.redis_time(now));
        if shared.outage.note_refunds(refunds, shared.redis_time(now)) {
            return;
        }
        let commands: Vec<Cmd> =
            refunds.iter().map(|refund| shared.server.script().give_back(refund)).collect();
        if let Err(error) = shared.call(&commands).await {
            shared.go_local(&error);
        }
    }

    async fn usage(&self, tenant_id: TenantId, limits: Limits, now: Timestamp) -> Usage {
        let nothing = [Demand { tenant_id, limits, count: 0 }];
        let mut grants = self.shared.own.reserve_each(&nothing, self.shared.redis_time(now));
        self.shared.confirm(&nothing, &mut grants, now).await;
        grants[0].usage
    }
}

impl Shared {
    /// Puts to Redis what the own windows granted, and lowers the grants to what Redis granted too. False, with
    /// the grants as they were, when Redis is away.
    async fn confirm(self: &Arc<Self>, demands: &[Demand], grants: &mut [Grant], now: Timestamp) -> bool {
        if demands.is_empty() {
            return !self.outage.is_ongoing();
        }
        if self.outage.note_grants(demands, grants) {
            return false;
        }
        let script = self.server.script();
        let asked = demands.iter().zip(grants.iter());
        let commands: Vec<Cmd> = asked.map(|(demand, own)| script.reserve(demand, own.granted)).collect();
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_broken("check_then_increment") {
            return self.confirm_in_two_steps(demands, grants).await;
        }
        let answers: RedisResult<Vec<(u32, Window)>> =
            self.call(&commands).await.and_then(|replies| replies.into_iter().map(read_grant).collect());
        match answers {
            Ok(answers) => {
                for ((demand, grant), (granted, window)) in demands.iter().zip(grants).zip(answers) {
                    *grant = self.settle(demand, grant, granted, &window);
                    self.follow_clock(grant.at, now);
                }
                true
            }
            Err(error) => {
                self.go_local(&error);
                // False only if the outage is over already; then Redis misses these events, the own window doesn't.
                self.outage.note_grants(demands, grants);
                false
            }
        }
    }

    /// Moves what was taken from the own window to Redis' time, and gives back what Redis refused.
    fn settle(&self, demand: &Demand, own: &Grant, granted: u32, window: &Window) -> Grant {
        let (tenant_id, at) = (demand.tenant_id, window.newest());
        let mut windows = self.own.shard(tenant_id);
        windows.give_back(&Refund { tenant_id, count: own.granted, at: own.at }, at);
        windows.charge(tenant_id, granted, at);
        let usage = window.usage(demand.limits, at);
        // If Redis has room for more, it is the own window that refused: Redis has lost its memory.
        let redis_has_room = granted < demand.count && usage.remaining > 0;
        Grant { granted, at, usage: if redis_has_room { own.usage } else { usage } }
    }

    /// All replies, or the first error among them.
    async fn call(&self, commands: &[Cmd]) -> RedisResult<Vec<Value>> {
        self.server.call(commands).await?.into_iter().collect()
    }

    /// What Redis' clock shows at our `now`.
    fn redis_time(&self, now: Timestamp) -> Timestamp {
        now.plus_micros(self.clock_lead.load(Relaxed))
    }

    fn follow_clock(&self, redis_time: Timestamp, now: Timestamp) {
        self.clock_lead.store(redis_time.as_micros().saturating_sub(now.as_micros()), Relaxed);
    }

    /// Decides locally from now on, until a probe gets through.
    fn go_local(self: &Arc<Self>, error: &RedisError) {
        if !self.outage.begin() {
            return;
        }
        self.server.disconnect();
        metrics::gauge!("limiter_fallback_active").set(1);
        tracing::warn!(error = %error, "redis is away: this instance limits by itself");
        self.server.runtime().spawn(heal(Arc::downgrade(self)));
    }

    /// Probes Redis once, and goes back to it if it serves. What was admitted without it is reported first, so that
    /// other instances never see room that is taken.
    async fn try_to_return(self: &Arc<Self>) -> RedisResult<()> {
        self.server.probe().await?;
        let unreported = self.outage.take_unreported();
        if let Err(error) = self.report(&unreported).await {
            self.outage.put_back(&unreported);
            return Err(error);
        }
        let late = self.outage.end();
        tracing::info!("redis is back: limits are shared again");
        self.is_connected().await;
        if let Err(error) = self.report(&late).await {
            self.go_local(&error);
            self.outage.put_back(&late);
        }
        Ok(())
    }

    /// Charges Redis with what was admitted without it.
    async fn report(&self, windows: &[(TenantId, Window)]) -> RedisResult<()> {
        for part in windows.chunks(REPORT_SIZE) {
            let charges =
                part.iter().map(|(tenant_id, window)| self.server.script().charge(*tenant_id, window));
            self.call(&charges.collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    async fn is_connected(&self) {
        metrics::gauge!("limiter_fallback_active").set(0);
        if self.checked_eviction.swap(true, Relaxed) {
            return;
        }
        if let Some(policy) = self.server.evicts_by().await {
            tracing::warn!(
                redis.maxmemory_policy = %policy,
                "redis may evict rate limits while they count, which then admit more: set noeviction"
            );
        }
    }
}

/// Probes until Redis is back, or the limiter gone.
async fn heal(limiter: Weak<Shared>) {
    let mut ticks = interval_at(Instant::now() + PROBE_INTERVAL, PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(limiter) = limiter.upgrade() else { return };
        match limiter.try_to_return().await {
            Ok(()) => return,
            Err(error) => tracing::debug!(error = %error, "redis is still away"),
        }
    }
}
