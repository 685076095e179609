//! What all requests share.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};
use metrics_exporter_prometheus::PrometheusHandle;
use pulsestream_domain::{
    Timestamp,
    ports::{Clock, IdSource},
    search::CursorKey,
};
use pulsestream_identity::{Identity, signatures::SeenMessages};
use pulsestream_ingestion::Ingestion;
use pulsestream_storage::Store;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::{
    Settings,
    alerting::Alerting,
    body::{BodyBudget, BodyLimits},
    caller::{Callers, Members, Rechecks, StoredMessages},
    connections::Connections,
    in_flight::InFlight,
    observed::{Health, Observed, Readiness},
};

/// How many mails about accounts may be on their way. What is beyond is not sent: whoever wants one asks again.
const MAILS_UNDER_WAY: usize = 16;

/// What the HTTP surface is put together from.
pub struct Parts {
    /// Takes events in.
    pub ingestion: Ingestion,
    /// Finds events, tenants, keys and users.
    pub store: Store,
    /// Tells who somebody is and what they may do.
    pub identity: Identity,
    /// Seals cursors; shared by all instances on one store.
    pub cursor_key: CursorKey,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where ids of requests, batches and searches come from.
    pub ids: Arc<dyn IdSource>,
    /// What `GET /metrics` shows.
    pub metrics: PrometheusHandle,
    /// Names what is away although the service can do without it, such as `redis`.
    pub degraded: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// Evaluates rules and tells people, when somebody asks for it.
    pub alerting: Alerting,
    /// How much to take on.
    pub settings: Settings,
}

/// What all requests share. Made once, given to every worker's [`app`](crate::app()).
pub struct AppState {
    pub(crate) ingestion: Ingestion,
    pub(crate) store: Store,
    pub(crate) cursors: CursorKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) degraded: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    pub(crate) alerting: Alerting,
    pub(crate) settings: Settings,
    pub(crate) callers: Callers,
    pub(crate) members: Members,
    pub(crate) rechecks: Rechecks,
    pub(crate) identity: Identity,
    pub(crate) messages: Arc<dyn SeenMessages>,
    /// Mails that are on their way.
    pub(crate) mails: TaskTracker,
    pub(crate) mail_permits: Arc<Semaphore>,
    pub(crate) bodies: BodyLimits,
    pub(crate) connections: Arc<Connections>,
    pub(crate) requests: Arc<InFlight>,
    pub(crate) exports: Arc<InFlight>,
    pub(crate) health: Observed<Health>,
    pub(crate) readiness: Observed<Readiness>,
    pub(crate) started_at: Timestamp,
    is_draining: AtomicBool,
}

impl AppState {
    /// Puts the surface together. Starts nothing.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            ingestion,
            store,
            identity,
            cursor_key,
            clock,
            ids,
            metrics,
            degraded,
            alerting,
            settings,
        } = parts;
        Self {
            callers: Callers::new(store.clone(), settings.key_cache_life),
            members: Members::new(store.clone(), settings.key_cache_life),
            rechecks: Rechecks::new(&store, settings.key_cache_life),
            messages: Arc::new(StoredMessages(store.clone())),
            mails: TaskTracker::new(),
            mail_permits: Arc::new(Semaphore::new(MAILS_UNDER_WAY)),
            identity,
            bodies: BodyLimits {
                max_bytes: settings.max_body_bytes,
                timeout: settings.body_timeout,
                budget: BodyBudget::new(settings.max_body_bytes_in_flight),
                large_bodies: ingestion.large_bodies(),
            },
            connections: Connections::new(
                settings.max_connections_per_address,
                settings.uncapped_networks.clone(),
                settings.trusted_proxies.clone(),
            ),
            requests: InFlight::new(settings.max_requests_in_flight),
            exports: InFlight::new(settings.max_exports),
            health: Observed::default(),
            readiness: Observed::default(),
            started_at: clock.now(),
            is_draining: AtomicBool::new(false),
            ingestion,
            store,
            cursors: cursor_key,
            clock,
            ids,
            metrics,
            degraded,
            alerting,
            settings,
        }
    }

    /// From now on `GET /readyz` sends traffic elsewhere. Requests are still answered.
    pub fn start_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Waits for what requests left to do behind them. Call it when no more requests come.
    pub async fn finish(&self) {
        self.callers.finish().await;
        self.rechecks.finish().await;
        self.mails.close();
        self.mails.wait().await;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Whole seconds since the start.
    pub(crate) fn uptime_seconds(&self) -> i64 {
        (self.clock.now().as_secs() - self.started_at.as_secs()).max(0)
    }
}

/// A handle on the state, as handlers take it.
#[derive(Clone)]
pub(crate) struct State(Data<AppState>);

impl State {
    /// The state of the app that a request came to.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self(request.app_data::<Data<AppState>>().expect("every app is made with its state").clone())
    }
}

impl Deref for State {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}

impl FromRequest for State {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}
