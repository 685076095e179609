//! T6d. Clients that don't wait for answers send twice what the server can take: it goes on storing nearly as
//! much as it can, refuses the rest soon, and is well again soon after.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    App, Client, Combination, event_with,
    torture::{
        Wish,
        report::Report,
        timing::{Timing, seconds},
    },
    unique,
};

/// Events in a request: enough to make the server work more than its clients.
const BATCH: usize = 20;
const CLOSED_LOOP_CLIENTS: usize = 32;
/// In step with what this machine can take in a debug build. Where the threads that read and parse are what is short,
/// requests wait for these before any queue sees them, and only this cap bounds how long.
const SETTINGS: [(&str, &str); 1] = [("server.max_requests_in_flight", "96")];
const REFUSAL: Duration = Duration::from_secs(1);
const RECOVERY: Duration = Duration::from_secs(10);
/// Room for what the settings let in, and a debug build.
const MEMORY: u64 = 256 * 1024 * 1024;

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let mut builder = App::builder(Combination::SQLITE);
    for (path, value) in SETTINGS {
        builder = builder.set(path, value);
    }
    let app = builder.start().await;
    let tenant = app.unlimited_tenant().await;
    let way = tenant.client.clone();
    closed_loop(&way, Duration::from_secs(2)).await;
    let (peak, calm) = closed_loop(&way, Duration::from_secs(wish.pick(5, 15))).await;

    let twice = open_loop(&way, 2.0 * peak, Duration::from_secs(wish.pick(10, 60))).await;
    let rss = app.rss_bytes();
    let begun = Instant::now();
    let normal = loop {
        let half = open_loop(&way, 0.5 * peak, Duration::from_secs(1)).await;
        let is_normal =
            half.refused.is_empty() && half.accepted.quantile(0.99) < 4 * calm.max(Duration::from_millis(50));
        if is_normal || begun.elapsed() > 2 * RECOVERY {
            break begun.elapsed();
        }
    };
    let goodput = twice.accepted_in_time as f64 / twice.length.as_secs_f64();
    report.figure(
        "requests per second it can take",
        format!("{peak:.0} of {BATCH} events, p99 {}", seconds(calm)),
    );
    report.figure(
        "accepted at twice that",
        format!(
            "{goodput:.0} per second, {:.0} % of the peak, p99 {}",
            100.0 * goodput / peak,
            seconds(twice.accepted.quantile(0.99))
        ),
    );
    report.figure(
        "refused",
        format!(
            "{}, p50 {}, p99 {}",
            twice.refused.len(),
            seconds(twice.refused.quantile(0.5)),
            seconds(twice.refused.quantile(0.99))
        ),
    );
    report.figure("codes of refusals", format!("{:?}", twice.codes));
    report.figure("no answer or another status", twice.other);
    report.figure("memory", format!("{} MiB", rss / 1024 / 1024));
    report.figure("normal again at half of it after", seconds(normal));
    report
        .expect(goodput >= 0.8 * peak, || format!("only {goodput:.0} of {peak:.0} per second were accepted"));
    report.expect(twice.refused.quantile(0.99) <= REFUSAL, || {
        format!("refusals took {:?}", twice.refused.quantile(0.99))
    });
    report.expect(twice.other == 0, || format!("{} requests had no answer or another status", twice.other));
    report.expect(rss <= MEMORY, || format!("{rss} bytes of memory"));
    report.expect(normal <= RECOVERY, || format!("it took {normal:?} to be well again"));
    report
}

/// Clients that wait for each answer. Answers with requests per second, and the p99.
async fn closed_loop(way: &Client, length: Duration) -> (f64, Duration) {
    let (begun, until) = (Instant::now(), Instant::now() + length);
    let clients = (0..CLOSED_LOOP_CLIENTS).map(|_| {
        let way = way.clone();
        tokio::spawn(async move {
            let mut timing = Timing::default();
            while Instant::now() < until {
                let begun = Instant::now();
                send(&way).await;
                timing.add(begun.elapsed());
            }
            timing
        })
    });
    let mut all = Timing::default();
    for client in join_all(clients).await {
        all.extend(&client.expect("a client never panics"));
    }
    (all.len() as f64 / begun.elapsed().as_secs_f64(), all.quantile(0.99))
}

/// What became of requests that were sent at a rate.
#[derive(Default)]
struct Offered {
    length: Duration,
    accepted: Timing,
    /// Those that were answered before the sending ended.
    accepted_in_time: usize,
    refused: Timing,
    /// How often each code of a refusal came.
    codes: BTreeMap<String, usize>,
    other: usize,
}

/// Sends at a rate, whatever the answers.
async fn open_loop(way: &Client, rate: f64, length: Duration) -> Offered {
    let begun = Instant::now();
    let mut sent = Vec::new();
    while begun.elapsed() < length {
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        for _ in sent.len()..due {
            let way = way.clone();
            sent.push(tokio::spawn(async move {
                let begun = Instant::now();
                (send(&way).await, begun.elapsed(), Instant::now())
            }));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut offered = Offered { length, ..Offered::default() };
    for request in join_all(sent).await {
        let ((status, code), took, at) = request.expect("a request never panics");
        if let Some(code) = code {
            *offered.codes.entry(code).or_default() += 1;
        }
        match status {
            200 => {
                offered.accepted.add(took);
                offered.accepted_in_time += usize::from(at <= begun + length);
            }
            429 | 503 => offered.refused.add(took),
            _ => offered.other += 1,
        }
    }
    offered
}

/// The status of a batch, and the code of the first problem with it; 0 is no answer.
async fn send(way: &Client) -> (u16, Option<String>) {
    let events: Vec<Value> = (0..BATCH).map(|_| event_with(&unique("load"), "one")).collect();
    let request =
        way.request(Method::POST, "/api/v1/ingestion/events/batch").json(&json!({"events": events}));
    let Ok(answer) = way.try_execute(request).await else { return (0, None) };
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body["code"].as_str().or_else(|| body["results"][0]["code"].as_str());
    (answer.status, code.map(str::to_owned))
}
