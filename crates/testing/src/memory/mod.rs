//! Stores and a queue without a database: the models that the real ones are compared with.

mod alerts;
mod deliveries;
mod jobs;
mod observe;

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use pulsestream_domain::{
    event::{EventId, NewEvent, ProcessingStatus, StoredEvent},
    ports::{Appended, EventStore, Existing, StoreError},
    search::{EXACT_TOTAL, Order, Page, Position, Query},
    tenant::TenantId,
};

pub use alerts::MemoryAlerts;
pub use deliveries::MemoryDeliveries;
pub use jobs::MemoryQueue;

/// Keeps events in a list, and does everything the plain way.
///
/// It can be told to fail, once per order, so that a test sees what its caller does about it.
#[derive(Default)]
pub struct MemoryStore {
    events: Mutex<Vec<NewEvent>>,
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Orders {
    failures: Vec<StoreError>,
    unstorable: Option<String>,
    appends: usize,
}

impl MemoryStore {
    /// Makes the next `append` fail like this, without storing anything. Orders queue up.
    pub fn fail_next(&self, error: StoreError) {
        lock(&self.orders).failures.insert(0, error);
    }

    /// Makes every `append` fail that holds an event with this title.
    pub fn choke_on(&self, title: &str) {
        lock(&self.orders).unstorable = Some(format!("\"{title}\""));
    }

    /// How often `append` was called.
    pub fn appends(&self) -> usize {
        lock(&self.orders).appends
    }

    /// Every event, in the order it was stored.
    pub fn events(&self) -> Vec<NewEvent> {
        lock(&self.events).clone()
    }

    /// Forgets an event, as a soft delete does. Says whether there was one.
    pub fn delete(&self, tenant_id: TenantId, event_id: &EventId) -> bool {
        let mut events = lock(&self.events);
        let before = events.len();
        events.retain(|event| (event.tenant_id, &event.event_id) != (tenant_id, event_id));
        events.len() < before
    }

    /// One page of a search: filter, sort, cut.
    pub fn search(&self, tenant_id: TenantId, query: &Query) -> Page {
        let mut found = self.events();
        found.retain(|event| event.tenant_id == tenant_id && query.filter.matches(event));
        found.sort_by_key(|event| (event.occurred_at, event.id));
        if query.order == Order::Descending {
            found.reverse();
        }
        let matching = found.len() as u64;
        let after =
            found.into_iter().filter(|event| query.after.is_none_or(|at| at.is_before(event, query.order)));
        let mut rest = after.skip(usize::try_from(query.offset).unwrap_or(usize::MAX));
        let page: Vec<NewEvent> = rest.by_ref().take(query.limit as usize).collect();
        let next = rest.next().and_then(|_| page.last()).map(Position::of);
        let stored = |event| StoredEvent { event, processing_status: ProcessingStatus::Completed };
        Page {
            events: page.into_iter().map(stored).collect(),
            total_count: matching.min(EXACT_TOTAL),
            total_count_is_lower_bound: matching > EXACT_TOTAL,
            next,
        }
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        {
            let mut orders = lock(&self.orders);
            orders.appends += 1;
            if let Some(error) = orders.failures.pop() {
                return Err(error);
            }
            let is_unstorable =
                |title: &String| events.iter().any(|event| event.document.as_str().contains(title));
            if orders.unstorable.as_ref().is_some_and(is_unstorable) {
                return Err(StoreError::Unstorable("told to".into()));
            }
        }
        let mut stored = lock(&self.events);
        let mut appended = Vec::with_capacity(events.len());
        for event in events {
            appended.push(match find(&stored, event.tenant_id, &event.event_id) {
                Some(existing) => Appended::Existing(existing),
                None => {
                    stored.push(event.clone());
                    Appended::Stored
                }
            });
        }
        Ok(appended)
    }

    async fn existing(
        &self,
        tenant_id: TenantId,
        ids: &[EventId],
    ) -> Result<Vec<Option<Existing>>, StoreError> {
        let stored = lock(&self.events);
        Ok(ids.iter().map(|id| find(&stored, tenant_id, id)).collect())
    }
}

fn find(stored: &[NewEvent], tenant_id: TenantId, event_id: &EventId) -> Option<Existing> {
    let found = stored.iter().find(|event| (event.tenant_id, &event.event_id) == (tenant_id, event_id))?;
    Some(Existing { content_hash: found.content_hash, received_at: found.received_at })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
