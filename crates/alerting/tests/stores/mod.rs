//! The real stores, for what has to hold on them as it does on lists in memory.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::sync::atomic::{AtomicU64, Ordering};

use pulsestream_domain::{Timestamp, identity::Origin, tenant::TenantId};
use pulsestream_storage::{Settings, Store};
use pulsestream_testing::{builders::tenant, databases::FreshDatabase, shared};
use tempfile::TempDir;
use uuid::Uuid;

/// An empty database that is gone after the test.
pub(crate) struct Database {
    pub(crate) store: Store,
    /// As another process has it. A file of SQLite has one process.
    pub(crate) other: Store,
    changes: AtomicU64,
    _place: Place,
}

enum Place {
    Directory { _held: TempDir },
    Server { _held: FreshDatabase },
}

impl Database {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("store.db").display());
        let store = Store::connect(&Settings::new(url)).await.unwrap();
        store.migrate().await.unwrap();
        Self {
            other: store.clone(),
            store,
            changes: AtomicU64::new(1),
            _place: Place::Directory { _held: directory },
        }
    }

    pub(crate) async fn postgres() -> Self {
        let database = shared::databases().unwrap().fresh().unwrap();
        let settings = Settings::new(database.url());
        let store = Store::connect(&settings).await.unwrap();
        store.migrate().await.unwrap();
        let other = Store::connect(&settings).await.unwrap();
        Self { store, other, changes: AtomicU64::new(1), _place: Place::Server { _held: database } }
    }

    /// Makes the tenant with this number.
    pub(crate) async fn add_tenant(&self, number: u128) -> TenantId {
        let tenant = tenant(number);
        self.store.create_tenant(&tenant, None, &self.origin()).await.unwrap();
        tenant.id
    }

    /// Somebody who makes things.
    pub(crate) fn origin(&self) -> Origin {
        let number = self.changes.fetch_add(1 << 16, Ordering::Relaxed);
        Origin::operator(Uuid::from_u128(number.into()), Timestamp::EPOCH)
    }
}
