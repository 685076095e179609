//! `pulsestream serve`: from settings to a listening server, and to its end.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{self, ExitCode},
    thread::available_parallelism,
    time::Duration,
};

use actix_web::{HttpServer, dev::Server};
use anyhow::{Context, Result};
use pulsestream_storage::Store;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing_appender::non_blocking::WorkerGuard;

use crate::{
    compose::{self, Service},
    first_start,
    settings::{self, Settings},
    shutdown::{self, Running, Signals},
    telemetry,
};

const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
const REPROCESS_INTERVAL: Duration = Duration::from_secs(1);
const REPROCESS_EVENTS: u32 = 500;

/// Serves until a signal comes, then drains. The log is written to its end whichever way it goes.
///
/// # Errors
/// When the server can't start. Nothing was printed or made by then that a later start would miss.
pub(crate) async fn serve(settings: Settings, log: WorkerGuard) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let metrics = telemetry::start_metrics()?;
    // Before the store is touched: an address in use must not cost the one sight of the first key.
    let listener = TcpListener::bind(settings.server.bind)
        .with_context(|| format!("server.bind: listening on {}", settings.server.bind))?;
    let address = listener.local_addr().context("asking for the address in use")?;
    let service = compose::service(&settings, address, metrics.clone()).await?;
    welcome(&service.store, address).await?;

    let server = http_server(&settings.server, listener, &service)?;
    let running = Running {
        listener: server.handle(),
        background: TaskTracker::new(),
        stop_background: CancellationToken::new(),
        service,
    };
    let reprocessing = reprocess(running.service.store.clone(), running.stop_background.clone());
    running.background.spawn(reprocessing);
    let forgetting = forget_expired(running.service.store.clone(), running.stop_background.clone());
    running.background.spawn(forgetting);
    running.background.spawn(telemetry::keep_up(metrics, running.stop_background.clone()));
    let mut serving = tokio::spawn(server);
    announce(&settings.server, address, running.service.store.database().as_str())?;

    tokio::select! {
        name = signals.next() => tracing::info!(signal = name, "{name} received"),
        ended = &mut serving => {
            ended.context("the listener panicked")?.context("the listener failed")?;
            anyhow::bail!("the listener ended by itself");
        }
    }
    let drained = shutdown::drain(&running, &settings.server, &mut signals).await;
    if let Some(path) = &settings.server.address_file {
        // Nobody listens there any more. That it is gone already is fine.
        let _ = fs::remove_file(path);
    }
    if drained.is_err() {
        // Returning would wait for the very work that was abandoned. The log says what it was.
        drop(log);
        process::exit(1);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the first tenant, and prints its key while somebody can see it.
async fn welcome(store: &Store, address: SocketAddr) -> Result<()> {
    let made = first_start::ensure_default_tenant(store, &*compose::clock(), &*compose::ids()).await?;
    if let Some((_, key)) = made {
        say(&first_start::welcome(&first_start::base_url(address), &key))
            .context("the API key could not be shown: make another one with `pulsestream key create`")?;
    }
    Ok(())
}

fn http_server(settings: &settings::Server, listener: TcpListener, service: &Service) -> Result<Server> {
    let workers = match settings.workers {
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let state = service.state.clone();
    let server = HttpServer::new(move || pulsestream_api::app(state.clone()))
        .workers(workers)
        .max_connections(settings.max_connections.div_ceil(workers))
        .client_request_timeout(settings.header_timeout)
        .client_disconnect_timeout(settings.disconnect_timeout)
        .keep_alive(settings.keep_alive)
        .shutdown_timeout(settings.finish_timeout.as_secs() + 1)
        .disable_signals()
        .listen(listener)
        .context("server.bind: taking over the listener")?;
    Ok(server.run())
}

/// Tells the address: in the log, on standard output, and in a file for whoever started the server.
fn announce(settings: &settings::Server, address: SocketAddr, database: &str) -> Result<()> {
    let url = format!("http://{address}");
    tracing::info!(server.url = url, database, version = env!("CARGO_PKG_VERSION"), "listening on {url}");
    // With nobody left to read it, it is in the log.
    let _ = say(&format!("listening on {url}"));
    settings.address_file.as_deref().map_or(Ok(()), |path| {
        write_whole(path, &url).with_context(|| format!("server.address_file: writing {}", path.display()))
    })
}

/// Writes a file so that a reader finds all of it or none.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    fs::write(&unfinished, format!("{text}\n"))?;
    fs::rename(&unfinished, path)
}

fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Removes expired sessions and tokens now and then, until told to stop. Any instance may, also several at once.
async fn forget_expired(store: Store, stop: CancellationToken) {
    let mut ticks = interval(FORGET_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        // They are good for nothing either way: the next time will do.
        if let Err(error) = store.forget_expired_credentials(compose::clock().now()).await {
            tracing::debug!(%error, "expired sessions and tokens are not forgotten yet");
        }
    }
}

/// Processes events again that somebody asked for, until told to stop.
async fn reprocess(store: Store, stop: CancellationToken) {
    let mut ticks = interval(REPROCESS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match store.reprocess_pending(REPROCESS_EVENTS).await {
            Ok(events) => {
                is_failing = false;
                if events > 0 {
                    tracing::debug!(event.count = events, "processed {events} events again");
                }
            }
            // Once per outage, not once per second.
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(error = &error as &dyn std::error::Error, "pending events can't be processed");
            }
            Err(_) => {}
        }
    }
}
