//! T17. SIGTERM under load, over and over: what was begun is answered, the exit is in time and says that all is
//! well, and nothing is lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    App, Combination, Overheard, Tenant, event_with,
    ledger::{Ledger, Outcome},
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        timing::{Timing, seconds},
        traffic::{Traffic, resolve, wait_until_stored},
    },
    unique,
};

const SENDERS: usize = 16;
/// Requests whose head and half of whose body are there when the signal comes.
const BEGUN: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);
/// What a server says to a request that waits with its body (RFC 9110 §15.2.1).
const GO_ON: &[u8; 25] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let mut cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let tenant = cluster.unlimited_tenant().await;
    let (ways, ledger) = (cluster.ways(&tenant), Arc::new(Ledger::default()));
    let traffic = Traffic::start(&ways, SENDERS, &ledger, wish.rng());
    let rounds = wish.pick(6, 20);
    let (mut exits, mut answered) = (Timing::default(), 0);
    for round in 0..rounds {
        let node = round % cluster.nodes.len();
        wait_until_stored(&ways[node], &ledger, PATIENCE).await;
        let mut begun = Vec::new();
        for _ in 0..BEGUN {
            begun.push(begin(&cluster.nodes[node].app, &tenant, &ledger).await);
        }

        let at = Instant::now();
        let process = cluster.nodes[node].app.process();
        process.signal(Signal::TERM);
        while TcpStream::connect(process.address()).await.is_ok() && process.is_running() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (stream, id, rest) in begun {
            if finish(stream, &rest).await {
                ledger.told(&id, Outcome::Acknowledged);
                answered += 1;
            }
        }
        let status = process.wait();
        exits.add(at.elapsed());
        let is_well = status.is_some_and(|status| status.success());
        report.expect(is_well, || format!("round {round}: it ended with {status:?}"));
        cluster.nodes[node].start_again().await;
    }
    let heard = traffic.stop().await;
    let unknown = resolve(&ways[0], &ledger, Duration::from_secs(60)).await;
    report.figure("ends, and the longest", format!("{rounds}, {}", seconds(exits.max())));
    report.figure("begun requests answered", format!("{answered} of {}", rounds * BEGUN));
    report.figure("answers by status (0: none)", format!("{:?}", heard.statuses));
    report.figure("unknown and resolved", unknown);
    report.expect(answered == rounds * BEGUN, || "begun requests were not answered".to_owned());
    report.expect(exits.max() < Duration::from_secs(25), || format!("an end took {:?}", exits.max()));
    report.expect(heard.unexpected().is_empty(), || format!("unexpected statuses {:?}", heard.unexpected()));
    report.compare(&ledger, &cluster.rows(&tenant).await);
    report
}

/// A request that is half sent: its connection, the event's id, and the other half.
async fn begin(app: &App, tenant: &Tenant, ledger: &Ledger) -> (Overheard<TcpStream>, String, String) {
    let id = unique("late");
    ledger.sent_with(&id, "late");
    let body = event_with(&id, "late").to_string();
    let head = format!(
        "POST /api/v1/ingestion/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        tenant.key,
        body.len()
    );
    let mut stream = app.connect().await;
    stream.write_all(head.as_bytes()).await.expect("the server listens");
    // It says so when it is at work on the request.
    let mut said = [0; GO_ON.len()];
    let heard = timeout(PATIENCE, stream.read_exact(&mut said)).await;
    heard.expect("the server takes what was begun").expect("it says to go on");
    assert_eq!(&said, GO_ON, "{}", String::from_utf8_lossy(&said));
    stream.write_all(&body.as_bytes()[..20]).await.expect("the server reads");
    (stream, id, body[20..].to_owned())
}

/// Sends the other half. Answers whether the event is stored, by what the server says.
async fn finish(mut stream: Overheard<TcpStream>, rest: &str) -> bool {
    let mut answer = String::new();
    if stream.write_all(rest.as_bytes()).await.is_err() {
        return false;
    }
    _ = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    answer.starts_with("HTTP/1.1 200 ")
}
