//! `pulsestream import`.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::{
    output::Output,
    target::{Reached, Target},
};
use crate::{
    compose,
    import::{self, Format, HttpSink, Mapping, Sink, StoreSink, Tally, Unlimited},
    settings::Settings,
};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What to read, plain or gzip; `-` is standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// How to read it; without it, the first line tells
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    target: Target,
    /// `source.service` of requests from access logs; 1 to 100 characters
    #[arg(long, default_value = "web", value_parser = parse_service)]
    service: String,
    /// `source.environment` of requests from access logs; 1 to 50 characters
    #[arg(long, value_parser = parse_environment)]
    environment: Option<String>,
    /// `metrics.response_time_ms` of requests whose log has no times, as common and combined logs.
    ///
    /// An event can't have a status code without a response time, so one has to be made up. Each such event
    /// has `"response_time_assumed": true` in its metadata. Percentiles over them mean nothing.
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = parse_milliseconds)]
    response_time_ms: f64,
}

fn parse_service(text: &str) -> Result<String, &'static str> {
    let fits = (1..=100).contains(&text.chars().count());
    if fits { Ok(text.to_owned()) } else { Err("must have 1 to 100 characters") }
}

fn parse_environment(text: &str) -> Result<String, &'static str> {
    let fits = (1..=50).contains(&text.chars().count());
    if fits { Ok(text.to_owned()) } else { Err("must have 1 to 50 characters") }
}

fn parse_milliseconds(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) && value >= 0.0 => Ok(value),
        _ => Err("must be a number of milliseconds, not negative"),
    }
}

/// Runs the import and reports, also when it stops half-way.
pub(crate) async fn run(arguments: Arguments, settings: &Settings, output: Output) -> Result<()> {
    let Arguments { file, format, target, service, environment, response_time_ms } = arguments;
    ensure!(
        !(target.reads_standard_input() && file.as_os_str() == "-"),
        "standard input can't be both the key and the file"
    );
    let source = import::open(&file)?;
    let mapping = Mapping { service, environment, response_time_ms };
    let (tally, outcome) = match target.reach(settings).await? {
        Reached::Server(client) => run_into(source, format, mapping, &HttpSink::new(client)).await,
        Reached::Store { store, tenant } => {
            let ingestion = compose::ingestion(settings, &store, Arc::new(Unlimited));
            let sink = StoreSink::new(ingestion.clone(), tenant);
            let done = run_into(source, format, mapping, &sink).await;
            ingestion.drain().await;
            store.close().await;
            done
        }
    };
    report(&tally, response_time_ms, output)?;
    outcome.context("the import stopped; run it again to go on, what is stored stays stored once")
}

async fn run_into(
    source: import::Source,
    format: Option<Format>,
    mapping: Mapping,
    sink: &dyn Sink,
) -> (Tally, Result<()>) {
    import::run(source, format, mapping, sink).await
}

fn report(tally: &Tally, response_time_ms: f64, output: Output) -> Result<()> {
    for line in tally.bad_lines() {
        eprintln!("{line}");
    }
    if tally.assumed_response_times > 0 && tally.stored > 0 {
        eprintln!(
            "{} events have a response time that was made up, {response_time_ms} ms, because the log has none: \
             percentiles over them mean nothing (see --response-time-ms)",
            tally.assumed_response_times
        );
    }
    output.done(&tally.to_string(), tally).context("printing")
}
