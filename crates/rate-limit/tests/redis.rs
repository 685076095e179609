//! The shared limiter with a server that is there.

#[expect(dead_code, reason = "the tests of outages use all of it")]
mod private_redis;

use deadpool_redis::redis::{Client, cmd};
use private_redis::PrivateRedis;
use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};
use pulsestream_rate_limit::{ConnectError, Demand, Limiter, Policy, RedisLimiter, Refund};
use tokio::task::JoinSet;
use uuid::Uuid;

/// No limiter under test looks at this clock for anything but the distance to Redis'.
fn now() -> Timestamp {
    Timestamp::from_secs(1_000_000_000)
}

fn tenant(id: u128) -> TenantId {
    TenantId(Uuid::from_u128(id))
}

async fn take(limiter: &RedisLimiter, id: u128, limits: Limits, count: u32) -> u32 {
    limiter.reserve(&[Demand { tenant_id: tenant(id), limits, count }], now()).await[0].granted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_together_grant_exactly_the_limit() {
    let redis = PrivateRedis::start();
    let instances = [
        RedisLimiter::connect(&redis.url()).await.unwrap(),
        RedisLimiter::connect(&redis.url()).await.unwrap(),
    ];
    let limits = Limits::per_minute(2_000);

    let mut tasks = JoinSet::new();
    for task in 0..32_u32 {
        let limiter = instances[task as usize % 2].clone();
        tasks.spawn(async move {
            let mut granted = 0;
            for round in 0..40 {
                granted += take(&limiter, 1, limits, 1 + (task + round) % 5).await;
            }
            granted
        });
    }
    let granted: u32 = tasks.join_all().await.into_iter().sum();

    assert!(instances.iter().all(|instance| !instance.is_falling_back()));
    assert_eq!(granted, 2_000);
}

#[tokio::test]
async fn instances_see_each_others_grants_and_refunds() {
    let redis = PrivateRedis::start();
    let (one, other) = (
        RedisLimiter::connect(&redis.url()).await.unwrap(),
        RedisLimiter::connect(&redis.url()).await.unwrap(),
    );
    let limits = Limits { per_minute: 50, burst: 10 };
    let demand = Demand { tenant_id: tenant(1), limits, count: 8 };

    let first = one.reserve(&[demand], now()).await[0];
    let second = other.reserve(&[demand], now()).await[0];
    one.give_back(&[Refund { tenant_id: tenant(1), count: 5, at: first.at }], now()).await;
    let usage = other.usage(tenant(1), limits, now()).await;

    assert_eq!((first.granted, second.granted), (8, 2));
    assert_eq!(second.usage.exhausted, Some(Policy::Burst));
    assert_eq!((usage.remaining, usage.minute.remaining), (5, 45));
}

#[tokio::test]
async fn the_time_of_a_grant_is_that_of_redis() {
    let redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let mut direct = Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut time = || {
        let (seconds, micros): (i64, i64) = cmd("TIME").query(&mut direct).unwrap();
        Timestamp::from_secs(seconds).plus_micros(micros)
    };

    let before = time();
    let grant = limiter
        .reserve(&[Demand { tenant_id: tenant(1), limits: Limits::per_minute(5), count: 1 }], now())
        .await[0];

    assert!((before..=time()).contains(&grant.at));
}

#[tokio::test]
async fn many_tenants_are_answered_in_order_in_one_call() {
    let redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let demands: Vec<Demand> = (0..300)
        .map(|id| Demand { tenant_id: tenant(id % 200), limits: Limits::per_minute(10), count: 7 })
        .collect();

    let grants = limiter.reserve(&demands, now()).await;

    assert_eq!(grants.len(), 300);
    for (index, grant) in grants.iter().enumerate() {
        assert_eq!(grant.granted, if index < 200 { 7 } else { 3 }, "{index}");
    }
}

#[tokio::test]
async fn a_forgotten_script_is_loaded_again_unnoticed() {
    let redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(10);
    let mut direct = Client::open(redis.url()).unwrap().get_connection().unwrap();

    let before = take(&limiter, 1, limits, 4).await;
    cmd("SCRIPT").arg("FLUSH").exec(&mut direct).unwrap();
    let after = take(&limiter, 1, limits, 10).await;

    assert_eq!((before, after), (4, 6));
    assert!(!limiter.is_falling_back());
}

#[tokio::test]
async fn a_connection_that_the_server_closed_is_replaced_unnoticed() {
    let redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let limits = Limits::per_minute(10);
    let mut direct = Client::open(redis.url()).unwrap().get_connection().unwrap();

    let before = take(&limiter, 1, limits, 4).await;
    cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut direct).unwrap();
    let after = take(&limiter, 1, limits, 10).await;

    assert_eq!((before, after), (4, 6));
    assert!(!limiter.is_falling_back());
}

#[tokio::test]
async fn every_key_is_small_and_expires() {
    let redis = PrivateRedis::start();
    let limiter = RedisLimiter::connect(&redis.url()).await.unwrap();
    let mut direct = Client::open(redis.url()).unwrap().get_connection().unwrap();
    for id in 0..20 {
        take(&limiter, id, Limits::per_minute(u32::MAX), 1_000_000).await;
    }

    let keys: Vec<String> = cmd("KEYS").arg("*").query(&mut direct).unwrap();

    assert_eq!(keys.len(), 21, "one per tenant, and the probe's");
    for key in keys {
        let left: i64 = cmd("PTTL").arg(&key).query(&mut direct).unwrap();
        let bytes: usize = cmd("STRLEN").arg(&key).query(&mut direct).unwrap();
        assert!((1..=61_000).contains(&left), "{key} lives for {left} ms");
        assert_eq!(bytes, 336);
    }
}

#[tokio::test]
async fn only_a_malformed_address_fails_to_connect() {
    for url in ["", "localhost", "http://localhost", "rediss://localhost", "redis://localhost:port"] {
        assert!(matches!(RedisLimiter::connect(url).await, Err(ConnectError::InvalidUrl(_))), "{url}");
    }
    for url in ["redis+unix:///no/such/socket", "unix:///no/such/socket"] {
        assert!(RedisLimiter::connect(url).await.unwrap().is_falling_back(), "{url}");
    }
}
