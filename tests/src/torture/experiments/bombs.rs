//! T6e. Bodies made to fill the memory, many at once: refused, bounded, and others are served meanwhile.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use crate::{
    App, Combination,
    torture::{
        Wish,
        good_clients::{GoodClients, Pace},
        report::Report,
        resources::{SPARE_SOCKETS, peak_memory, settled_sockets, sockets},
        wire::Wire,
    },
};
use flate2::{Compression, write::GzEncoder};
use futures_util::future::join_all;
use tokio::runtime::Builder;

const BATCH: &str = "/api/v1/ingestion/events/batch";
const MIB: usize = 1024 * 1024;
/// 256 MiB of bodies at a time, and what reading and parsing them takes.
const MEMORY: u64 = 512 * MIB as u64;
/// About ten times in 20 s everybody waits for 10 to 60 ms, which is known but not why: `docs/performance.md`.
const STALL: Duration = Duration::from_millis(20);
/// What a bomb may be answered: it is refused, or held to be too much at the moment.
const EXPECTED: [u16; 6] = [0, 400, 408, 413, 422, 503];

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    for pace in wish.paces() {
        throw_beside(*pace, Duration::from_secs(wish.pick(6, 20)), &mut report).await;
    }
    report
}

async fn throw_beside(pace: Pace, length: Duration, report: &mut Report) {
    let app = App::start(Combination::SQLITE).await;
    let tenant = app.unlimited_tenant().await;
    let bombs = bombs();
    let good_clients = GoodClients::of(&app, &tenant, pace);
    let alone = good_clients.alone(Duration::from_secs(5)).await;
    let open = sockets(&app);
    let until = Instant::now() + length;
    let wire = Wire::new(app.address(), BATCH, &tenant.key);
    let kinds = bombs.len();
    let throwers = tokio::task::spawn_blocking(move || throw_all(&wire, bombs, until));
    let (statuses, good) = good_clients.beside(throwers).await;
    let statuses = statuses.expect("throwing never panics");
    let unexpected: Vec<&u16> = statuses.iter().filter(|status| !EXPECTED.contains(status)).collect();
    let peak = peak_memory(&app);
    let left = settled_sockets(&app, open).await;
    report.figure(&format!("{pace:?} pace: bombs of kinds"), format!("{} of {kinds}", statuses.len()));
    report.figure(&format!("{pace:?} pace: peak of memory"), format!("{} MiB", peak / MIB as u64));
    report.figure(&format!("{pace:?} pace: sockets open, before and after"), format!("{open}, {left}"));
    report.expect(unexpected.is_empty(), || format!("bombs were answered with {unexpected:?}"));
    report.expect(statuses.len() >= kinds, || format!("only {} bombs were answered", statuses.len()));
    // Each thrower may have a connection left that it would use again.
    report.expect(left <= open + kinds + SPARE_SOCKETS, || {
        format!("{left} sockets are open, and {open} were before")
    });
    report.expect(peak <= MEMORY, || format!("{} MiB of memory", peak / MIB as u64));
    report.expect(good.stored.len() > 2, || format!("others stored {} events", good.stored.len()));
    alone.compare(&good, pace, STALL, report);
}

/// One body and how it is encoded.
#[derive(Clone)]
struct Bomb {
    encoding: Option<&'static str>,
    body: bytes::Bytes,
}

fn bombs() -> Vec<Bomb> {
    let plain = |body: Vec<u8>| Bomb { encoding: None, body: body.into() };
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).expect("memory takes all");
        Bomb { encoding: Some("gzip"), body: encoder.finish().expect("memory takes all").into() }
    };
    let zstd = |body: &[u8]| {
        let body = zstd::encode_all(body, 1).expect("memory takes all");
        Bomb { encoding: Some("zstd"), body: body.into() }
    };
    let zeros = vec![b' '; 64 * MIB];
    let deep = "[".repeat(5 * MIB);
    let objects = format!("[{}", r#"{"a":"#.repeat(MIB));
    let keys: Vec<String> = (0..500_000).map(|key| format!(r#""k{key}":1"#)).collect();
    let many_keys = format!("[{{{}}}]", keys.join(","));
    let many_items = format!("[{}1]", "1,".repeat(4 * MIB));
    vec![
        gzip(&zeros),
        zstd(&zeros),
        gzip(deep.as_bytes()),
        plain(deep.into_bytes()),
        plain(objects.into_bytes()),
        plain(many_keys.into_bytes()),
        gzip(many_items.as_bytes()),
        plain(many_items.into_bytes()),
    ]
}

/// Throws all of them at a time, from a thread that gives way: who throws bombs has another machine for it, and here it is
/// the processor of the server that sending so much would take.
fn throw_all(wire: &Wire, bombs: Vec<Bomb>, until: Instant) -> Vec<u16> {
    let throwing = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            #[cfg(target_os = "linux")]
            rustix::process::nice(10).expect("anybody may give way");
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            let throwers = bombs.into_iter().map(|bomb| throw(wire, bomb, until));
            runtime.block_on(join_all(throwers))
        });
        thread.join()
    });
    throwing.expect("throwing never panics").into_iter().flatten().collect()
}

/// Throws a bomb again and again.
async fn throw(wire: &Wire, bomb: Bomb, until: Instant) -> Vec<u16> {
    let mut statuses = Vec::new();
    while Instant::now() < until {
        let answer = wire.post_encoded(&bomb.body, bomb.encoding).await;
        statuses.push(answer.map_or(0, |(status, _)| status));
    }
    statuses
}
