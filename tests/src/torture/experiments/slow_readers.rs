//! T6c. A crowd asks for exports and reads nothing of them: each is got rid of in time, memory is bounded, others are
//! served meanwhile, and nothing of it is left in the end.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::sleep,
};

use crate::{
    App, Combination, Tenant, event,
    torture::{
        Wish,
        good_clients::{GoodClients, Pace},
        report::Report,
        resources::{SPARE_SOCKETS, settled_sockets, sockets},
    },
    unique,
};

/// How long after the one before each comes: what they ask for takes the machine a while.
const APART: Duration = Duration::from_millis(100);
/// As many exports at a time as there may be readers, so that none is refused for want of a place.
const SETTINGS: [(&str, &str); 1] = [("server.max_exports", "200")];
/// More than the sockets of both sides hold.
const EVENTS: usize = 600;
const EVENT_BYTES: usize = 10_000;
/// How long a reader may stand still: 20 s, and what the kernel and a busy machine add.
const CLOSED: Duration = Duration::from_secs(30);
/// A page of an export, as it was stored and as it is sent, for each reader.
const MEMORY_PER_READER: u64 = 4 * 1024 * 1024;

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    for pace in wish.paces() {
        read_beside(*pace, wish.pick(50, 200), &mut report).await;
    }
    report
}

async fn read_beside(pace: Pace, crowd: u32, report: &mut Report) {
    let mut builder = App::builder(Combination::SQLITE);
    for (path, value) in SETTINGS {
        builder = builder.set(path, value);
    }
    let app = builder.start().await;
    let tenant = app.unlimited_tenant().await;
    fill(&tenant).await;
    let good_clients = GoodClients::of(&app, &tenant, pace);
    let alone = good_clients.alone(Duration::from_secs(4)).await;
    let (memory, files) = (app.rss_bytes(), sockets(&app));

    let (address, key) = (app.address(), tenant.key.clone());
    let readers = tokio::spawn(join_all((0..crowd).map(move |number| {
        let key = key.clone();
        async move {
            sleep(APART * number).await;
            stalled_reader(address, &key).await
        }
    })));
    let (peak, beside) = good_clients.beside(highest_memory(&app, || readers.is_finished())).await;
    let readers = readers.await.expect("a reader never panics");
    let begun = readers.iter().filter(|reader| reader.is_some()).count();
    // They hold their ends still: what is closed was closed by the server.
    let left = settled_sockets(&app, files).await;
    drop(readers);
    let export = tenant.get("/api/v1/ingestion/events/export?limit=1").await.status;

    report.figure(&format!("{pace:?} pace: exports that nobody read"), format!("{begun} of {crowd}"));
    report.figure(
        &format!("{pace:?} pace: memory, before and at most"),
        format!("{} MiB, {} MiB", memory / 1024 / 1024, peak / 1024 / 1024),
    );
    report.figure(&format!("{pace:?} pace: sockets open, before and after"), format!("{files}, {left}"));
    report.expect(begun == crowd as usize, || format!("only {begun} of {crowd} exports began"));
    // Exports and look-ups of keys share the connections that read from SQLite: one may come too late for its turn.
    report.expect(100 * beside.refused <= beside.sent(), || {
        format!("others were refused {} of {} times", beside.refused, beside.sent())
    });
    report.expect(left <= files + SPARE_SOCKETS, || {
        format!("{left} sockets are open, and {files} were before")
    });
    report.expect(export == 200, || format!("a new export says {export}"));
    report.expect(peak <= memory + u64::from(crowd) * MEMORY_PER_READER, || {
        format!("memory grew from {memory} to {peak} bytes")
    });
    alone.compare(&beside, pace, Duration::ZERO, report);
}

/// The most memory that was resident until then.
async fn highest_memory(app: &App, is_over: impl Fn() -> bool) -> u64 {
    let mut highest = 0;
    while !is_over() {
        highest = highest.max(app.rss_bytes());
        sleep(Duration::from_millis(100)).await;
    }
    highest
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

/// Asks for everything until it gets it, reads the first bytes, and then stands still. `None` when it never got it.
async fn stalled_reader(address: SocketAddr, key: &str) -> Option<TcpStream> {
    for _ in 0..20 {
        if let Some(stalled) = begun_export(address, key).await {
            sleep(CLOSED).await;
            return Some(stalled);
        }
        sleep(Duration::from_millis(500)).await;
    }
    None
}

async fn begun_export(address: SocketAddr, key: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().expect("there is room for a socket");
    // Little room here, so that the server is soon left with the rest.
    socket.set_recv_buffer_size(4096).expect("a socket can be set");
    let mut stream = socket.connect(address).await.ok()?;
    let request =
        format!("GET /api/v1/ingestion/events/export HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.ok()?;
    (head == *b"HTTP/1.1 200").then_some(stream)
}
