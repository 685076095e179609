//! What every implementation of a port has to do, as assertions.

mod alert_store;
mod delivery_store;
mod job_queue;

use pulsestream_domain::{
    Timestamp,
    event::{EventId, NewEvent},
    ports::{Appended, EventStore, Existing},
    tenant::TenantId,
};
use serde_json::json;
use uuid::Uuid;

pub use alert_store::{AlertFixture, alert_store};
pub use delivery_store::{DeliveryFixture, delivery_store};
pub use job_queue::job_queue;

use crate::builders::{event, tenant};

/// The contract of [`EventStore`]. The store may hold other events, but none of the tenants 901 and 902,
/// and has to know those two if it insists on knowing tenants.
///
/// # Panics
/// When the store breaks the contract.
pub async fn event_store(store: &dyn EventStore) {
    let (one, two) = (tenant(901).id, tenant(902).id);
    stores_what_is_new_and_points_at_what_is_not(store, one).await;
    keeps_tenants_apart(store, one, two).await;
    takes_a_thousand_at_once(store, two).await;
    answers_nothing_for_nothing(store, one).await;
}

fn numbered(tenant_id: TenantId, number: u128, name: &str) -> NewEvent {
    let now = Timestamp::from_secs(1_790_000_000 + i64::try_from(number).unwrap_or(0));
    event(
        tenant_id,
        Uuid::from_u128(number << 64 | 0x7000_8000_0000_0000_0000),
        now,
        json!({"event_id": name}),
    )
}

fn existing(event: &NewEvent) -> Existing {
    Existing { content_hash: event.content_hash, received_at: event.received_at }
}

async fn stores_what_is_new_and_points_at_what_is_not(store: &dyn EventStore, tenant_id: TenantId) {
    let first = numbered(tenant_id, 1, "contract-a");
    let appended = store.append(std::slice::from_ref(&first)).await.expect("the store works");
    assert_eq!(appended, [Appended::Stored]);

    let mut again = numbered(tenant_id, 2, "contract-a");
    again.content_hash = [9; 16];
    let other = numbered(tenant_id, 3, "contract-B");
    let lower = numbered(tenant_id, 4, "contract-b");
    let appended = store.append(&[other, again, lower]).await.expect("the store works");
    let kept = Appended::Existing(existing(&first));
    assert_eq!(appended, [Appended::Stored, kept, Appended::Stored], "in the order given, and case matters");

    let ids = ["contract-missing", "contract-a"].map(|id| id.parse::<EventId>().expect("valid"));
    let found = store.existing(tenant_id, &ids).await.expect("the store works");
    assert_eq!(found, [None, Some(existing(&first))]);
}

async fn keeps_tenants_apart(store: &dyn EventStore, one: TenantId, two: TenantId) {
    let mixed = [numbered(one, 11, "contract-shared"), numbered(two, 12, "contract-shared")];
    let appended = store.append(&mixed).await.expect("the store works");
    assert_eq!(appended, [Appended::Stored, Appended::Stored]);
    let found = store.existing(two, &["contract-a".parse().expect("valid")]).await.expect("the store works");
    assert_eq!(found, [None]);
}

async fn takes_a_thousand_at_once(store: &dyn EventStore, tenant_id: TenantId) {
    let events: Vec<NewEvent> =
        (0..1_000).map(|n| numbered(tenant_id, 1_000 + n, &format!("bulk-{n}"))).collect();
    let appended = store.append(&events).await.expect("the store works");
    assert_eq!(appended, vec![Appended::Stored; 1_000]);
    let again = store.append(&events).await.expect("the store works");
    let expected: Vec<Appended> = events.iter().map(|event| Appended::Existing(existing(event))).collect();
    // A store may recognise its own rows and say that they are stored; it must not store them twice.
    for (at, (found, expected)) in again.iter().zip(&expected).enumerate() {
        assert!(found == expected || *found == Appended::Stored, "event {at}: {found:?}");
    }
}

async fn answers_nothing_for_nothing(store: &dyn EventStore, tenant_id: TenantId) {
    assert_eq!(store.append(&[]).await.expect("the store works"), []);
    assert_eq!(store.existing(tenant_id, &[]).await.expect("the store works"), []);
}

#[cfg(test)]
mod tests {
    use crate::memory::{MemoryQueue, MemoryStore};

    #[test]
    fn the_memory_store_keeps_the_contract() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(super::event_store(&MemoryStore::default()));
    }
    #[tokio::test]
    async fn the_memory_queue_keeps_the_contract() {
        super::job_queue(&MemoryQueue::default()).await;
    }
}
