//! Events that were kept long enough.

use pulsestream_domain::{identity::TenantProfile, tenant::TenantId};
use pulsestream_storage::TenantChange;

use crate::{
    support::{Fresh, NOW, OTHER, TENANT, at, event, id, on_both, origin, with_and_without_index, with_text},
    tenants::tenant,
};

on_both!(
    events_are_removed_oldest_first_in_batches_and_no_others,
    tenants_that_keep_events_for_a_time_are_known,
);
with_and_without_index!(what_is_removed_is_found_no_more_and_its_id_is_free);

async fn events_are_removed_oldest_first_in_batches_and_no_others(fresh: &Fresh) {
    let old = |number: i64, tenant_id| {
        at(NOW.plus_secs(number - 1_000), event(tenant_id, &format!("old-{number}")))
    };
    let events: Vec<_> = (0..25).map(|number| old(number, TENANT)).collect();
    fresh.put(&events).await;
    fresh.put(&[event(TENANT, "new"), old(1, OTHER)]).await;
    assert!(fresh.store.delete_event(TENANT, &id("old-3")).await.unwrap());
    let before = NOW.plus_secs(-10);

    assert_eq!(fresh.store.remove_events_before(TENANT, before, 10).await.unwrap(), 10);
    assert_eq!(fresh.found(&[("limit", "100")]).await.len(), 16);
    assert_eq!(fresh.found(&[("order", "asc"), ("limit", "1")]).await, ["old-10"]);
    assert_eq!(fresh.store.remove_events_before(TENANT, before, 10).await.unwrap(), 10);
    assert_eq!(fresh.store.remove_events_before(TENANT, before, 10).await.unwrap(), 5);
    assert_eq!(fresh.store.remove_events_before(TENANT, before, 10).await.unwrap(), 0);

    assert_eq!(fresh.found(&[]).await, ["new"]);
    assert!(fresh.store.event(OTHER, &id("old-1")).await.unwrap().is_some());
}

async fn what_is_removed_is_found_no_more_and_its_id_is_free(fresh: &Fresh) {
    let old = || at(NOW.plus_secs(-1_000), with_text(event(TENANT, "a"), "payment refused", &[]));
    fresh.put(&[old()]).await;
    assert_eq!(fresh.found(&[("q", "payment")]).await, ["a"]);

    assert_eq!(fresh.store.remove_events_before(TENANT, NOW, 10).await.unwrap(), 1);

    assert_eq!(fresh.found(&[("q", "payment")]).await, [""; 0]);
    assert!(fresh.store.event(TENANT, &id("a")).await.unwrap().is_none());
    fresh.put(&[event(TENANT, "a")]).await;
    assert_eq!(fresh.found(&[("q", "payment")]).await, [""; 0], "the text index has nothing left of it");
}

async fn tenants_that_keep_events_for_a_time_are_known(fresh: &Fresh) {
    let third = TenantId(uuid::Uuid::from_u128(3));
    for (id, slug, retention_days) in
        [(TENANT, "one", Some(30)), (OTHER, "two", None), (third, "three", Some(1))]
    {
        fresh.store.create_tenant(&tenant(id, slug), None, &origin()).await.unwrap();
        let profile = TenantProfile { retention_days, ..TenantProfile::default() };
        let change = TenantChange { profile: Some(profile), ..TenantChange::default() };
        fresh.store.update_tenant(id, &change, &origin()).await.unwrap();
    }

    assert_eq!(fresh.store.retentions().await.unwrap(), [(third, 1), (TENANT, 30)]);
}
