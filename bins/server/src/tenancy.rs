//! Makes tenants and keys, the same for the first start and for the command line.

use pulsestream_domain::{
    Timestamp,
    api_key::{ApiKey, Restrictions, Scope, StoredKey},
    identity::{Actor, Origin},
    ports::{Clock, IdSource},
    tenant::{DuplicatePolicy, Limits, Slug, Tenant, TenantId},
};

/// What the key of a new tenant may do: everything its services need, and nothing about keys or people.
pub(crate) const FIRST_KEY_SCOPES: [Scope; 3] = [Scope::EventsWrite, Scope::EventsRead, Scope::RulesWrite];

/// What is decided about a tenant before it exists.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) slug: Slug,
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) duplicate_policy: DuplicatePolicy,
}

impl Draft {
    /// The tenant, with a new id.
    pub(crate) fn into_tenant(self, clock: &dyn Clock, ids: &dyn IdSource) -> Tenant {
        let now = clock.now();
        Tenant {
            id: TenantId(ids.uuid_v7(now)),
            name: self.name,
            slug: self.slug,
            limits: self.limits,
            duplicate_policy: self.duplicate_policy,
            created_at: now,
        }
    }
}

/// A change at the command line, now.
pub(crate) fn by_operator(clock: &dyn Clock, ids: &dyn IdSource) -> Origin {
    let now = clock.now();
    Origin::operator(ids.uuid_v7(now), now)
}

/// Makes a key out of the system's randomness.
///
/// # Errors
/// When the system has none to give.
pub(crate) fn new_key() -> Result<ApiKey, getrandom::Error> {
    entropy().map(ApiKey::from_entropy)
}

/// 32 random bytes.
///
/// # Errors
/// When the system has none to give.
pub(crate) fn entropy() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// What is kept of a key.
pub(crate) fn stored_key(
    key: &ApiKey,
    tenant_id: TenantId,
    name: &str,
    scopes: &[Scope],
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> StoredKey {
    StoredKey {
        id: key.id().clone(),
        tenant_id,
        name: name.to_owned(),
        digest: key.digest(),
        last_four: key.last_four().to_owned(),
        scopes: scopes.to_vec(),
        restrictions: Restrictions::default(),
        created_by: Some(Actor::Operator),
        created_at,
        expires_at,
        revoked_at: None,
        last_used_at: None,
    }
}
