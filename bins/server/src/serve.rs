//! `pulsestream serve`: from settings to a listening server, and to its end.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{self, ExitCode},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};

use actix_web::{HttpServer, dev::Server, web::Data};
use anyhow::{Context, Result};
use pulsestream_api::AppState;
use pulsestream_storage::{Database, Store};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    alerting, compose, first_start, retention,
    settings::{self, Settings},
    shutdown::{self, Running, Signals},
    telemetry::{self, LogGuard},
    tls::{self, Certificate},
};

/// How many clients may wait for their connection to be accepted. One that finds no room tries again after a second, then
/// two, then four. The system may allow fewer.
const CONNECTION_BACKLOG: i32 = 4_096;
const FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
const REPROCESS_INTERVAL: Duration = Duration::from_secs(1);
const REPROCESS_EVENTS: u32 = 500;

/// Serves until a signal comes, then drains. The log is written to its end whichever way it goes.
///
/// # Errors
/// When the server can't start. Nothing was printed or made by then that a later start would miss.
pub(crate) async fn serve(settings: Settings, log: LogGuard) -> Result<ExitCode> {
    let mut signals = Signals::listen()?;
    let metrics = telemetry::start_metrics()?;
    // Before the store is touched: an address in use or a missing file must not cost the one sight of the first key.
    let certificate = Certificate::load(&settings.tls)?;
    let listener = listen("server.bind", settings.server.bind)?;
    let operations_listener =
        settings.server.operations_bind.map(|bind| listen("server.operations_bind", bind)).transpose()?;
    let operations_address = operations_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let address = listener.local_addr().context("asking for the address in use")?;
    let base_url = first_start::base_url(settings.tls.scheme(), address);
    let service = compose::service(&settings, address, metrics.clone()).await?;
    welcome(&service.store, &base_url).await?;
    retention::schedule(&service.store, &*compose::clock(), &*compose::ids())
        .await
        .context("scheduling the removal of events")?;
    warn_of_open_doors(&settings, address, &service.store);

    let server = http_server(&settings.server, listener, &service.state, certificate.as_ref())?;
    let operations = operations_listener
        .map(|listener| operations_server(&settings.server, listener, &service.state))
        .transpose()?;
    let running = Running {
        listener: server.handle(),
        operations: operations.as_ref().map(Server::handle),
        jobs: TaskTracker::new(),
        stop_jobs: CancellationToken::new(),
        background: TaskTracker::new(),
        stop_background: CancellationToken::new(),
        service,
    };
    let Running { background, stop_background, .. } = &running;
    background.spawn(reprocess(running.service.store.clone(), stop_background.clone()));
    background.spawn(forget_expired(running.service.store.clone(), stop_background.clone()));
    let workers = alerting::start(&settings, &running.service.store, &running.service.alerting);
    running.jobs.spawn(alerting::work(workers, running.stop_jobs.clone()));
    background.spawn(telemetry::keep_up(metrics, stop_background.clone()));
    if let Some(certificate) = certificate {
        background.spawn(certificate.reload_on(tls::hangup()?, stop_background.clone()));
    } else if settings.server.is_public(address) {
        tracing::warn!(
            "API keys travel in the clear on {address}: set tls.certificate and tls.key, or put a proxy that speaks \
             TLS before the server and name it in server.trusted_proxies"
        );
    }
    if let Some(operations) = operations {
        let url = operations_address.map_or_else(String::new, |address| format!("http://{address}"));
        tracing::info!(server.operations_url = url, "operations on {url}");
        background.spawn(serve_operations(operations));
    }
    let mut serving = tokio::spawn(server);
    let url = format!("{}://{address}", settings.tls.scheme());
    announce(&settings.server, &url, running.service.store.database().as_str())?;

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

/// Says what whoever runs this may not know: who else gets in, and which wall is missing.
fn warn_of_open_doors(settings: &Settings, address: SocketAddr, store: &Store) {
    if settings.lets_strangers_register(address) {
        tracing::warn!("everybody who reaches {address} may make a tenant: auth.registration is open");
    }
    if store.database() == Database::Postgres && !store.has_wall() {
        tracing::warn!(
            "row-level security is off: the database user may not make a role. Run `pulsestream migrate` once as a \
             user with CREATEROLE"
        );
    }
}

/// Makes the first tenant, and prints its key while somebody can see it.
async fn welcome(store: &Store, base_url: &str) -> Result<()> {
    let made = first_start::ensure_default_tenant(store, &*compose::clock(), &*compose::ids()).await?;
    if let Some((_, key)) = made {
        say(&first_start::welcome(base_url, &key))
            .context("the API key could not be shown: make another one with `pulsestream key create`")?;
    }
    Ok(())
}

fn listen(setting: &'static str, address: SocketAddr) -> Result<TcpListener> {
    // The standard library lets 128 wait, and never says so.
    let listening = TcpListener::bind(address).and_then(|listener| {
        rustix::net::listen(&listener, CONNECTION_BACKLOG)?;
        Ok(listener)
    });
    listening.with_context(|| format!("{setting}: listening on {address}"))
}

fn http_server(
    settings: &settings::Server,
    listener: TcpListener,
    state: &Data<AppState>,
    certificate: Option<&Arc<Certificate>>,
) -> Result<Server> {
    let workers = match settings.workers {
        0 => available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let app_state = state.clone();
    let server = HttpServer::new(move || pulsestream_api::app(app_state.clone()))
        .workers(workers)
        .max_connections(settings.max_connections.div_ceil(workers))
        .client_request_timeout(settings.header_timeout)
        .client_disconnect_timeout(settings.disconnect_timeout)
        .tls_handshake_timeout(settings.header_timeout)
        .keep_alive(settings.keep_alive)
        .tcp_nodelay(true)
        .shutdown_timeout(settings.finish_timeout.as_secs() + 1)
        .on_connect(pulsestream_api::on_connect(state.clone()))
        .disable_signals();
    let server = match certificate {
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.server_config()?),
        None => server.listen(listener),
    };
    Ok(server.context("server.bind: taking over the listener")?.run())
}

/// The listener for whoever runs the service: few requests, and none that wait for anything long.
fn operations_server(
    settings: &settings::Server,
    listener: TcpListener,
    state: &Data<AppState>,
) -> Result<Server> {
    let state = state.clone();
    let server = HttpServer::new(move || pulsestream_api::operations_app(state.clone()))
        .workers(1)
        .client_request_timeout(settings.header_timeout)
        .client_disconnect_timeout(settings.disconnect_timeout)
        .keep_alive(settings.keep_alive)
        .disable_signals()
        .listen(listener)
        .context("server.operations_bind: taking over the listener")?;
    Ok(server.run())
}

async fn serve_operations(server: Server) {
    if let Err(error) = server.await {
        tracing::error!(error = &error as &dyn std::error::Error, "the listener for operations failed");
    }
}

/// Tells the address: in the log, on standard output, and in a file for whoever started the server.
fn announce(settings: &settings::Server, url: &str, database: &str) -> Result<()> {
    tracing::info!(server.url = url, database, version = env!("CARGO_PKG_VERSION"), "listening on {url}");
    // With nobody left to read it, it is in the log.
    let _ = say(&format!("listening on {url}"));
    settings.address_file.as_deref().map_or(Ok(()), |path| {
        write_whole(path, url).with_context(|| format!("server.address_file: writing {}", path.display()))
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
