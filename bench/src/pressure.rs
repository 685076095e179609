//! What others may cost: a tenant that floods.

use std::{net::SocketAddr, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{load::Load, product::Product, report::verdict, stage::Stage};

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

/// What came out.
pub(crate) struct Outcome {
    /// 99th percentile of the calm tenant in milliseconds, alone and beside the flood.
    alone: f64,
    beside: f64,
    /// Requests per second that the flood came to.
    flood: f64,
}

/// Measures a calm tenant alone, then beside a flood.
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
    Ok(Outcome { alone, beside: beside?, flood: flood? })
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

/// The section of the report.
pub(crate) fn write(outcome: &Outcome) -> String {
    let moved = outcome.beside / outcome.alone;
    format!(
        "A tenant with {CALM_RATE} events/s has a p99 of {:.2} ms alone, and of {:.2} ms beside one that may store {LIMIT} a \
         minute and sends {:.0} requests/s, {moved:.2} times as long (gate: ≤ {MOST_MOVED}, {}).\n",
        outcome.alone,
        outcome.beside,
        outcome.flood,
        verdict(moved <= MOST_MOVED),
    )
}
