//! A store of each kind that belongs to one test, and events to put into it.

use std::collections::BTreeSet;

use pulsestream_domain::{
    Timestamp,
    event::{Document, Enrichment, EventId, EventType, NewEvent, Severity, Terms, words},
    identity::Origin,
    ports::{Appended, EventStore as _, IdSource as _},
    search::{CursorKey, Page, Parameters, Query, TextIndex, parse},
    tenant::TenantId,
};
use pulsestream_storage::{Settings, Store};
use pulsestream_testing::{clock::SequentialIds, databases::FreshDatabase, shared};
use tempfile::TempDir;
use uuid::Uuid;

/// 2026-11-22T10:30:30Z: within a day, an hour and a minute, at the edge of none.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_343_430);

pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(0x0190_aaaa_bbbb_7ccc_8ddd_1111_2222_3333));
pub(crate) const OTHER: TenantId = TenantId(Uuid::from_u128(0x0190_aaaa_bbbb_7ccc_8ddd_1111_2222_4444));

static IDS: SequentialIds = SequentialIds::seeded(1);

/// An empty store that is gone after the test.
pub(crate) struct Fresh {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    _place: Place,
}

enum Place {
    Directory { _held: TempDir },
    Database { _held: FreshDatabase },
}

impl Fresh {
    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(TextIndex::Words).await
    }

    pub(crate) async fn sqlite_with(text_index: TextIndex) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("store.db").display());
        Self::open(Settings { text_index, ..Settings::new(url) }, Place::Directory { _held: directory }).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::postgres_with(TextIndex::Words).await
    }

    pub(crate) async fn postgres_with(text_index: TextIndex) -> Self {
        let database = shared::databases().unwrap().fresh_with_owner().unwrap();
        let settings = Settings { text_index, ..Settings::new(database.url()) };
        Self::open(settings, Place::Database { _held: database }).await
    }

    async fn open(settings: Settings, place: Place) -> Self {
        let store = started(&settings).await;
        Self { store, settings, _place: place }
    }

    /// Another instance on the same database, with this setting; the index is left as it is.
    pub(crate) async fn another(&self, text_index: TextIndex) -> Store {
        Store::connect(&Settings { text_index, ..self.settings.clone() }).await.unwrap()
    }

    /// The store after a restart with this setting.
    pub(crate) async fn restarted(self, text_index: TextIndex) -> Self {
        let Self { store, settings, _place } = self;
        store.close().await;
        let settings = Settings { text_index, ..settings };
        Self { store: started(&settings).await, settings, _place }
    }
}

/// As a server starts.
async fn started(settings: &Settings) -> Store {
    let store = Store::connect(settings).await.unwrap();
    store.migrate().await.unwrap();
    store.arrange_text_index().await.unwrap();
    store
}

/// Makes each function a test on a fresh store.
macro_rules! on {
    ($module:ident, $fresh:expr; $($name:ident),*) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$fresh.await).await;
            })*
        }
    };
}
pub(crate) use on;

/// Makes each function a test on either database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        $crate::support::on!(on_sqlite, $crate::support::Fresh::sqlite(); $($name),*);
        $crate::support::on!(on_postgres, $crate::support::Fresh::postgres(); $($name),*);
    };
}
pub(crate) use on_both;

/// Makes each function a test on either database, with an index of words and without.
macro_rules! with_and_without_index {
    ($($name:ident),* $(,)?) => {
        $crate::support::on!(on_sqlite_with_index, $crate::support::Fresh::sqlite(); $($name),*);
        $crate::support::on!(on_postgres_with_index, $crate::support::Fresh::postgres(); $($name),*);
        $crate::support::on!(on_sqlite_without_index, $crate::support::Fresh::sqlite_with(
            ::pulsestream_domain::search::TextIndex::None); $($name),*);
        $crate::support::on!(on_postgres_without_index, $crate::support::Fresh::postgres_with(
            ::pulsestream_domain::search::TextIndex::None); $($name),*);
    };
}
pub(crate) use with_and_without_index;

/// An event with an id of the client's and everything else alike.
pub(crate) fn event(tenant_id: TenantId, event_id: &str) -> NewEvent {
    NewEvent {
        tenant_id,
        id: IDS.uuid_v7(NOW),
        event_id: event_id.parse().unwrap(),
        content_hash: [7; 16],
        event_type: EventType::ApiCall,
        severity: Severity::Info,
        service: "checkout".to_owned(),
        endpoint: "/pay".to_owned(),
        method: "POST".to_owned(),
        environment: None,
        status_code: None,
        duration_ms: None,
        user_id: None,
        correlation_id: None,
        occurred_at: NOW,
        received_at: NOW,
        enrichment: Enrichment::default(),
        document: Document::from_stored(r#"{"title":"t"}"#.to_owned()),
        terms: Terms::default(),
    }
}

/// A change at the command line, with an entry id of its own.
pub(crate) fn origin() -> Origin {
    origin_at(NOW)
}

pub(crate) fn origin_at(at: Timestamp) -> Origin {
    Origin::operator(IDS.uuid_v7(at), at)
}

/// The event as one that was taken in, and happened, at another time.
pub(crate) fn at(instant: Timestamp, event: NewEvent) -> NewEvent {
    NewEvent { id: IDS.uuid_v7(instant), occurred_at: instant, received_at: instant, ..event }
}

/// The event with text and tags to be found by.
pub(crate) fn with_text(event: NewEvent, text: &str, tags: &[(&str, &str)]) -> NewEvent {
    NewEvent { terms: terms(event.tenant_id, text, tags), ..event }
}

pub(crate) fn terms(tenant_id: TenantId, text: &str, tags: &[(&str, &str)]) -> Terms {
    let words: BTreeSet<String> = words(text);
    Terms::new(tenant_id, &words, tags.iter().copied())
}

pub(crate) fn id(text: &str) -> EventId {
    text.parse().unwrap()
}

pub(crate) fn query(pairs: &[(&str, &str)]) -> Query {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    parse(Parameters::new(pairs), TENANT, &CursorKey([0; 32])).unwrap()
}

pub(crate) fn event_ids(page: &Page) -> Vec<&str> {
    page.events.iter().map(|found| found.event.event_id.as_str()).collect()
}

impl Fresh {
    /// Appends events that are all new.
    pub(crate) async fn put(&self, events: &[NewEvent]) {
        let outcomes = self.store.append(events).await.unwrap();
        assert!(outcomes.iter().all(|outcome| *outcome == Appended::Stored), "{outcomes:?}");
    }

    /// The ids a search of the tenant finds, in order.
    pub(crate) async fn found(&self, pairs: &[(&str, &str)]) -> Vec<String> {
        let page = self.store.search(TENANT, &query(pairs)).await.unwrap();
        event_ids(&page).into_iter().map(str::to_owned).collect()
    }
}
