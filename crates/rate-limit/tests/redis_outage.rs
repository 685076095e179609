//! The shared limiter with a server that goes away and comes back.

mod private_redis;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::PrometheusBuilder;
use private_redis::{PrivateRedis, wait_until};
use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};
use pulsestream_rate_limit::{Demand, Limiter, RedisLimiter, Refund};
use uuid::Uuid;

const TENANT: TenantId = TenantId(Uuid::nil());
/// What the caller waits for Redis at most, and what a busy machine may add.
const SLOWEST_CALL: Duration = Duration::from_millis(500 + 300);
const BACK_WITHIN: Duration = Duration::from_secs(2);

fn now() -> Timestamp {
    let since_epoch = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970");
    Timestamp::from_micros(since_epoch.as_micros().try_into().expect("64 bits are enough"))
}

async fn take(limiter: &RedisLimiter, limits: Limits, count: u32) -> u32 {
    limiter.reserve(&[Demand { tenant_id: TENANT, limits, count }], now()).await[0].granted
}

/// Waits without blocking the runtime that heals the limiter.
async fn wait_until_back(limiter: &RedisLimiter) {
    let limiter = limiter.clone();
    let waiting = move || wait_until(BACK_WITHIN, || !limiter.is_falling_back());
    tokio::task::spawn_blocking(waiting).await.expect("the wait ended well");
}

#[tokio::test]
async fn an_outage_admits_nothing_over_the_limit() {
    let mut redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(100);

    let with_redis = take(&limiter, limits, 70).await;
    redis.kill();
    let without = take(&limiter, limits, 70).await;
    let more = take(&limiter, limits, 70).await;

    assert_eq!((with_redis, without, more), (70, 30, 0));
    assert!(limiter.is_falling_back());
}

#[tokio::test]
async fn a_server_without_its_memory_makes_no_room() {
    let mut redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(100);

    take(&limiter, limits, 70).await;
    redis.kill();
    take(&limiter, limits, 20).await;
    redis.revive();
    wait_until_back(&limiter).await;
    let demand = Demand { tenant_id: TENANT, limits, count: 70 };
    let grant = limiter.reserve(&[demand], now()).await[0];

    assert_eq!((grant.granted, grant.usage.remaining), (10, 0));
    assert!(grant.usage.retry_after_seconds > 0);
}

#[tokio::test]
async fn what_was_admitted_without_redis_is_known_to_others_afterwards() {
    let mut redis = PrivateRedis::not_started();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(100);
    assert!(limiter.is_falling_back());

    let grant = limiter.reserve(&[Demand { tenant_id: TENANT, limits, count: 60 }], now()).await[0];
    limiter.give_back(&[Refund { tenant_id: TENANT, count: 20, at: grant.at }], now()).await;
    redis.revive();
    wait_until_back(&limiter).await;
    let other = RedisLimiter::connect(&redis.url()).await.unwrap();

    assert_eq!(other.usage(TENANT, limits, now()).await.remaining, 60);
    assert_eq!(limiter.usage(TENANT, limits, now()).await.remaining, 60);
}

#[tokio::test]
async fn each_instance_keeps_to_the_limit_while_redis_is_away() {
    let redis = PrivateRedis::not_started();
    let limits = Limits { per_minute: 100, burst: 80 };

    for _ in 0..2 {
        let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
        let mut granted = 0;
        for _ in 0..50 {
            granted += take(&limiter, limits, 7).await;
        }
        assert_eq!(granted, 80);
    }
}

#[tokio::test]
async fn a_frozen_server_costs_one_timeout_and_then_nothing() {
    let redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(1_000_000);
    take(&limiter, limits, 1).await;
    redis.freeze();

    let mut durations = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(2_500) {
        let before = Instant::now();
        take(&limiter, limits, 1).await;
        durations.push(before.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    redis.thaw();
    wait_until_back(&limiter).await;

    durations.sort();
    let slow = durations.iter().filter(|&&duration| duration >= Duration::from_millis(500)).count();
    assert!(durations.last().unwrap() <= &SLOWEST_CALL, "the slowest of {durations:?}");
    assert!(slow <= 1, "{slow} calls waited");
    assert!(durations[durations.len() / 2] < Duration::from_millis(1), "the median of {durations:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_while_the_server_dies_and_returns_under_load() {
    let mut redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(30_000);
    let granted = Arc::new(AtomicU32::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (limiter, granted, is_over) = (limiter.clone(), granted.clone(), is_over.clone());
            tokio::spawn(async move {
                while !is_over.load(SeqCst) {
                    granted.fetch_add(take(&limiter, limits, 3).await, SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();

    for fraction in 1..=3 {
        let goal = fraction * 6_000;
        let reached = granted.clone();
        let waiting = move || wait_until(Duration::from_secs(30), || reached.load(SeqCst) >= goal);
        tokio::task::spawn_blocking(waiting).await.unwrap();
        redis.kill();
        redis.revive();
        wait_until_back(&limiter).await;
    }
    let all = granted.clone();
    let waiting = move || wait_until(Duration::from_secs(30), || all.load(SeqCst) >= 30_000);
    tokio::task::spawn_blocking(waiting).await.unwrap();
    is_over.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }

    assert_eq!(granted.load(SeqCst), 30_000);
}

#[tokio::test]
async fn an_outage_shows_in_the_metrics() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let metrics = recorder.handle();
    let mut redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(10);

    take(&limiter, limits, 4).await;
    assert!(metrics.render().contains("limiter_fallback_active 0"));
    redis.kill();
    take(&limiter, limits, 20).await;
    let rendered = metrics.render();

    for line in [
        r#"limiter_decisions_total{backend="redis",decision="admitted"} 4"#,
        r#"limiter_decisions_total{backend="redis",decision="throttled"} 0"#,
        r#"limiter_decisions_total{backend="local",decision="admitted"} 6"#,
        r#"limiter_decisions_total{backend="local",decision="throttled"} 14"#,
        "limiter_fallback_active 1",
    ] {
        assert!(rendered.contains(line), "{line} in\n{rendered}");
    }
}
