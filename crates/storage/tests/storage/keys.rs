//! API keys.

use pulsestream_domain::api_key::{KeyId, StoredKey};
use pulsestream_storage::CreateError;

use crate::{
    support::{Fresh, NOW, OTHER, TENANT, on_both, origin, origin_at},
    tenants::{key, tenant},
};

on_both!(
    a_key_is_found_with_its_tenant,
    a_key_needs_a_tenant_and_an_id_of_its_own,
    a_revoked_key_stays_revoked_since_the_first_time,
    rotating_keeps_the_new_key_and_ends_the_old_one,
    a_rotation_that_can_not_be_done_changes_nothing,
    use_is_noted_to_the_minute,
);

async fn two_tenants(fresh: &Fresh) {
    fresh.store.create_tenant(&tenant(TENANT, "one"), Some(&key(TENANT, 1)), &origin()).await.unwrap();
    fresh.store.create_tenant(&tenant(OTHER, "two"), Some(&key(OTHER, 2)), &origin()).await.unwrap();
}

async fn a_key_is_found_with_its_tenant(fresh: &Fresh) {
    two_tenants(fresh).await;

    let found = fresh.store.key_with_tenant(&key(OTHER, 2).id).await.unwrap();

    assert_eq!(found, Some((key(OTHER, 2), tenant(OTHER, "two"))));
    assert_eq!(fresh.store.key_with_tenant(&KeyId::from_stored("nope")).await.unwrap(), None);
}

async fn a_key_needs_a_tenant_and_an_id_of_its_own(fresh: &Fresh) {
    let orphan = fresh.store.create_key(&key(TENANT, 1), &origin()).await;
    assert!(matches!(orphan, Err(CreateError::NoSuchTenant)), "{orphan:?}");
    two_tenants(fresh).await;

    let taken = fresh.store.create_key(&key(OTHER, 1), &origin()).await;

    assert!(matches!(taken, Err(CreateError::KeyTaken)), "{taken:?}");
    fresh.store.create_key(&key(TENANT, 3), &origin()).await.unwrap();
    assert_eq!(fresh.store.keys(TENANT).await.unwrap(), [key(TENANT, 1), key(TENANT, 3)]);
}

async fn a_revoked_key_stays_revoked_since_the_first_time(fresh: &Fresh) {
    two_tenants(fresh).await;
    let id = key(TENANT, 1).id;
    assert!(!fresh.store.revoke_key(OTHER, &id, &origin()).await.unwrap());

    assert!(fresh.store.revoke_key(TENANT, &id, &origin()).await.unwrap());
    assert!(fresh.store.revoke_key(TENANT, &id, &origin_at(NOW.plus_secs(9))).await.unwrap());

    let expected = StoredKey { revoked_at: Some(NOW), ..key(TENANT, 1) };
    assert_eq!(fresh.store.keys(TENANT).await.unwrap(), [expected]);
    assert_eq!(fresh.store.keys(OTHER).await.unwrap(), [key(OTHER, 2)]);
}

async fn rotating_keeps_the_new_key_and_ends_the_old_one(fresh: &Fresh) {
    two_tenants(fresh).await;
    let (old, new, newer) = (key(TENANT, 1), key(TENANT, 3), key(TENANT, 4));
    let soon = NOW.plus_secs(60);

    assert!(fresh.store.rotate_key(TENANT, &old.id, &new, soon, &origin()).await.unwrap());

    let old = StoredKey { expires_at: Some(soon), ..old };
    assert_eq!(fresh.store.keys(TENANT).await.unwrap(), [old.clone(), new]);
    // A later end does not bring it back.
    assert!(fresh.store.rotate_key(TENANT, &old.id, &newer, NOW.plus_secs(900), &origin()).await.unwrap());
    assert_eq!(fresh.store.keys(TENANT).await.unwrap()[0], old);
}

async fn a_rotation_that_can_not_be_done_changes_nothing(fresh: &Fresh) {
    two_tenants(fresh).await;
    let (old, new) = (key(TENANT, 1), key(TENANT, 3));

    assert!(!fresh.store.rotate_key(OTHER, &old.id, &key(OTHER, 3), NOW, &origin()).await.unwrap());
    let taken = fresh.store.rotate_key(TENANT, &old.id, &key(TENANT, 2), NOW, &origin()).await;
    assert!(matches!(taken, Err(CreateError::KeyTaken)), "{taken:?}");
    assert_eq!(fresh.store.keys(TENANT).await.unwrap(), std::slice::from_ref(&old));

    fresh.store.revoke_key(TENANT, &old.id, &origin()).await.unwrap();
    assert!(!fresh.store.rotate_key(TENANT, &old.id, &new, NOW, &origin()).await.unwrap());
    assert_eq!(fresh.store.keys(TENANT).await.unwrap().len(), 1);
}

async fn use_is_noted_to_the_minute(fresh: &Fresh) {
    two_tenants(fresh).await;
    let id = key(TENANT, 1).id;
    let last_used = async || fresh.store.keys(TENANT).await.unwrap()[0].last_used_at;
    let minute = NOW.plus_secs(-30);

    fresh.store.touch_key(&id, NOW).await.unwrap();
    assert_eq!(last_used().await, Some(minute));
    fresh.store.touch_key(&id, NOW.plus_secs(60)).await.unwrap();
    assert_eq!(last_used().await, Some(minute.plus_secs(60)));
    // A clock that is behind takes nothing back.
    fresh.store.touch_key(&id, NOW).await.unwrap();
    assert_eq!(last_used().await, Some(minute.plus_secs(60)));
}
