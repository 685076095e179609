//! From presented keys to tenants, with a memory of a few seconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use pulsestream_domain::{
    Timestamp,
    api_key::{ApiKey, KeyDigest, Scope, StoredKey},
    tenant::Tenant,
};
use pulsestream_storage::Store;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::error::ApiError;

/// How many keys are remembered, good and bad.
const REMEMBERED_KEYS: u64 = 10_000;

/// How many notes of use may be on their way to the store. What is beyond is not noted: it is a courtesy.
const NOTES_UNDER_WAY: usize = 64;

/// Finds keys and their tenants.
///
/// What was found is remembered for a short while, unknown keys as well, under the digest of the whole key:
/// nobody finds a key by a part of it. Of requests with the same key that come together, one asks the store
/// and the others wait for it. A store that fails is never taken for a key that is unknown.
pub(crate) struct Callers {
    store: Store,
    known: Cache<KeyDigest, Option<Arc<KnownKey>>>,
    notes: TaskTracker,
    note_permits: Arc<Semaphore>,
}

/// A stored key with its tenant.
pub(crate) struct KnownKey {
    stored: StoredKey,
    pub(super) tenant: Arc<Tenant>,
    /// The last minute since 1970 in which its use was noted.
    noted_minute: AtomicI64,
}

impl KnownKey {
    pub(super) fn name(&self) -> &str {
        &self.stored.name
    }

    pub(super) fn allows(&self, scope: Scope) -> bool {
        self.stored.allows(scope)
    }
}

impl Callers {
    pub(crate) fn new(store: Store, life: Duration) -> Self {
        Self {
            store,
            known: Cache::builder().max_capacity(REMEMBERED_KEYS).time_to_live(life).build(),
            notes: TaskTracker::new(),
            note_permits: Arc::new(Semaphore::new(NOTES_UNDER_WAY)),
        }
    }

    /// The key, if it is known and good now.
    pub(crate) async fn find(&self, presented: &ApiKey, now: Timestamp) -> Result<Arc<KnownKey>, ApiError> {
        let digest = presented.digest();
        let known = match self.known.get(&digest).await {
            Some(known) => known,
            None => {
                let asked = self.known.try_get_with(digest, self.ask(presented));
                asked.await.map_err(ApiError::Store)?
            }
        };
        let key = known.filter(|key| key.stored.admits(&digest, now)).ok_or(ApiError::Unauthenticated)?;
        self.note_use(&key, now);
        Ok(key)
    }

    async fn ask(
        &self,
        presented: &ApiKey,
    ) -> Result<Option<Arc<KnownKey>>, pulsestream_domain::ports::StoreError> {
        let found = self.store.key_with_tenant(presented.id()).await?;
        Ok(found.map(|(stored, tenant)| {
            let noted = stored.last_used_at.map_or(-1, minute);
            Arc::new(KnownKey { stored, tenant: Arc::new(tenant), noted_minute: AtomicI64::new(noted) })
        }))
    }

    /// Notes that the key is used, off the request's path and at most once a minute.
    fn note_use(&self, key: &Arc<KnownKey>, now: Timestamp) {
        let noted = key.noted_minute.load(Ordering::Relaxed);
        if minute(now) <= noted {
            return;
        }
        let is_ours = key
            .noted_minute
            .compare_exchange(noted, minute(now), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok();
        let Ok(permit) = Arc::clone(&self.note_permits).try_acquire_owned() else { return };
        if is_ours {
            let (store, key) = (self.store.clone(), Arc::clone(key));
            self.notes.spawn(async move {
                let _permit = permit;
                if let Err(error) = store.touch_key(&key.stored.id, now).await {
                    tracing::debug!(key.id = %key.stored.id, %error, "the use of a key was not noted");
                }
            });
        }
    }

    /// Waits for the notes that are on their way.
    pub(crate) async fn finish(&self) {
        self.notes.close();
        self.notes.wait().await;
    }
}

fn minute(at: Timestamp) -> i64 {
    at.as_secs().div_euclid(60)
}
