//! The one place where the parts meet.

use std::{fs::DirBuilder, net::SocketAddr, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use actix_web::web::Data;
use anyhow::{Context, Result, ensure};
use metrics_exporter_prometheus::PrometheusHandle;
use pulsestream_api::{Alerting, AppState, Parts};
use pulsestream_domain::{
    identity::Origin,
    ports::{Clock, EventStore, IdSource},
};
use pulsestream_identity::{Identity, entropy::SystemEntropy};
use pulsestream_ingestion::{Ingestion, SystemClock, SystemIds};
use pulsestream_rate_limit::{Limiter, LocalLimiter, RedisLimiter};
use pulsestream_storage::Store;

use crate::{
    alerting, first_start,
    mail::{self, AccountLetters},
    secret_key::secret_key,
    settings::{Database, Redis, Settings},
    tenancy,
};

/// What runs, apart from the listener.
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) ingestion: Ingestion,
    pub(crate) alerting: Alerting,
    pub(crate) state: Data<AppState>,
}

/// The real clock.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// The real source of ids.
pub(crate) fn ids() -> Arc<dyn IdSource> {
    Arc::new(SystemIds::default())
}

/// Who and when, for a change that a command makes.
pub(crate) fn operator() -> Origin {
    tenancy::by_operator(&*clock(), &*ids())
}

/// Opens the store, with its schema up to date.
///
/// # Errors
/// When it can't be reached, could lose what it acknowledges, or has another schema than this build needs.
/// The text starts with the setting to look at and holds no password.
pub(crate) async fn store(settings: &Settings) -> Result<Store> {
    let store = connect(settings).await?;
    if settings.database.migrate_on_start {
        store.migrate().await.context("database.url")?;
    } else {
        let pending = store.pending_migrations().await.context("database.url")?;
        ensure!(
            pending == 0,
            "the database's schema is {pending} steps behind: run `pulsestream migrate`, or set \
             database.migrate_on_start = true"
        );
    }
    let ahead = store.steps_ahead().await.context("database.url")?;
    if let Some(last) = ahead.last() {
        tracing::warn!(
            "the database's schema is {} steps ahead of this version, up to {last}: it works on, and should be replaced by \
             the version that others run",
            ahead.len()
        );
    }
    Ok(store)
}

/// Makes or drops the index of words, as the settings say, or makes sure that somebody did. A server's business: what else
/// works on the store finds and stores the same with an index and without.
async fn arrange_text_index(settings: &Settings, store: &Store) -> Result<()> {
    if settings.database.migrate_on_start {
        return store.arrange_text_index().await.context("search.text_index");
    }
    ensure!(
        store.is_text_index_arranged().await.context("search.text_index")?,
        "search.text_index is {}, and the database is not arranged for that yet: run `pulsestream migrate`, or set \
         database.migrate_on_start = true",
        settings.search.text_index.as_str()
    );
    Ok(())
}

/// Opens the store, whatever its schema is.
///
/// # Errors
/// Those of [`store`], but for the schema.
pub(crate) async fn connect(settings: &Settings) -> Result<Store> {
    Store::connect(&settings.store(database_url(&settings.database)?)).await.context("database.url")
}

/// Where the store is.
///
/// # Errors
/// When that is a directory that can't be made.
pub(crate) fn database_url(settings: &Database) -> Result<String> {
    match settings.url.reveal() {
        Some(url) => Ok(url.to_owned()),
        None => sqlite_in(&settings.data_dir).context("database.data_dir"),
    }
}

/// Makes a directory for this user alone, when it is missing.
///
/// # Errors
/// When it can't be made.
pub(crate) fn make_directory(directory: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("making the directory {}", directory.display()))
}

/// The URL of the database file in a directory, which is made when it is missing.
fn sqlite_in(directory: &Path) -> Result<String> {
    make_directory(directory)?;
    let path = directory.join("pulsestream.db");
    let path = path.to_str().context("the path is not UTF-8")?;
    // In a URL these two mean something else.
    Ok(format!("sqlite://{}", path.replace('%', "%25").replace('?', "%3F")))
}

/// Puts the ingestion service together over a store.
pub(crate) fn ingestion(settings: &Settings, store: &Store, limiter: Arc<dyn Limiter>) -> Ingestion {
    let store: Arc<dyn EventStore> = Arc::new(store.clone());
    Ingestion::new(store, limiter, clock(), ids(), settings.ingestion.service())
}

/// Puts the whole service together.
///
/// # Errors
/// Those of [`store`], when the index of words can't be made or dropped, when there is no secret to sign with or no key to seal secrets with, when `redis.url` is no
/// address of a Redis, and when the mail server makes no sense. A Redis or a mail server that is away is no error.
pub(crate) async fn service(
    settings: &Settings,
    address: SocketAddr,
    metrics: PrometheusHandle,
) -> Result<Service> {
    let secret = secret_key(settings)?;
    let (limiter, degraded) = limiter(&settings.redis).await?;
    let store = store(settings).await?;
    arrange_text_index(settings, &store).await?;
    let mailer = mail::mailer(&settings.smtp)?;
    let mut identity = Identity::new(&secret, Arc::clone(&limiter), Arc::new(SystemEntropy));
    if let Some(mailer) = mailer.clone() {
        identity = identity.with_mail(Arc::new(AccountLetters { mailer, clock: clock(), ids: ids() }));
    }
    let ingestion = ingestion(settings, &store, limiter);
    let entropy = tenancy::entropy().context("making the secret of cursors")?;
    let cursor_key = store.cursor_key(entropy).await.context("reading the secret of cursors")?;
    let mut api = settings.api();
    if api.public_url.is_empty() {
        api.public_url = first_start::base_url(settings.tls.scheme(), address);
    }
    let alerting = alerting::parts(settings, &store, mailer)?;
    let state = AppState::new(Parts {
        ingestion: ingestion.clone(),
        store: store.clone(),
        identity,
        cursor_key,
        clock: clock(),
        ids: ids(),
        metrics,
        degraded,
        alerting: alerting.clone(),
        settings: api,
    });
    Ok(Service { store, ingestion, alerting, state: Data::new(state) })
}

/// Names what is away although the service can do without it.
type Degraded = Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>;

async fn limiter(settings: &Redis) -> Result<(Arc<dyn Limiter>, Degraded)> {
    let Some(url) = settings.url.reveal() else {
        return Ok((Arc::new(LocalLimiter::new()), Arc::new(Vec::new)));
    };
    let limiter = RedisLimiter::connect(url).await.context("redis.url")?;
    let shared = limiter.clone();
    let degraded = move || if shared.is_falling_back() { vec!["redis"] } else { Vec::new() };
    Ok((Arc::new(limiter), Arc::new(degraded)))
}
