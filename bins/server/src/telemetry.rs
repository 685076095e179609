//! Logs, metrics and panics.

use std::{
    io::{BufWriter, IsTerminal},
    panic,
    time::Duration,
};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, filter::ParseError, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::settings::{Log, LogFormat};

const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Reads a filter such as `info,pulsestream_api=debug`.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(text)
}

/// Lines that may wait for the thread that writes them. Beyond it, whoever logs waits: none is dropped.
const WAITING_LINES: usize = 16 * 1024;
const WRITE_BYTES: usize = 64 * 1024;

/// Starts logging to standard error, which leaves standard output to what was asked for.
///
/// A thread of its own writes the lines, all that wait in one go: a line per request, each with a write of its
/// own, was a tenth of the work of storing single events. What waits is written when the guard is dropped; a
/// process that is killed loses its last lines.
///
/// # Errors
/// When the filter can't be read, or logging was started before.
pub(crate) fn start_logs(settings: &Log) -> Result<WorkerGuard> {
    let is_pretty = match settings.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(false)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(BufWriter::with_capacity(WRITE_BYTES, std::io::stderr()));
    let lines = fmt::layer().with_writer(writer);
    let layer = if is_pretty {
        lines.with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    let filter = filter(&settings.filter).context("reading log.filter")?;
    tracing_subscriber::registry().with(layer.with_filter(filter)).try_init().context("starting the log")?;
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
