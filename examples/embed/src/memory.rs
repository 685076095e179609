//! The smallest store there is: it forgets everything with the process.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use pulsestream_domain::{
    event::{EventId, NewEvent},
    ports::{Appended, EventStore, Existing, StoreError},
    tenant::TenantId,
};

/// Events by what makes them unique.
#[derive(Default)]
pub(crate) struct MemoryStore {
    events: Mutex<Events>,
}

type Events = HashMap<(TenantId, EventId), NewEvent>;

impl MemoryStore {
    /// How many events there are.
    pub(crate) fn len(&self) -> usize {
        self.events().len()
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        // Each insert is whole, so a panic elsewhere leaves nothing half done.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        let mut stored = self.events();
        let append = |event: &NewEvent| match stored.entry((event.tenant_id, event.event_id.clone())) {
            Entry::Occupied(first) => Appended::Existing(existing(first.get())),
            Entry::Vacant(place) => {
                place.insert(event.clone());
                Appended::Stored
            }
        };
        Ok(events.iter().map(append).collect())
    }

    async fn existing(
        &self,
        tenant_id: TenantId,
        ids: &[EventId],
    ) -> Result<Vec<Option<Existing>>, StoreError> {
        let stored = self.events();
        Ok(ids.iter().map(|id| stored.get(&(tenant_id, id.clone())).map(existing)).collect())
    }
}

fn existing(event: &NewEvent) -> Existing {
    Existing { content_hash: event.content_hash, received_at: event.received_at }
}
