//! Tenants.

use pulsestream_domain::{
    api_key::{ApiKey, Restrictions, Scope, StoredKey},
    event::EventType,
    identity::{Actor, UserId},
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use pulsestream_storage::{CreateError, TenantChange};

use crate::support::{Fresh, NOW, OTHER, TENANT, on_both, origin};

on_both!(
    a_tenant_is_found_by_id_and_by_slug,
    a_slug_can_be_taken_once,
    a_tenant_and_its_first_key_are_made_together_or_not_at_all,
    a_change_leaves_the_rest_as_it_was,
    a_cursor_key_is_made_once,
);

pub(crate) fn tenant(id: TenantId, slug: &str) -> Tenant {
    Tenant {
        id,
        name: format!("Tenant {slug} ☃"),
        slug: slug.parse().unwrap(),
        limits: Limits { per_minute: u32::MAX, burst: 7 },
        duplicate_policy: DuplicatePolicy::Reject,
        created_at: NOW,
    }
}

pub(crate) fn key(tenant_id: TenantId, entropy: u8) -> StoredKey {
    let key = ApiKey::from_entropy([entropy; 32]);
    StoredKey {
        id: key.id().clone(),
        tenant_id,
        name: "main".to_owned(),
        digest: key.digest(),
        last_four: key.last_four().to_owned(),
        scopes: vec![Scope::EventsWrite, Scope::EventsRead],
        restrictions: Restrictions {
            services: vec!["checkout, \"new\"".to_owned()],
            event_types: vec![EventType::ApiCall],
            networks: vec!["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()],
            requires_signature: true,
        },
        created_by: Some(Actor::User(UserId(uuid::Uuid::from_u128(7)))),
        created_at: NOW.plus_secs(i64::from(entropy)),
        expires_at: Some(NOW.plus_secs(1_000)),
        revoked_at: None,
        last_used_at: None,
    }
}

async fn a_tenant_is_found_by_id_and_by_slug(fresh: &Fresh) {
    let (zebra, ant) = (tenant(TENANT, "zebra"), tenant(OTHER, "ant"));
    fresh.store.create_tenant(&zebra, None, &origin()).await.unwrap();
    fresh.store.create_tenant(&ant, None, &origin()).await.unwrap();

    assert_eq!(fresh.store.tenant(TENANT).await.unwrap().as_ref(), Some(&zebra));
    assert_eq!(fresh.store.tenant_by_slug(&ant.slug).await.unwrap().as_ref(), Some(&ant));
    assert_eq!(fresh.store.tenant_by_slug(&"nobody".parse().unwrap()).await.unwrap(), None);
    assert_eq!(fresh.store.tenants().await.unwrap(), [ant, zebra]);
}

async fn a_slug_can_be_taken_once(fresh: &Fresh) {
    fresh.store.create_tenant(&tenant(TENANT, "taken"), None, &origin()).await.unwrap();

    let refused = fresh.store.create_tenant(&tenant(OTHER, "taken"), None, &origin()).await;

    assert!(matches!(refused, Err(CreateError::SlugTaken)), "{refused:?}");
    assert_eq!(fresh.store.tenant(OTHER).await.unwrap(), None);
}

async fn a_tenant_and_its_first_key_are_made_together_or_not_at_all(fresh: &Fresh) {
    fresh.store.create_tenant(&tenant(TENANT, "one"), Some(&key(TENANT, 1)), &origin()).await.unwrap();

    let refused = fresh.store.create_tenant(&tenant(OTHER, "two"), Some(&key(OTHER, 1)), &origin()).await;

    assert!(matches!(refused, Err(CreateError::KeyTaken)), "{refused:?}");
    assert_eq!(fresh.store.tenant(OTHER).await.unwrap(), None);
    assert_eq!(fresh.store.keys(TENANT).await.unwrap(), [key(TENANT, 1)]);
    fresh.store.create_tenant(&tenant(OTHER, "two"), Some(&key(OTHER, 2)), &origin()).await.unwrap();
}

async fn a_change_leaves_the_rest_as_it_was(fresh: &Fresh) {
    let before = tenant(TENANT, "one");
    fresh.store.create_tenant(&before, None, &origin()).await.unwrap();
    fresh.store.create_tenant(&tenant(OTHER, "two"), None, &origin()).await.unwrap();

    let limits = Limits { per_minute: 5, burst: 1 };
    let change = TenantChange { limits: Some(limits), ..TenantChange::default() };
    let changed = fresh.store.update_tenant(TENANT, &change, &origin()).await.unwrap().unwrap();

    assert_eq!(changed, Tenant { limits, ..before });
    let change = TenantChange {
        name: Some("New".to_owned()),
        duplicate_policy: Some(DuplicatePolicy::Lenient),
        ..TenantChange::default()
    };
    let again = fresh.store.update_tenant(TENANT, &change, &origin()).await.unwrap().unwrap();
    assert_eq!((again.name.as_str(), again.limits), ("New", limits));
    assert_eq!(
        fresh.store.update_tenant(TENANT, &TenantChange::default(), &origin()).await.unwrap(),
        Some(again)
    );
    assert_eq!(fresh.store.tenant(OTHER).await.unwrap(), Some(tenant(OTHER, "two")));
    let nobody = TenantId(uuid::Uuid::from_u128(5));
    assert_eq!(fresh.store.update_tenant(nobody, &change, &origin()).await.unwrap(), None);
}

async fn a_cursor_key_is_made_once(fresh: &Fresh) {
    assert_eq!(fresh.store.cursor_key([1; 32]).await.unwrap().0, [1; 32]);
    assert_eq!(fresh.store.cursor_key([2; 32]).await.unwrap().0, [1; 32]);
}
