//! Redis dies or hangs: each instance limits by itself, never open and never closed, and they limit together
//! again soon after it is back.

use std::time::{Duration, Instant};

use pulsestream_testing::redis::RedisServer;
use pulsestream_tests::{
    App, Client, Combination, Tenant, TenantOptions, Trial, event, events, on_some, trials::DEFAULT_CAP,
};
use serde_json::json;

/// How soon instances limit together again.
const RETURN: Duration = Duration::from_secs(2);
/// The longest that one request may take while Redis hangs.
const ANSWER: Duration = Duration::from_secs(3);
const LIMIT: u64 = 40;

pub(crate) fn trials() -> Vec<Trial> {
    on_some!(
        &[Combination::SQLITE_REDIS, Combination::POSTGRES_REDIS], within DEFAULT_CAP;
        a_redis_that_is_killed_leaves_local_limits,
        a_redis_that_hangs_leaves_local_limits,
        a_server_starts_without_redis,
    )
}

struct Instances {
    redis: RedisServer,
    one: App,
    two: App,
}

async fn instances(combination: Combination) -> Instances {
    let redis = RedisServer::start().unwrap_or_else(|missing| panic!("{missing:#}"));
    let one = App::builder(combination).redis(redis.url()).start().await;
    let two = one.another().await;
    Instances { redis, one, two }
}

async fn a_redis_that_is_killed_leaves_local_limits(combination: Combination) {
    let mut instances = instances(combination).await;
    assert_limits_together(&instances, Duration::ZERO).await;
    let used = limited_tenant(&instances.one).await;
    used.send_batch(&events(10)).await.expect(200);

    instances.redis.kill().expect("it can be signalled");
    assert_limits_locally(&instances, &used).await;

    instances.redis.restart().unwrap_or_else(|error| panic!("{error:#}"));
    assert_limits_together(&instances, RETURN).await;
}

async fn a_redis_that_hangs_leaves_local_limits(combination: Combination) {
    let instances = instances(combination).await;
    assert_limits_together(&instances, Duration::ZERO).await;
    let used = limited_tenant(&instances.one).await;
    used.send_batch(&events(10)).await.expect(200);

    instances.redis.pause().expect("it can be signalled");
    assert_limits_locally(&instances, &used).await;

    instances.redis.resume().expect("it can be signalled");
    assert_limits_together(&instances, RETURN).await;
}

async fn a_server_starts_without_redis(combination: Combination) {
    let mut redis = RedisServer::start().unwrap_or_else(|missing| panic!("{missing:#}"));
    redis.kill().expect("it can be signalled");
    let one = App::builder(combination).redis(redis.url()).start().await;
    let two = one.another().await;
    let instances = Instances { redis, one, two };
    let tenant = limited_tenant(&instances.one).await;

    assert_limits_locally(&instances, &tenant).await;
    let Instances { mut redis, one, two } = instances;
    redis.restart().unwrap_or_else(|error| panic!("{error:#}"));
    assert_limits_together(&Instances { redis, one, two }, RETURN).await;
}

async fn limited_tenant(app: &App) -> Tenant {
    app.tenant_with(TenantOptions::default().per_minute(LIMIT)).await
}

/// What one instance admits, another knows of, at the latest after `within`.
async fn assert_limits_together(instances: &Instances, within: Duration) {
    // Made before the time runs: a tenant takes a process to make.
    let tenant = instances.one.tenant_with(TenantOptions::default().per_minute(1_000)).await;
    let elsewhere = tenant.at(&instances.two);
    let deadline = Instant::now() + within;
    loop {
        // The state of one instance may have been lost with Redis; what counts is that it is shared now.
        let there = remaining(&elsewhere).await;
        tenant.send_batch(&events(10)).await.expect(200);
        if remaining(&elsewhere).await == there - 10 {
            return;
        }
        assert!(Instant::now() < deadline, "the instances do not limit together after {within:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn remaining(client: &Client) -> u64 {
    let usage = client.get("/api/v1/ingestion/rate-limit").await.expect(200).json();
    usage["remaining"].as_u64().expect("a number")
}

/// Each of two instances admits something, and not more than the limit; every answer comes soon.
async fn assert_limits_locally(instances: &Instances, tenant: &Tenant) {
    let before = instances.one.rows(tenant).await.len() as u64;
    for client in [&tenant.client, &tenant.at(&instances.two)] {
        let mut accepted = 0;
        for _ in 0..LIMIT * 2 {
            let asked = Instant::now();
            let answer = client.send(&event(json!({}))).await;
            assert!(asked.elapsed() < ANSWER, "an answer took {:?}", asked.elapsed());
            assert!([200, 429].contains(&answer.status), "{}", answer.text());
            accepted += u64::from(answer.status == 200);
        }
        assert!(accepted > 0, "closed");
        assert!(accepted <= LIMIT, "open: {accepted} events");
    }
    let after = instances.one.rows(tenant).await.len() as u64;
    assert!(after - before <= 2 * LIMIT, "{after} events");
    assert_says_so(&instances.one).await;
}

/// Ready, but degraded: in the readiness and in a metric.
async fn assert_says_so(app: &App) {
    let ready = app.anonymous().get("/readyz").await.expect(200);
    assert!(ready.text().contains("redis"), "{}", ready.text());
    let metrics = app.anonymous().get("/metrics").await.expect(200).text();
    assert!(metrics.lines().any(|line| line == "limiter_fallback_active 1"), "{metrics}");
}
