//! T6c. A crowd asks for exports and reads nothing of them: each is got rid of in time, memory is bounded, others are
//! served meanwhile, and nothing of it is left in the end.

use std::{
    fs,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    time::sleep,
};

use crate::{
    App, Combination, Tenant, event, event_with_id,
    torture::{
        Wish,
        report::Report,
        timing::{Timing, seconds},
    },
    unique,
};

const READERS: usize = 200;
/// As many exports at a time as there are readers, so that none is refused for want of a place.
const SETTINGS: [(&str, &str); 1] = [("server.max_exports", "200")];
/// More than the sockets of both sides hold.
const EVENTS: usize = 600;
const EVENT_BYTES: usize = 10_000;
/// How long a reader may stand still: 20 s, and what the kernel and a busy machine add.
const CLOSED: Duration = Duration::from_secs(30);
/// A page of an export for each reader.
const MEMORY_PER_READER: u64 = 4 * 1024 * 1024;

pub(super) async fn run(_: Wish) -> Report {
    let mut report = Report::default();
    let mut builder = App::builder(Combination::SQLITE);
    for (path, value) in SETTINGS {
        builder = builder.set(path, value);
    }
    let app = builder.start().await;
    let tenant = app.unlimited_tenant().await;
    fill(&tenant).await;
    let alone = good_client(&tenant, Duration::from_secs(2)).await;
    let (memory, files) = (app.rss_bytes(), open_files(&app));

    let readers = join_all((0..READERS).map(|_| stalled_reader(&app, &tenant)));
    let (readers, (beside, peak)) = tokio::join!(readers, async {
        let (mut beside, mut peak, until) = (Timing::default(), 0, Instant::now() + CLOSED);
        while Instant::now() < until {
            beside.extend(&good_client(&tenant, Duration::from_secs(1)).await);
            peak = peak.max(app.rss_bytes());
        }
        (beside, peak)
    });
    let begun = readers.iter().filter(|reader| reader.is_some()).count();
    // Whatever was held for them is given back as soon as the server notices.
    let left = settled(&app, files).await;
    let export = tenant.get("/api/v1/ingestion/events/export?limit=1").await.status;

    report.figure("exports that nobody read", format!("{begun} of {READERS}"));
    report.figure(
        "p99 of others, before and beside them",
        format!("{} and {}", seconds(alone.quantile(0.99)), seconds(beside.quantile(0.99))),
    );
    report.figure(
        "memory, before and at most",
        format!("{} MiB, {} MiB", memory / 1024 / 1024, peak / 1024 / 1024),
    );
    report.figure("files open, before and after", format!("{files}, {left}"));
    report.expect(begun == READERS, || format!("only {begun} of {READERS} exports began"));
    report.expect(left <= files + 2, || format!("{left} files are open, and {files} were before"));
    report.expect(export == 200, || format!("a new export says {export}"));
    report.expect(peak <= memory + READERS as u64 * MEMORY_PER_READER, || {
        format!("memory grew from {memory} to {peak} bytes")
    });
    report.expect(beside.quantile(0.99) < Duration::from_secs(1), || {
        format!("others waited {:?}", beside.quantile(0.99))
    });
    report
}

async fn fill(tenant: &Tenant) {
    let filling = "x".repeat(EVENT_BYTES);
    for _ in 0..EVENTS / 100 {
        let events: Vec<Value> = (0..100)
            .map(|_| event(json!({"event_id": unique("large"), "payload": {"filling": filling}})))
            .collect();
        tenant.send_batch(&events).await.expect(200);
    }
}

/// Asks for everything, reads the first bytes, and then stands still. `None` when it was not answered with an export.
async fn stalled_reader(app: &App, tenant: &Tenant) -> Option<()> {
    let socket = TcpSocket::new_v4().expect("there is room for a socket");
    // Little room here, so that the server is soon left with the rest.
    socket.set_recv_buffer_size(4096).expect("a socket can be set");
    let mut stream = socket.connect(app.address()).await.ok()?;
    let request = format!(
        "GET /api/v1/ingestion/events/export HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\r\n",
        tenant.key
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    sleep(CLOSED).await;
    (head == *b"HTTP/1.1 200").then_some(())
}

async fn good_client(tenant: &Tenant, length: Duration) -> Timing {
    let (mut timing, until) = (Timing::default(), Instant::now() + length);
    while Instant::now() < until {
        let begun = Instant::now();
        tenant.send(&event_with_id(&unique("good"))).await.expect(200);
        timing.add(begun.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    timing
}

/// How many files the server has open, once no more than before or after a while.
async fn settled(app: &App, before: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let open = open_files(app);
        if open <= before + 2 || Instant::now() > until {
            return open;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn open_files(app: &App) -> usize {
    fs::read_dir(format!("/proc/{}/fd", app.process().pid())).map_or(0, Iterator::count)
}
