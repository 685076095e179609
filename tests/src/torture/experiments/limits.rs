//! T3a and T3d. Not one event over a limit in any window, over all servers; and nobody pays for another's flood.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use crate::{
    Client, Combination, StoredRow, TenantOptions, event_with,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        rng::Rng,
        timing::{Timing, bearable, seconds},
    },
    unique,
};

const CLIENTS: usize = 64;
const SECOND: i64 = 1_000_000;

/// T3a.
pub(super) async fn exact(wish: Wish) -> Report {
    const BURST: usize = 100;
    const MINUTE: usize = 400;
    let mut report = Report::default();
    let cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let burst = cluster.tenant(TenantOptions::default().per_minute(1_000_000).burst(BURST as u64)).await;
    let minute = cluster.tenant(TenantOptions::default().per_minute(MINUTE as u64)).await;
    let until = Instant::now() + Duration::from_secs(wish.pick(6, 70));
    let mut rng = wish.rng();
    let senders: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let ways = cluster.ways(if client % 4 == 0 { &minute } else { &burst });
            tokio::spawn(send_until(ways[client % 2].clone(), until, rng.fork()))
        })
        .collect();
    for sender in senders {
        let unexpected = sender.await.expect("a sender never panics");
        report.expect(unexpected.is_empty(), || format!("unexpected answers: {unexpected:?}"));
    }
    for (name, tenant, limit, window) in
        [("burst", &burst, BURST, SECOND), ("minute", &minute, MINUTE, 60 * SECOND)]
    {
        let rows = cluster.rows(tenant).await;
        let fullest = fullest_window(&rows, window);
        let over = (fullest as f64 / limit as f64 - 1.0).max(0.0) * 100.0;
        report.figure(
            &format!("fullest window of the {name} limit"),
            format!("{fullest} of {limit}, {over:.1} % over, {} events", rows.len()),
        );
        report.expect(fullest <= limit, || format!("{fullest} events in a window of {limit}"));
        // Never closed either.
        report
            .expect(fullest >= limit * 9 / 10, || format!("only {fullest} events in any window of {limit}"));
    }
    report
}

/// Sends single events and batches. Answers with statuses that nothing justifies.
async fn send_until(way: Client, until: Instant, mut rng: Rng) -> Vec<u16> {
    let mut unexpected = Vec::new();
    while Instant::now() < until {
        let size = if rng.percent(50) { 1 } else { rng.index(12) + 2 };
        let batch: Vec<Value> = (0..size).map(|_| event_with(&unique("limit"), "one")).collect();
        let answer = if size == 1 { way.send(&batch[0]).await } else { way.send_batch(&batch).await };
        if ![200, 429, 503].contains(&answer.status) {
            unexpected.push(answer.status);
        }
    }
    unexpected
}

/// The most events that any window of this many microseconds holds, by the times the server gave them.
pub(super) fn fullest_window(rows: &[StoredRow], micros: i64) -> usize {
    let times: Vec<i64> = rows.iter().map(|row| row.received_at).collect();
    let within = |first: usize| times[first..].partition_point(|time| *time < times[first] + micros);
    (0..times.len()).map(within).max().unwrap_or(0)
}

/// T3d.
pub(super) async fn noisy_neighbour(wish: Wish) -> Report {
    const LIMIT: u64 = 6_000;
    let mut report = Report::default();
    let cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let quiet = cluster.tenant(TenantOptions::default().per_minute(LIMIT)).await;
    let noisy = cluster.tenant(TenantOptions::default().per_minute(60)).await;
    let length = Duration::from_secs(wish.pick(4, 15));
    let (alone, _) = at_half_the_limit(&cluster.ways(&quiet), length).await;

    let until = Instant::now() + length;
    let flood: Vec<_> = (0..8)
        .map(|client| {
            let way = cluster.ways(&noisy)[client % 2].clone();
            tokio::spawn(async move {
                let mut throttled = 0;
                while Instant::now() < until {
                    let status = way.send(&event_with(&unique("flood"), "one")).await.status;
                    throttled += usize::from(status == 429);
                }
                throttled
            })
        })
        .collect();
    let (beside, refused) = at_half_the_limit(&cluster.ways(&quiet), length).await;
    let throttled: usize = join_all(flood).await.into_iter().map(|sent| sent.expect("it never panics")).sum();
    report.figure("throttled of the one that floods", throttled);
    report.figure(
        "p50 and p99 of the other, alone and beside it",
        format!(
            "{}, {} and {}, {}",
            seconds(alone.quantile(0.5)),
            seconds(alone.quantile(0.99)),
            seconds(beside.quantile(0.5)),
            seconds(beside.quantile(0.99))
        ),
    );
    report.figure("refused of the other", format!("{refused} of {}", beside.len() + refused));
    let (p99, bearable) = (beside.quantile(0.99), bearable(alone.quantile(0.99)));
    report.expect(p99 <= bearable, || format!("the other waited {p99:?} of {bearable:?}"));
    report.expect(throttled > 0, || "nothing was throttled: this proves nothing".to_owned());
    report.expect(refused == 0, || format!("{refused} of the other were refused"));
    report
}

/// Sends fifty events a second, evenly. Answers with how long they took and how many were refused.
async fn at_half_the_limit(ways: &[Client], length: Duration) -> (Timing, usize) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let (until, mut sent) = (Instant::now() + length, Vec::new());
    while Instant::now() < until {
        ticks.tick().await;
        let way = ways[sent.len() % ways.len()].clone();
        sent.push(tokio::spawn(async move {
            let begun = Instant::now();
            let status = way.send(&event_with(&unique("quiet"), "one")).await.status;
            (status, begun.elapsed())
        }));
    }
    let (mut timing, mut refused) = (Timing::default(), 0);
    for (status, took) in join_all(sent).await.into_iter().map(|sent| sent.expect("it never panics")) {
        if status == 200 { timing.add(took) } else { refused += 1 }
    }
    (timing, refused)
}
