//! The in-process limiter under threads.

use std::sync::{
    Arc, Barrier,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};
use pulsestream_rate_limit::{Demand, Limiter, LocalLimiter, Refund};
use uuid::Uuid;

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn tenant(id: u128) -> TenantId {
    TenantId(Uuid::from_u128(id))
}

#[test]
fn many_threads_together_get_exactly_the_limit() {
    let limiter: Arc<dyn Limiter> = Arc::new(LocalLimiter::new());
    let limits = Limits { per_minute: 5_000, burst: 4_321 };
    let granted = AtomicU32::new(0);
    let together = Barrier::new(16);

    std::thread::scope(|scope| {
        for thread in 0..16_u32 {
            let (limiter, granted, together) = (&limiter, &granted, &together);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                together.wait();
                for round in 0..200 {
                    let demand = Demand { tenant_id: tenant(1), limits, count: 1 + (thread + round) % 7 };
                    let grant = runtime.block_on(limiter.reserve(&[demand], now()))[0];
                    let unused = grant.granted.min(round % 2);
                    let refund = Refund { tenant_id: tenant(1), count: unused, at: grant.at };
                    runtime.block_on(limiter.give_back(&[refund], now()));
                    granted.fetch_add(grant.granted - unused, Relaxed);
                }
            });
        }
    });

    let usage = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(limiter.usage(
        tenant(1),
        limits,
        now(),
    ));
    assert_eq!(usage.remaining, 4_321 - granted.load(Relaxed));
    assert_eq!(usage.minute.remaining, 5_000 - granted.load(Relaxed));
    assert!(granted.load(Relaxed) > 4_000);
}

#[tokio::test]
async fn demands_of_one_call_are_answered_in_order_and_share_a_tenants_room() {
    let limiter = LocalLimiter::new();
    let demand = |id, count| Demand { tenant_id: tenant(id), limits: Limits::per_minute(10), count };

    let grants = limiter
        .reserve(&[demand(1, 6), demand(2, 11), demand(1, 6), demand(2, 1), demand(3, 0)], now())
        .await;

    assert_eq!(grants.iter().map(|grant| grant.granted).collect::<Vec<_>>(), [6, 10, 4, 0, 0]);
    assert!(grants.iter().all(|grant| grant.at == now()));
}

#[tokio::test]
async fn asking_for_the_usage_takes_nothing() {
    let limiter = LocalLimiter::new();
    let limits = Limits::per_minute(3);

    for _ in 0..5 {
        assert_eq!(limiter.usage(tenant(1), limits, now()).await.remaining, 3);
    }
}
