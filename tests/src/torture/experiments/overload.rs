//! T6d. Clients that don't wait for answers send twice what the server can take: it goes on storing nearly as
//! much as it can, refuses the rest soon, and is well again soon after.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use crate::{
    App, Combination,
    torture::{
        Wish,
        report::Report,
        timing::{Timing, seconds},
        wire::Wire,
    },
    unique,
};

/// Events in a request: enough to make the server work more than its clients.
const BATCH: usize = 20;
const CLOSED_LOOP_CLIENTS: usize = 32;
/// The default; other experiments have more, as debug builds on a busy machine are often behind.
const MAX_LAG: &str = "200ms";
const REFUSAL: Duration = Duration::from_secs(1);
const RECOVERY: Duration = Duration::from_secs(10);
/// Room for what the settings let in, and a debug build.
const MEMORY: u64 = 256 * 1024 * 1024;

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let app = App::builder(Combination::SQLITE).set("server.max_lag", MAX_LAG).start().await;
    let tenant = app.unlimited_tenant().await;
    let way = Arc::new(Wire::new(app.address(), "/api/v1/ingestion/events/batch", &tenant.key));
    closed_loop(&way, Duration::from_secs(2)).await;
    let (peak, calm) = closed_loop(&way, Duration::from_secs(wish.pick(5, 15))).await;

    let twice = open_loop(&way, 2.0 * peak, Duration::from_secs(wish.pick(10, 60))).await;
    let rss = app.rss_bytes();
    let begun = Instant::now();
    let normal = loop {
        let half = open_loop(&way, 0.5 * peak, Duration::from_secs(1)).await;
        let is_normal = half.refused().is_empty()
            && half.accepted.quantile(0.99) < 4 * calm.max(Duration::from_millis(50));
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
    for (place, refused) in
        [("at the door", &twice.refused_at_door), ("in the queue", &twice.refused_in_queue)]
    {
        let times =
            format!("p50 {}, p99 {}", seconds(refused.quantile(0.5)), seconds(refused.quantile(0.99)));
        report.figure(&format!("refused {place}"), format!("{}, {times}", refused.len()));
    }
    report.figure("no answer or another status", format!("{:?}", twice.other));
    report.figure("sent again, as the connection kept for it was closed", way.sent_again());
    report.figure("memory", format!("{} MiB", rss / 1024 / 1024));
    report.figure("normal again at half of it after", seconds(normal));
    report
        .expect(goodput >= 0.8 * peak, || format!("only {goodput:.0} of {peak:.0} per second were accepted"));
    let refused = twice.refused();
    report.expect(!refused.is_empty(), || "nothing was refused: this proves nothing".to_owned());
    report
        .expect(refused.quantile(0.99) <= REFUSAL, || format!("refusals took {:?}", refused.quantile(0.99)));
    report.expect(twice.other.is_empty(), || format!("no answer or another status: {:?}", twice.other));
    report.expect(rss <= MEMORY, || format!("{rss} bytes of memory"));
    report.expect(normal <= RECOVERY, || format!("it took {normal:?} to be well again"));
    report
}

/// Clients that wait for each answer. Answers with requests per second, and the p99.
async fn closed_loop(way: &Arc<Wire>, length: Duration) -> (f64, Duration) {
    let (begun, until) = (Instant::now(), Instant::now() + length);
    let clients = (0..CLOSED_LOOP_CLIENTS).map(|_| {
        let way = Arc::clone(way);
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
    /// Before their events were looked at.
    refused_at_door: Timing,
    /// Because no lane took them up in time.
    refused_in_queue: Timing,
    /// What else happened, and how often.
    other: BTreeMap<String, usize>,
}

impl Offered {
    fn refused(&self) -> Timing {
        let mut all = self.refused_at_door.clone();
        all.extend(&self.refused_in_queue);
        all
    }
}

/// Sends at a rate, whatever the answers.
async fn open_loop(way: &Arc<Wire>, rate: f64, length: Duration) -> Offered {
    let begun = Instant::now();
    let mut sent = Vec::new();
    while begun.elapsed() < length {
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        for _ in sent.len()..due {
            let way = Arc::clone(way);
            sent.push(tokio::spawn(async move {
                let begun = Instant::now();
                (send(&way).await, begun.elapsed(), Instant::now())
            }));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut offered = Offered { length, ..Offered::default() };
    for request in join_all(sent).await {
        let (told, took, at) = request.expect("a request never panics");
        match told {
            Told::Stored => {
                offered.accepted.add(took);
                offered.accepted_in_time += usize::from(at <= begun + length);
            }
            Told::RefusedAtDoor => offered.refused_at_door.add(took),
            Told::RefusedInQueue => offered.refused_in_queue.add(took),
            Told::Other(what) => *offered.other.entry(what).or_default() += 1,
        }
    }
    offered
}

/// What a batch was answered.
enum Told {
    Stored,
    RefusedAtDoor,
    RefusedInQueue,
    /// No answer, or one that is neither.
    Other(String),
}

async fn send(way: &Wire) -> Told {
    let events: Vec<String> = (0..BATCH)
        .map(|_| {
            let id = unique("load");
            format!(
                r#"{{"event_id":"{id}","event_type":"api_call","title":"GET /orders","payload":{{"content":"one"}},
                "source":{{"service":"shop","endpoint":"/orders","method":"GET"}}}}"#
            )
        })
        .collect();
    let (status, body) = match way.post(&format!("[{}]", events.join(","))).await {
        Ok(answer) => answer,
        Err(error) => return Told::Other(format!("{:?}", error.kind())),
    };
    let is_overloaded = body.contains(r#""code":"overloaded""#);
    match status {
        200 => Told::Stored,
        // Each of the events is told.
        503 if is_overloaded && body.contains(r#""results":"#) => Told::RefusedInQueue,
        503 if is_overloaded => Told::RefusedAtDoor,
        status => Told::Other(status.to_string()),
    }
}
