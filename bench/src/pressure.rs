//! What others, and what is large, may cost: a tenant that floods, and many events of ten megabytes at once.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{http::Client, load::Load, memory, product::Product, stage::Stage};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "pressure";

/// Events per minute that the flooding tenant may store.
const LIMIT: u32 = 6_000;
/// How many times as many it offers, at most: whatever it can send over so many connections.
const FLOOD: Load = Load::new(32, 1);
/// Events per second of the other tenant, sent on time whatever happens.
const CALM_RATE: u32 = 500;
const LENGTH: Duration = Duration::from_secs(8);
/// By how much the 99th percentile of the other tenant may be moved.
const MOST_MOVED: f64 = 2.0;

/// How many events of how many bytes come at once.
const LARGE: usize = 64;
const LARGE_BYTES: usize = 10 << 20;
const MOST_MEMORY: u64 = 3 << 29;

/// What came out.
pub(crate) struct Outcome {
    /// 99th percentile of the calm tenant in milliseconds, alone and beside the flood.
    alone: f64,
    beside: f64,
    /// Requests per second that the flood came to.
    flood: f64,
    /// Of the large events: stored, and refused with 503.
    stored: usize,
    refused: usize,
    /// The most the server took in memory, in bytes.
    memory: u64,
}

/// Measures both, each on a server of its own.
///
/// # Errors
/// When something is answered that should not be.
pub(crate) fn run(stage: &mut Stage) -> Result<Outcome> {
    stage.postgres.reset()?;
    let flooder = stage.on_postgres.add_limited_tenant("flooder", LIMIT)?;
    let product = &stage.on_postgres;

    let server = product.serve()?;
    let alone = calm_p99(product, server.address())?;
    let (beside, flood) = thread::scope(|scope| {
        let flood = scope.spawn(|| FLOOD.flood(server.address(), &flooder, LENGTH));
        let beside = calm_p99(product, server.address());
        (beside, flood.join().expect("a flood returns its errors"))
    });
    server.stop()?;

    let server = product.serve()?;
    let (stored, refused) = large(server.address(), product.keys()[0])?;
    let memory = memory::peak(server.pid())?;
    server.stop()?;
    Ok(Outcome { alone, beside: beside?, flood: flood?, stored, refused, memory })
}

/// The 99th percentile, in milliseconds, of single events at a rate that the server bears easily.
fn calm_p99(product: &Product, address: SocketAddr) -> Result<f64> {
    let rate = CALM_RATE.to_string();
    // A little shorter than the flood, which takes a moment to begin.
    let seconds = (LENGTH.as_secs() - 1).to_string();
    let arguments = ["--rate", &rate, "--seconds", &seconds, "--connections", "32"];
    let said = product.bench(address, product.keys()[1], &arguments)?;
    ensure!(
        said["events"]["refused"] == 0 && said["events"]["unsettled"] == 0,
        "not everything was taken: {said}"
    );
    said["latency_ms"]["p99"].as_f64().context("there is a p99")
}

/// Sends large events at once; answers with how many were stored and how many refused.
fn large(address: SocketAddr, key: &str) -> Result<(usize, usize)> {
    let text = "0123456789abcdef".repeat(LARGE_BYTES / 16 - 4);
    let body = format!(
        r#"{{"event_type":"custom_event","title":"large","source":{{"service":"s","endpoint":"/","method":"PUT"}},"payload":{{"text":"{text}"}}}}"#
    );
    let statuses: Vec<u16> = thread::scope(|scope| {
        let senders: Vec<_> = (0..LARGE)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(address)?;
                    client.status_of_post("/api/v1/ingestion/events", key, &body)
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().expect("a sender returns its errors"))
            .collect::<Result<_>>()
    })?;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    let (stored, refused) = (count(200), count(503));
    ensure!(stored + refused == LARGE, "the answers were {statuses:?}");
    Ok((stored, refused))
}

/// The section of the report.
pub(crate) fn write(outcome: &Outcome) -> String {
    let verdict = |is_met: bool| if is_met { "met" } else { "**not met**" };
    let moved = outcome.beside / outcome.alone;
    format!(
        "A tenant with {CALM_RATE} events/s has a p99 of {:.2} ms alone, and of {:.2} ms beside one that may store {LIMIT} a \
         minute and sends {:.0} requests/s, {moved:.2} times as long (gate: ≤ {MOST_MOVED}, {}).\n\n\
         Of {LARGE} events of 10 MiB at once, {} were stored and {} refused with 503; the server took {:.0} MiB of memory at \
         most (gate: ≤ {} MiB, {}).\n",
        outcome.alone,
        outcome.beside,
        outcome.flood,
        verdict(moved <= MOST_MOVED),
        outcome.stored,
        outcome.refused,
        outcome.memory as f64 / f64::from(1 << 20),
        MOST_MEMORY >> 20,
        verdict(outcome.memory <= MOST_MEMORY),
    )
}
