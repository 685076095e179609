//! T3b. Redis goes away in every way: limits stay, per server at worst, requests go on, and servers limit
//! together again soon after.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::limits::fullest_window;
use crate::{
    Client, Combination, TenantOptions, event_with,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        fault::{Fault, Link},
        proxy::Mode,
        report::Report,
        timing::{Timing, seconds},
    },
    unique,
};

const LIMIT: usize = 100;
const CLIENTS: usize = 16;
/// The wait for a Redis that says nothing is half a second; the rest is what a busy machine adds.
const LONGEST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3_000 } else { 600 });
/// What an answer may take longer once it is known that Redis is away.
const ADDED: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1_000 } else { 1 });
/// How soon servers limit together again.
const RETURN: Duration = Duration::from_secs(4);

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let mut cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let length = Duration::from_secs(wish.pick(3, 10));
    let on_both = |mode| vec![Fault::Spoil(Link::Limiter(0), mode), Fault::Spoil(Link::Limiter(1), mode)];
    let cases: [(&str, Vec<Fault>); 7] = [
        ("well", vec![]),
        ("killed", vec![Fault::KillRedis]),
        ("paused", vec![Fault::PauseRedis]),
        ("black hole", on_both(Mode::Hold)),
        ("600 ms late", on_both(Mode::Delay(Duration::from_millis(600)))),
        ("reset", on_both(Mode::Reset)),
        ("away from one server", vec![Fault::Spoil(Link::Limiter(1), Mode::Hold)]),
    ];
    let mut usual = None;
    for (name, faults) in cases {
        let tenant = cluster.tenant(TenantOptions::default().per_minute(LIMIT as u64)).await;
        let ways = cluster.ways(&tenant);
        for fault in &faults {
            fault.inject(&mut cluster).await;
        }
        let (timing, unexpected) = offer(&ways, length).await;
        for fault in &faults {
            fault.mend(&mut cluster).await;
        }
        let back = wait_until_shared(&cluster).await;
        let bound = if faults.is_empty() { LIMIT } else { ways.len() * LIMIT };
        // Most answers come after it is known.
        let median = timing.quantile(0.5);
        let usual = *usual.get_or_insert(median);
        let fullest = fullest_window(&cluster.rows(&tenant).await, 60_000_000);
        report.figure(
            &format!("Redis {name}"),
            format!(
                "{fullest} of at most {bound} admitted, p50 {:.1} ms, p99 {}, max {}, shared again after {}",
                median.as_secs_f64() * 1e3,
                seconds(timing.quantile(0.99)),
                seconds(timing.max()),
                seconds(back)
            ),
        );
        report.expect(fullest <= bound, || format!("{name}: {fullest} admitted of {bound}: open"));
        report.expect(fullest >= LIMIT * 9 / 10, || format!("{name}: only {fullest} admitted: closed"));
        report.expect(timing.max() < LONGEST, || format!("{name}: an answer took {:?}", timing.max()));
        report.expect(median < usual + ADDED, || format!("{name}: half of the answers took {median:?}"));
        report.expect(back < RETURN, || format!("{name}: servers did not limit together for {back:?}"));
        report.expect(unexpected.is_empty(), || format!("{name}: unexpected statuses {unexpected:?}"));
    }
    flushed_scripts(&cluster, &mut report).await;
    report
}

/// Offers more than the limit. Answers with how long each took, and with statuses that nothing justifies.
async fn offer(ways: &[Client], length: Duration) -> (Timing, Vec<u16>) {
    let until = Instant::now() + length;
    let senders = (0..CLIENTS).map(|client| {
        let way = ways[client % ways.len()].clone();
        tokio::spawn(async move {
            let (mut timing, mut unexpected) = (Timing::default(), Vec::new());
            while Instant::now() < until {
                let begun = Instant::now();
                let status = way.send(&event_with(&unique("away"), "one")).await.status;
                timing.add(begun.elapsed());
                if ![200, 429].contains(&status) {
                    unexpected.push(status);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            (timing, unexpected)
        })
    });
    let (mut timing, mut unexpected) = (Timing::default(), Vec::new());
    for sent in join_all(senders).await {
        let (one, statuses) = sent.expect("a sender never panics");
        timing.extend(&one);
        unexpected.extend(statuses);
    }
    (timing, unexpected)
}

/// Waits until what one server admits is known to the other. Answers with how long that took.
async fn wait_until_shared(cluster: &Cluster) -> Duration {
    let tenant = cluster.tenant(TenantOptions::default().per_minute(1_000)).await;
    let ways = cluster.ways(&tenant);
    let begun = Instant::now();
    while begun.elapsed() < 2 * RETURN {
        let before = remaining(&ways[1]).await;
        ways[0].send(&event_with(&unique("shared"), "one")).await;
        if remaining(&ways[1]).await + 1 == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

async fn remaining(way: &Client) -> u64 {
    let usage = way.get("/api/v1/ingestion/rate-limit").await.expect(200).json();
    usage["remaining"].as_u64().expect("a number")
}

/// A Redis that has forgotten the script is told it again, and nobody notices.
async fn flushed_scripts(cluster: &Cluster, report: &mut Report) {
    let url = cluster.redis.as_ref().expect("there is one").url();
    let socket = PathBuf::from(url.trim_start_matches("redis+unix://"));
    let tenant = cluster.tenant(TenantOptions::default().per_minute(LIMIT as u64)).await;
    let ways = cluster.ways(&tenant);
    let mut redis = UnixStream::connect(socket).await.expect("it runs");
    let mut accepted = 0;
    for number in 0..2 * LIMIT {
        if number % 10 == 0 {
            redis.write_all(b"SCRIPT FLUSH\r\n").await.expect("it runs");
            let mut answer = [0; 5];
            redis.read_exact(&mut answer).await.expect("it runs");
            assert_eq!(&answer, b"+OK\r\n");
        }
        accepted +=
            usize::from(ways[number % 2].send(&event_with(&unique("script"), "one")).await.status == 200);
    }
    report.figure("scripts flushed every 10 requests", format!("{accepted} of {LIMIT} admitted"));
    report.expect(accepted == LIMIT, || format!("{accepted} of {LIMIT} admitted while scripts were flushed"));
}
