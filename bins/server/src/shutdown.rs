//! How a server ends: it stops being ready, goes on for a moment, finishes what it has begun, and closes.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use anyhow::{Context, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{compose::Service, settings::Server};

/// What all the steps after the last request may take together.
const CLOSING: Duration = Duration::from_secs(5);

/// The two signals that ask a server to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on the signals are waited for instead of ending the process.
    ///
    /// # Errors
    /// When the system does not let them be waited for.
    pub(crate) fn listen() -> Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// The name of the next one.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// A server ended with something unfinished.
#[derive(Debug)]
pub(crate) struct Abandoned;

/// What has to end.
pub(crate) struct Running {
    pub(crate) service: Service,
    pub(crate) listener: ServerHandle,
    /// The listener for whoever runs the service. It goes on until everything else has ended.
    pub(crate) operations: Option<ServerHandle>,
    /// The work on rules and notices.
    pub(crate) jobs: TaskTracker,
    pub(crate) stop_jobs: CancellationToken,
    pub(crate) background: TaskTracker,
    pub(crate) stop_background: CancellationToken,
}

/// Drains, within its time and unless another signal comes.
///
/// # Errors
/// When not everything was finished. The log says what was abandoned.
pub(crate) async fn drain(
    running: &Running,
    settings: &Server,
    signals: &mut Signals,
) -> Result<(), Abandoned> {
    let whole = settings.drain_delay + settings.finish_timeout + CLOSING;
    let abandoned = tokio::select! {
        // A signal that came twice at once is the first to be noticed.
        biased;
        name = signals.next() => Some(format!("a second signal, {name}, came")),
        finished = timeout(whole, finish(running, settings)) => match finished {
            Ok(abandoned) => abandoned,
            Err(_) => Some("the time for it was over".to_owned()),
        },
    };
    match abandoned {
        None => {
            tracing::info!("stopped: everything was finished");
            Ok(())
        }
        Some(why) => {
            let vitals = running.service.ingestion.vitals();
            tracing::error!(
                queue.depth = vitals.queue_depth,
                "stopped before everything was finished, because {why}: clients of abandoned requests got no answer"
            );
            Err(Abandoned)
        }
    }
}

/// The steps, in order. The answer is why some of it was abandoned.
async fn finish(running: &Running, settings: &Server) -> Option<String> {
    let Running { service, listener, operations, background, stop_background, .. } = running;
    service.state.start_draining();
    tracing::info!(drain.delay_ms = millis(settings.drain_delay), "stopping: not ready from now on");
    sleep(settings.drain_delay).await;

    // Before the listener: connections to the database that requests have opened end with its threads, also under those
    // who borrowed them.
    running.stop_jobs.cancel();
    running.jobs.close();
    running.jobs.wait().await;

    // Stops accepting at once. Workers that are not done in time are ended by actix itself, a little later.
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("drain_cuts") {
        listener.stop(false).await;
        return None;
    }
    let is_done = timeout(settings.finish_timeout, listener.stop(true)).await.is_ok();
    service.ingestion.drain().await;
    service.state.finish().await;
    stop_background.cancel();
    if let Some(operations) = operations {
        operations.stop(false).await;
    }
    background.close();
    background.wait().await;
    service.store.close().await;
    (!is_done).then(|| "requests took longer than server.finish_timeout".to_owned())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
