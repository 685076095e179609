//! T6b. Crowds of clients that stall, in every way a client can: each is got rid of in time, and others are
//! served meanwhile.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    App, Combination, Overheard, Tenant, event_with_id,
    torture::{
        Wish,
        good_clients::{GoodClients, Pace},
        report::Report,
        resources::{SPARE_SOCKETS, peak_memory, settled_sockets, sockets},
        timing::{Timing, seconds},
    },
    unique,
};

const SETTINGS: [(&str, &str); 3] =
    [("server.header_timeout", "2s"), ("server.body_timeout", "3s"), ("server.keep_alive", "3s")];
/// The longest of these, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long others are watched before they come.
const ALONE: Duration = Duration::from_secs(4);
/// How long it takes until all of them are there.
const COMING: Duration = Duration::from_secs(2);
/// How often one that drips sends a byte.
const DRIP: Duration = Duration::from_secs(1);
/// What a connection may cost at most, with a debug build and all of them at once.
const MEMORY_PER_CONNECTION: u64 = 256 * 1024;

/// In which way a client stalls.
#[derive(Clone, Copy, Debug)]
enum Stall {
    /// It connects and says nothing.
    Silent,
    /// It sends its head a byte at a time.
    Head,
    /// It sends its body a byte at a time.
    Body,
    /// It has had an answer and says nothing more.
    Idle,
}

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    for pace in wish.paces() {
        stall_beside(*pace, wish.pick(50, 500), &mut report).await;
    }
    report
}

async fn stall_beside(pace: Pace, crowd: u32, report: &mut Report) {
    let mut builder = App::builder(Combination::SQLITE);
    for (path, value) in SETTINGS {
        builder = builder.set(path, value);
    }
    let app = builder.start().await;
    let tenant = app.unlimited_tenant().await;
    let good_clients = GoodClients::of(&app, &tenant, pace);
    let alone = good_clients.alone(ALONE).await;
    let (memory, open) = (peak_memory(&app), sockets(&app));

    let stalls = [Stall::Silent, Stall::Head, Stall::Body, Stall::Idle];
    let crowds = stalls.map(|stall| {
        let clients = join_all((0..crowd).map(|number| {
            let (app, tenant) = (&app, &tenant);
            async move {
                sleep(COMING * number / crowd).await;
                stalled(app, tenant, stall).await
            }
        }));
        async move { (stall, clients.await) }
    });
    let (crowds, beside) = good_clients.beside(join_all(crowds)).await;
    let (peak, left) = (peak_memory(&app), settled_sockets(&app, open).await);
    for (stall, closed) in crowds {
        let mut timing = Timing::default();
        let open = closed.iter().filter(|closed| closed.is_none()).count();
        closed.into_iter().flatten().for_each(|took| timing.add(took));
        report.figure(
            &format!("{pace:?} pace: {stall:?}: {crowd} closed after at most"),
            seconds(timing.max()),
        );
        // One that was never served may stay: the kernel has its connection, and nobody else does.
        report
            .expect(open == 0, || format!("{stall:?}: {open} of {crowd} were still open after {PATIENCE:?}"));
    }
    report.figure(
        &format!("{pace:?} pace: memory, before and at most"),
        format!("{} MiB, {} MiB", memory / 1024 / 1024, peak / 1024 / 1024),
    );
    report.figure(&format!("{pace:?} pace: sockets open, before and after"), format!("{open}, {left}"));
    report
        .expect(left <= open + SPARE_SOCKETS, || format!("{left} sockets are open, and {open} were before"));
    report.expect(peak <= memory + u64::from(4 * crowd) * MEMORY_PER_CONNECTION, || {
        format!("memory grew from {memory} to {peak} bytes")
    });
    report.expect(beside.stored.len() > 20 && beside.refused == 0, || {
        format!("others were refused {} of {} times", beside.refused, beside.sent())
    });
    alone.compare(&beside, pace, Duration::ZERO, report);
}

/// Stalls until the server closes. Answers with how long that took.
async fn stalled(app: &App, tenant: &Tenant, stall: Stall) -> Option<Duration> {
    let mut stream = app.connect().await;
    let begun = Instant::now();
    let body = event_with_id(&unique("stalled")).to_string();
    let head = format!(
        "POST /api/v1/ingestion/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        tenant.key,
        body.len()
    );
    let drip = match stall {
        Stall::Silent => String::new(),
        Stall::Head => head,
        Stall::Body => {
            _ = stream.write_all(head.as_bytes()).await;
            body
        }
        Stall::Idle => {
            _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            String::new()
        }
    };
    timeout(PATIENCE, closed(stream, drip.into_bytes())).await.ok().map(|()| begun.elapsed())
}

/// Sends a byte now and then, and ends when the connection does.
async fn closed(mut stream: Overheard<TcpStream>, drip: Vec<u8>) {
    let mut drip = drip.into_iter();
    let mut buffer = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => if !read.is_ok_and(|length| length > 0) { return },
            () = sleep(DRIP) => {
                if let Some(byte) = drip.next() && stream.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        }
    }
}
