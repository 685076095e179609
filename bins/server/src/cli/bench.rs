//! `pulsestream bench`.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::json;
use url::Url;

use super::{output::Output, secret::KeyArgument};
use crate::{
    client::Client,
    compose,
    import::HttpSink,
    load::{self, Histogram, Outcome, Plan},
};

/// As long as a server may take for a request.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Events are stored: give a tenant of its own to it.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The server
    #[arg(long)]
    url: Url,
    /// API key of the tenant that gets the events, or `-` to read it from standard input
    #[arg(long)]
    key: KeyArgument,
    /// Requests under way at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Events in a request
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    batch: u32,
    /// Events per second, sent on time whether the server is slow or not; latencies then count from when a
    /// request was due. Without it each connection sends its next request as soon as it has an answer
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    rate: Option<f64>,
    /// How long to send
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

fn parse_rate(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(rate) if (0.001..=1e7).contains(&rate) => Ok(rate),
        _ => Err("must be a number of events from 0.001 to 10000000"),
    }
}

/// Sends events and prints what came of them.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<()> {
    let Arguments { url, key, connections, batch, rate, seconds } = arguments;
    let client = Client::new(&url, Some(key.read()?), TIMEOUT)?;
    let plan = Plan { connections, batch, rate, length: Duration::from_secs(seconds.into()) };
    let sink = Arc::new(HttpSink::new(client));
    let (outcome, elapsed) = load::run(plan, sink, compose::clock(), compose::ids()).await?;
    report(&outcome, elapsed, output).context("printing")?;
    ensure!(
        outcome.stored + outcome.duplicates > 0,
        "nothing was stored: {}",
        outcome.trouble.as_deref().unwrap_or("every event was refused")
    );
    Ok(())
}

const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

fn report(outcome: &Outcome, elapsed: Duration, output: Output) -> std::io::Result<()> {
    let rate = outcome.stored as f64 / elapsed.as_secs_f64();
    let times = &outcome.times;
    if output.is_json {
        let mut millis: serde_json::Map<_, _> = PERCENTILES
            .map(|(name, share)| (name.to_owned(), json!(in_millis(times.percentile(share)))))
            .into_iter()
            .collect();
        millis.insert("max".to_owned(), json!(in_millis(times.longest())));
        return output.json(&json!({
            "events": outcome,
            "requests": times.len(),
            "elapsed_seconds": elapsed.as_secs_f64(),
            "stored_per_second": rate,
            "latency_ms": millis,
        }));
    }
    let Outcome { stored, duplicates, refused, unsettled, retries, .. } = outcome;
    let mut text = format!(
        "{stored} events stored in {:.1} s, {rate:.0} per second; {duplicates} stored before, {refused} refused, \
         {unsettled} not taken by the end\n{} requests, {retries} sent again",
        elapsed.as_secs_f64(),
        times.len()
    );
    if let Some(trouble) = &outcome.trouble {
        _ = write!(text, ", the last because {trouble}");
    }
    text += "\n\nlatency of requests\n";
    for (name, share) in PERCENTILES {
        _ = writeln!(text, "  {name:<6} {:>10.2} ms", in_millis(times.percentile(share)));
    }
    _ = writeln!(text, "  {:<6} {:>10.2} ms\n", "max", in_millis(times.longest()));
    output.text((text + &bars(times)).trim_end())
}

/// A line for each of the steps 1, 2, 5, 10 and so on in which there is anything.
fn bars(times: &Histogram) -> String {
    const WIDTH: f64 = 50.0;
    let steps = (0..7).flat_map(|power| [100, 200, 500].map(|micros| micros * 10_u64.pow(power)));
    let (mut text, mut before) = (String::new(), 0);
    for micros in steps {
        let so_far = times.up_to(Duration::from_micros(micros));
        let here = so_far - before;
        before = so_far;
        if here == 0 {
            continue;
        }
        let share = here as f64 / times.len() as f64;
        let bar = "#".repeat((share * WIDTH).ceil() as usize);
        _ = writeln!(text, "  ≤ {:>9} ms  {here:>9}  {:>5.1} %  {bar}", micros as f64 / 1e3, share * 100.0);
    }
    text
}

fn in_millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1e3
}
