//! Logs, metrics and panics.

mod json_lines;
mod line_buffer;

use std::{io::IsTerminal, panic, time::Duration};

use anyhow::{Context, Result, ensure};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{self, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::settings::{Log, LogFormat};
use json_lines::JsonLines;
use line_buffer::LineBuffer;
pub(crate) use line_buffer::LogGuard;

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Reads a filter such as `info,pulsestream_api=debug`.
///
/// # Errors
/// When a level is not known, or a module or a level is empty.
pub(crate) fn filter(text: &str) -> Result<Targets> {
    // The parser takes `=` for something.
    let is_whole = text.split(',').flat_map(|part| part.split('=')).all(|side| !side.trim().is_empty());
    ensure!(is_whole, "a module or a level is empty");
    Ok(text.parse()?)
}

/// Starts logging to standard error, which leaves standard output to what was asked for.
///
/// What was not written yet is written when the guard is dropped; a process that is killed loses its last lines.
///
/// # Errors
/// When the filter can't be read, or logging was started before.
pub(crate) fn start_logs(settings: &Log) -> Result<LogGuard> {
    let is_pretty = match settings.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let (buffer, guard) = LineBuffer::start(std::io::stderr()).context("starting the thread of the log")?;
    let lines = fmt::layer().with_writer(buffer);
    let layer = if is_pretty {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines.fmt_fields(JsonFields::new()).event_format(JsonLines).boxed()
    };
    let filter = filter(&settings.filter).context("reading log.filter")?;
    // For the whole log, not for this layer: what it leaves out then costs nothing.
    tracing_subscriber::registry().with(layer).with(filter).try_init().context("starting the log")?;
    log_panics();
    Ok(guard)
}

/// Starts collecting metrics; the handle renders them.
///
/// # Errors
/// When collecting was started before.
pub(crate) fn start_metrics() -> Result<PrometheusHandle> {
    /// In seconds: from a commit on a fast disk to the longest a handler may take.
    const BUCKETS: [f64; 14] =
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(metrics_exporter_prometheus::Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
        .context("setting the buckets of histograms")?
        .install_recorder()
        .context("installing the metrics recorder")
}

/// Keeps histograms small while nobody asks for them, until told to stop.
pub(crate) async fn keep_up(metrics: PrometheusHandle, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        metrics.run_upkeep();
    }
}

/// A panic becomes one line of the log, whichever thread it is on.
fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current();
        tracing::error!(
            panic.place = place,
            panic.message = message,
            thread.name = thread.name().unwrap_or_default(),
            "a thread panicked: this is a bug"
        );
    }));
}
