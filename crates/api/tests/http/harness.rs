//! A surface with a database, a tenant and a key.

use std::{sync::Arc, time::Duration};

use actix_web::{
    dev::Service,
    http::{Method, StatusCode, header::HeaderMap},
    test::{self, TestRequest},
    web::{Bytes, Data},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use pulsestream_alerting::Evaluator;
use pulsestream_api::{Alerting, AppState, Parts, Settings, app};
use pulsestream_domain::{
    Timestamp,
    api_key::{ApiKey, Restrictions, Scope, StoredKey},
    identity::Origin,
    ports::{Clock, IdSource},
    search::{CursorKey, TextIndex},
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use pulsestream_identity::{Identity, SecretKey, entropy::SystemEntropy};
use pulsestream_ingestion::{Ingestion, SystemIds};
use pulsestream_notification::{
    Keyring, Notifier, NotifierSettings, OutboundPolicy, SealingKey, SystemResolver,
};
use pulsestream_rate_limit::LocalLimiter;
use pulsestream_storage::Store;
use pulsestream_testing::clock::FakeClock;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// What access tokens are signed with.
pub(crate) const SECRET: &str = "a secret of thirty-two bytes or more";

/// A surface, and everything behind it that tests look at or break.
pub(crate) struct Surface {
    pub(crate) state: Data<AppState>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<FakeClock>,
    /// The source of the surface itself: ids of one instant come in order.
    ids: Arc<SystemIds>,
    pub(crate) tenant_id: TenantId,
    /// May do everything with events.
    pub(crate) key: String,
    keys_made: std::cell::Cell<u8>,
    _folder: TempDir,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Surface {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::per_minute(10_000), |_| {}).await
    }

    pub(crate) async fn with(limits: Limits, change: impl FnOnce(&mut Parts)) -> Self {
        Self::indexing(TextIndex::Words, limits, change).await
    }

    /// Whose words are indexed, or not.
    pub(crate) async fn indexing(
        text_index: TextIndex,
        limits: Limits,
        change: impl FnOnce(&mut Parts),
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("events.db").display());
        let settings =
            pulsestream_storage::Settings { text_index, ..pulsestream_storage::Settings::new(url) };
        let store = Store::connect(&settings).await.expect("SQLite opens");
        store.migrate().await.expect("an empty database takes every migration");
        let clock = Arc::new(FakeClock::at(Timestamp::from_secs(1_800_000_000)));
        let ids = Arc::new(SystemIds::default());
        let ingestion = Ingestion::new(
            Arc::new(store.clone()),
            Arc::new(LocalLimiter::new()),
            clock.clone(),
            ids.clone(),
            pulsestream_ingestion::Settings::default(),
        );
        let secret: SecretKey = SECRET.parse().expect("it is long enough");
        let identity = Identity::new(&secret, Arc::new(LocalLimiter::new()), Arc::new(SystemEntropy));
        // A test may keep its one thread busy for long.
        let max_lag = Duration::from_secs(10);
        let settings = Settings { key_cache_life: Duration::from_secs(5), max_lag, ..Settings::default() };
        let mut parts = Parts {
            ingestion,
            store: store.clone(),
            identity,
            cursor_key: CursorKey([7; 32]),
            clock: clock.clone(),
            ids: ids.clone(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            degraded: Arc::new(Vec::new),
            alerting: alerting(&store, &clock),
            settings,
        };
        change(&mut parts);
        let mut surface = Self {
            state: Data::new(AppState::new(parts)),
            store,
            clock,
            ids,
            tenant_id: TenantId(Uuid::nil()),
            key: String::new(),
            keys_made: std::cell::Cell::new(0),
            _folder: folder,
        };
        (surface.tenant_id, surface.key) = surface.new_tenant("first", limits).await;
        surface
    }

    /// Makes a tenant with a key that may do everything with events.
    pub(crate) async fn new_tenant(&self, slug: &str, limits: Limits) -> (TenantId, String) {
        let tenant = Tenant {
            id: TenantId(Uuid::from_u128(u128::from(self.keys_made.get()) + 1)),
            name: slug.to_owned(),
            slug: slug.parse().expect("a slug"),
            limits,
            duplicate_policy: DuplicatePolicy::Strict,
            created_at: self.clock.now(),
        };
        self.store.create_tenant(&tenant, None, &self.origin()).await.expect("the tenant is new");
        let (key, _) = self.new_key(tenant.id, &[Scope::EventsWrite, Scope::EventsRead]).await;
        (tenant.id, key)
    }

    /// A change at the command line, now.
    pub(crate) fn origin(&self) -> Origin {
        let now = self.clock.now();
        Origin::operator(self.ids.uuid_v7(now), now)
    }

    pub(crate) async fn new_key(&self, tenant_id: TenantId, scopes: &[Scope]) -> (String, StoredKey) {
        self.keys_made.set(self.keys_made.get() + 1);
        let key = ApiKey::from_entropy([self.keys_made.get(); 32]);
        let stored = StoredKey {
            id: key.id().clone(),
            tenant_id,
            name: "test".to_owned(),
            digest: key.digest(),
            last_four: key.last_four().to_owned(),
            scopes: scopes.to_vec(),
            restrictions: Restrictions::default(),
            created_by: None,
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        };
        self.store.create_key(&stored, &self.origin()).await.expect("the key is new");
        (key.reveal().to_owned(), stored)
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: TestRequest) -> Answer {
        let app = test::init_service(app(self.state.clone())).await;
        let response = match app.call(request.to_request()).await {
            Ok(response) => response.into_parts().1.map_into_boxed_body(),
            // What the server makes of an error that leaves the app.
            Err(error) => error.error_response(),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = actix_web::body::to_bytes(response.into_body()).await;
        Answer { status, headers, body: body.unwrap_or_else(|_| panic!("the body broke off")) }
    }

    /// Sends a request with the key.
    pub(crate) async fn call(&self, method: Method, path: &str) -> Answer {
        self.send(self.request(method, path)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).await
    }

    /// Posts JSON with the key.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).set_json(body)).await
    }

    /// A request with the key.
    pub(crate) fn request(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::with_uri(path).method(method).insert_header(("x-api-key", self.key.clone()))
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The status and the problem's code; makes sure that it is a problem in full.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{:?}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert_eq!(self.headers.contains_key("retry-after"), matches!(self.status.as_u16(), 429 | 503));
        (self.status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned())
    }

    /// Makes sure that it is 200 with JSON.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        self.json()
    }
}

fn alerting(store: &Store, clock: &Arc<FakeClock>) -> Alerting {
    let settings = pulsestream_alerting::Settings::default();
    let ids = Arc::new(SystemIds::default());
    let notifier = Notifier::new(NotifierSettings::default(), Arc::new(SystemResolver), None);
    Alerting {
        evaluator: Arc::new(Evaluator::new(Arc::new(store.clone()), clock.clone(), ids, settings)),
        notifier: Arc::new(notifier.expect("the defaults make sense")),
        policy: OutboundPolicy::default(),
        keyring: Keyring::new(SealingKey::new("test", [7; 32]).expect("an id")),
        randomness: Arc::new(|| Ok([9; 32])),
        max_rules: 1_000,
    }
}

/// An event with this id.
pub(crate) fn event(id: &str) -> Value {
    json!({
        "event_id": id, "event_type": "api_call", "title": "Order placed",
        "source": {"service": "shop", "endpoint": "/orders", "method": "POST"},
    })
}

pub(crate) const EVENTS: &str = "/api/v1/ingestion/events";
pub(crate) const BATCH: &str = "/api/v1/ingestion/events/batch";
pub(crate) const SEARCH: &str = "/api/v1/ingestion/events/search";
