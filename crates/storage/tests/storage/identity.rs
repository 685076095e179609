//! Users, sessions, tokens.

use pulsestream_domain::{
    Timestamp,
    api_key::KeyId,
    identity::{
        AuditFilter, OpaqueToken, PasswordHash, Purpose, Role, Session, SessionId, TenantProfile,
        TokenDigest, User, UserId,
    },
    tenant::TenantId,
};
use pulsestream_storage::{
    CreateError, NewTenant, Refreshed, TenantChange, UpdateUserError, UserChange, UserQuery,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    support::{Fresh, NOW, OTHER, TENANT, on_both, origin, origin_at},
    tenants::{key, tenant},
};

on_both!(
    a_user_is_found_by_id_and_address_in_their_own_tenant_only,
    an_address_can_be_taken_once_per_tenant,
    users_are_listed_by_address_and_found_by_a_part_of_it_or_of_their_name,
    the_last_active_owner_stays_one,
    two_owners_who_demote_each_other_leave_one,
    a_session_is_found_with_its_user_and_tenant,
    a_refresh_token_is_good_once_and_ends_its_session_the_second_time,
    of_many_uses_at_once_of_a_refresh_token_one_succeeds,
    a_refresh_token_ends_with_its_time_and_with_its_session,
    a_new_password_ends_every_other_session,
    a_disabled_user_has_no_session_and_gets_none_back,
    a_password_is_reset_once_and_by_the_latest_token_only,
    a_message_is_new_once_per_key,
    what_expired_is_forgotten_and_the_rest_kept,
    a_tenant_registers_with_all_it_begins_with_or_not_at_all,
    a_profile_reads_back_as_written,
);

pub(crate) fn user(tenant_id: TenantId, number: u128, email: &str, role: Role) -> User {
    User {
        id: UserId(Uuid::from_u128(number)),
        tenant_id,
        email: email.parse().unwrap(),
        full_name: Some(format!("Ünal {number}%")),
        role,
        password_hash: PasswordHash(format!("hash of {number}")),
        must_change_password: false,
        is_active: true,
        created_at: NOW,
        last_login_at: None,
    }
}

fn digest(number: u8) -> TokenDigest {
    OpaqueToken::from_entropy(Purpose::Refresh, TENANT, [number; 32]).digest()
}

fn session(number: u128, of: &User) -> Session {
    Session {
        id: SessionId(Uuid::from_u128(number)),
        tenant_id: of.tenant_id,
        user_id: of.id,
        token_life_secs: 600,
        created_at: NOW,
        expires_at: NOW.plus_secs(1_000),
        ended_at: None,
    }
}

/// A tenant with an owner.
pub(crate) async fn with_owner(fresh: &Fresh) -> User {
    let owner = user(TENANT, 1, "owner@example.com", Role::Owner);
    fresh.store.create_tenant(&tenant(TENANT, "one"), None, &origin()).await.unwrap();
    fresh.store.create_user(&owner, &origin()).await.unwrap();
    owner
}

async fn with_session(fresh: &Fresh) -> (User, Session) {
    let owner = with_owner(fresh).await;
    let session = session(9, &owner);
    fresh.store.begin_session(&session, &digest(1), None, &origin()).await.unwrap();
    (owner, session)
}

impl Fresh {
    async fn refresh(&self, presented: u8, next: u8, at: Timestamp) -> Refreshed {
        self.store.refresh_session(TENANT, &digest(presented), &digest(next), &origin_at(at)).await.unwrap()
    }

    async fn is_live(&self, id: SessionId) -> bool {
        self.store.session(TENANT, id).await.unwrap().unwrap().0.is_live(NOW)
    }
}

async fn a_user_is_found_by_id_and_address_in_their_own_tenant_only(fresh: &Fresh) {
    let owner = with_owner(fresh).await;

    assert_eq!(fresh.store.user(TENANT, owner.id).await.unwrap().as_ref(), Some(&owner));
    assert_eq!(fresh.store.user_by_email(TENANT, &owner.email).await.unwrap().as_ref(), Some(&owner));
    assert_eq!(fresh.store.user(OTHER, owner.id).await.unwrap(), None);
    assert_eq!(fresh.store.user_by_email(OTHER, &owner.email).await.unwrap(), None);
}

async fn an_address_can_be_taken_once_per_tenant(fresh: &Fresh) {
    with_owner(fresh).await;
    fresh.store.create_tenant(&tenant(OTHER, "two"), None, &origin()).await.unwrap();

    let taken = fresh.store.create_user(&user(TENANT, 2, "Owner@Example.com", Role::Viewer), &origin()).await;
    assert!(matches!(taken, Err(CreateError::EmailTaken)), "{taken:?}");
    fresh.store.create_user(&user(OTHER, 2, "owner@example.com", Role::Viewer), &origin()).await.unwrap();
    let nobody = TenantId(Uuid::from_u128(5));
    let orphan = fresh.store.create_user(&user(nobody, 3, "a@example.com", Role::Viewer), &origin()).await;
    assert!(matches!(orphan, Err(CreateError::NoSuchTenant)), "{orphan:?}");
}

async fn users_are_listed_by_address_and_found_by_a_part_of_it_or_of_their_name(fresh: &Fresh) {
    with_owner(fresh).await;
    for (number, email) in [(2, "zoe@example.com"), (3, "ann_b@example.org"), (4, "annxb@example.org")] {
        fresh.store.create_user(&user(TENANT, number, email, Role::Viewer), &origin()).await.unwrap();
    }
    let found = async |search: Option<&str>, skip, limit| {
        let query = UserQuery { search: search.map(str::to_owned), skip, limit };
        let page = fresh.store.users(TENANT, &query).await.unwrap();
        let emails: Vec<String> = page.users.iter().map(|user| user.email.to_string()).collect();
        (emails.join(" "), page.total_count)
    };

    let all = "ann_b@example.org annxb@example.org owner@example.com zoe@example.com";
    assert_eq!(found(None, 0, 100).await, (all.to_owned(), 4));
    assert_eq!(found(None, 1, 1).await, ("annxb@example.org".to_owned(), 4));
    assert_eq!(found(Some("N_B@"), 0, 100).await, ("ann_b@example.org".to_owned(), 1));
    assert_eq!(found(Some("ÜNAL 2%"), 0, 100).await, ("zoe@example.com".to_owned(), 1));
    assert_eq!(found(Some("nobody"), 0, 100).await, (String::new(), 0));
    let foreign = fresh.store.users(OTHER, &UserQuery { limit: 9, ..UserQuery::default() }).await.unwrap();
    assert_eq!(foreign.total_count, 0);
}

async fn the_last_active_owner_stays_one(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    let second = user(TENANT, 2, "second@example.com", Role::Owner);
    let demote = UserChange { role: Some(Role::Admin), ..UserChange::default() };
    let disable = UserChange { is_active: Some(false), ..UserChange::default() };

    for change in [&demote, &disable] {
        let refused = fresh.store.update_user(TENANT, owner.id, change, &origin()).await;
        assert!(matches!(refused, Err(UpdateUserError::LastOwner)), "{refused:?}");
    }
    fresh.store.create_user(&second, &origin()).await.unwrap();
    let changed = fresh.store.update_user(TENANT, owner.id, &demote, &origin()).await.unwrap();
    assert_eq!(changed, Some(User { role: Role::Admin, ..owner.clone() }));
    let refused = fresh.store.update_user(TENANT, second.id, &disable, &origin()).await;
    assert!(matches!(refused, Err(UpdateUserError::LastOwner)), "{refused:?}");
    assert_eq!(fresh.store.update_user(OTHER, owner.id, &demote, &origin()).await.unwrap(), None);
}

async fn two_owners_who_demote_each_other_leave_one(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    let second = user(TENANT, 2, "second@example.com", Role::Owner);
    fresh.store.create_user(&second, &origin()).await.unwrap();
    let mut both = JoinSet::new();
    for id in [owner.id, second.id] {
        let (store, origin) = (fresh.store.clone(), origin());
        let demote = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        both.spawn(async move { store.update_user(TENANT, id, &demote, &origin).await.is_ok() });
    }

    let done = both.join_all().await;

    assert_eq!(done.iter().filter(|done| **done).count(), 1);
}

async fn a_session_is_found_with_its_user_and_tenant(fresh: &Fresh) {
    let (owner, session) = with_session(fresh).await;

    let found = fresh.store.session(TENANT, session.id).await.unwrap();

    let owner = User { last_login_at: Some(NOW), ..owner };
    assert_eq!(found, Some((session.clone(), owner, tenant(TENANT, "one"))));
    assert_eq!(fresh.store.session(OTHER, session.id).await.unwrap(), None);
    assert!(fresh.store.end_session(TENANT, session.id, &origin()).await.unwrap());
    assert!(!fresh.store.end_session(TENANT, session.id, &origin()).await.unwrap());
    assert!(!fresh.is_live(session.id).await);
}

async fn a_refresh_token_is_good_once_and_ends_its_session_the_second_time(fresh: &Fresh) {
    let (owner, session) = with_session(fresh).await;

    let Refreshed::Next { session: same, user } = fresh.refresh(1, 2, NOW).await else { panic!("refused") };
    assert_eq!((same, user.id), (session.clone(), owner.id));
    assert!(matches!(fresh.refresh(2, 3, NOW).await, Refreshed::Next { .. }));

    assert_eq!(fresh.refresh(1, 4, NOW).await, Refreshed::Reused);
    assert!(!fresh.is_live(session.id).await);
    for token in [1, 2, 3, 4, 5] {
        assert_eq!(fresh.refresh(token, 6, NOW).await, Refreshed::Refused, "{token}");
    }
}

async fn of_many_uses_at_once_of_a_refresh_token_one_succeeds(fresh: &Fresh) {
    let (_, session) = with_session(fresh).await;
    let mut uses = JoinSet::new();
    for next in 10..18 {
        let (store, origin) = (fresh.store.clone(), origin());
        uses.spawn(async move {
            store.refresh_session(TENANT, &digest(1), &digest(next), &origin).await.unwrap()
        });
    }

    let outcomes = uses.join_all().await;

    let succeeded = outcomes.iter().filter(|outcome| matches!(outcome, Refreshed::Next { .. })).count();
    assert_eq!(succeeded, 1, "{outcomes:?}");
    assert!(outcomes.contains(&Refreshed::Reused), "{outcomes:?}");
    assert!(!fresh.is_live(session.id).await);
}

async fn a_refresh_token_ends_with_its_time_and_with_its_session(fresh: &Fresh) {
    with_session(fresh).await;
    assert_eq!(fresh.refresh(1, 2, NOW.plus_secs(600)).await, Refreshed::Refused);
    assert!(matches!(fresh.refresh(1, 2, NOW.plus_secs(599)).await, Refreshed::Next { .. }));
    // Its own ten minutes would end later than the session does.
    assert_eq!(fresh.refresh(2, 3, NOW.plus_secs(1_000)).await, Refreshed::Refused);
    assert!(matches!(fresh.refresh(2, 3, NOW.plus_secs(999)).await, Refreshed::Next { .. }));
}

async fn a_new_password_ends_every_other_session(fresh: &Fresh) {
    let (owner, kept) = with_session(fresh).await;
    let other = session(10, &owner);
    fresh.store.begin_session(&other, &digest(50), None, &origin()).await.unwrap();
    let hash = PasswordHash("new".to_owned());

    assert!(fresh.store.set_password(TENANT, owner.id, &hash, true, Some(kept.id), &origin()).await.unwrap());

    assert!(fresh.is_live(kept.id).await && !fresh.is_live(other.id).await);
    let changed = fresh.store.user(TENANT, owner.id).await.unwrap().unwrap();
    assert_eq!((changed.password_hash, changed.must_change_password), (hash.clone(), true));
    assert!(!fresh.store.set_password(OTHER, owner.id, &hash, false, None, &origin()).await.unwrap());
}

async fn a_disabled_user_has_no_session_and_gets_none_back(fresh: &Fresh) {
    with_owner(fresh).await;
    let viewer = user(TENANT, 2, "viewer@example.com", Role::Viewer);
    fresh.store.create_user(&viewer, &origin()).await.unwrap();
    let session = session(9, &viewer);
    fresh.store.begin_session(&session, &digest(1), None, &origin()).await.unwrap();
    for is_active in [false, true] {
        let change = UserChange { is_active: Some(is_active), ..UserChange::default() };
        fresh.store.update_user(TENANT, viewer.id, &change, &origin()).await.unwrap();
        assert!(!fresh.is_live(session.id).await);
        assert_eq!(fresh.refresh(1, 2, NOW).await, Refreshed::Refused);
    }
}

async fn a_password_is_reset_once_and_by_the_latest_token_only(fresh: &Fresh) {
    let (owner, session) = with_session(fresh).await;
    let hash = PasswordHash("reset".to_owned());
    let soon = NOW.plus_secs(60);
    for token in [1, 2] {
        let (token, origin) = (digest(token), origin());
        fresh.store.create_password_reset(TENANT, owner.id, &token, soon, &origin).await.unwrap();
    }
    let whose = async |token, at| fresh.store.password_reset(TENANT, &digest(token), at).await.unwrap();
    assert_eq!((whose(1, NOW).await, whose(2, NOW).await), (None, Some(owner.id)));
    assert_eq!(whose(2, soon).await, None);

    let reset = async |token, at| {
        fresh.store.reset_password(TENANT, &digest(token), &hash, &origin_at(at)).await.unwrap()
    };
    assert!(!reset(1, NOW).await && !reset(2, soon).await);
    assert!(reset(2, NOW).await && !reset(2, NOW).await);
    assert_eq!(fresh.store.user(TENANT, owner.id).await.unwrap().unwrap().password_hash, hash);
    assert!(!fresh.is_live(session.id).await);
}

async fn a_message_is_new_once_per_key(fresh: &Fresh) {
    let is_new = async |tenant, key: &str, id: &str| {
        fresh.store.remember_message(tenant, &KeyId::from_stored(key), id, NOW).await.unwrap()
    };
    assert!(is_new(TENANT, "a", "1").await && !is_new(TENANT, "a", "1").await);
    assert!(
        is_new(TENANT, "a", "2").await && is_new(TENANT, "b", "1").await && is_new(OTHER, "a", "1").await
    );
}

async fn what_expired_is_forgotten_and_the_rest_kept(fresh: &Fresh) {
    let (owner, session) = with_session(fresh).await;
    let end = session.expires_at;
    fresh.store.create_password_reset(TENANT, owner.id, &digest(2), end, &origin()).await.unwrap();
    fresh.store.remember_message(TENANT, &KeyId::from_stored("a"), "1", end).await.unwrap();

    assert_eq!(fresh.store.forget_expired_credentials(end).await.unwrap(), 0);
    assert_eq!(fresh.store.forget_expired_credentials(end.plus_secs(1)).await.unwrap(), 3);
    assert_eq!(fresh.store.session_of_token(TENANT, &digest(1)).await.unwrap(), None);
    let book = fresh.store.audit_log(TENANT, &AuditFilter::default(), None, 100).await.unwrap();
    assert_eq!(book.len(), 4);
}

async fn a_tenant_registers_with_all_it_begins_with_or_not_at_all(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    let (made, first) = (tenant(OTHER, "two"), key(OTHER, 2));
    let profile = TenantProfile { retention_days: Some(90), ..TenantProfile::default() };
    let stranger = user(OTHER, 7, "owner@example.com", Role::Owner);
    let new = |owner| NewTenant { tenant: &made, profile: &profile, first_key: Some(&first), owner };

    // A user of nobody's tenant: the last step fails.
    let orphan = User { tenant_id: TenantId(Uuid::from_u128(5)), ..owner };
    let refused = fresh.store.register_tenant(&new(Some(&orphan)), &origin()).await;
    // Of two tenants in one transaction, the wall knows one.
    let is_behind_wall = fresh.store.has_wall() && matches!(refused, Err(CreateError::Store(_)));
    assert!(is_behind_wall || matches!(refused, Err(CreateError::NoSuchTenant)), "{refused:?}");
    assert_eq!(fresh.store.tenant(OTHER).await.unwrap(), None);
    assert_eq!(fresh.store.audit_log(OTHER, &AuditFilter::default(), None, 100).await.unwrap(), []);

    fresh.store.register_tenant(&new(Some(&stranger)), &origin()).await.unwrap();
    assert_eq!(fresh.store.tenant_profile(OTHER).await.unwrap().as_ref(), Some(&profile));
    assert_eq!(fresh.store.keys(OTHER).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(fresh.store.user(OTHER, stranger.id).await.unwrap().as_ref(), Some(&stranger));
    let again = NewTenant { tenant: &tenant(OTHER, "three"), ..new(None) };
    let taken = fresh.store.register_tenant(&again, &origin()).await;
    assert!(matches!(taken, Err(CreateError::TenantIdTaken)), "{taken:?}");
}

async fn a_profile_reads_back_as_written(fresh: &Fresh) {
    with_owner(fresh).await;
    let default = fresh.store.tenant_profile(TENANT).await.unwrap();
    assert_eq!(default, Some(TenantProfile::default()));
    let profile = TenantProfile {
        contact_email: "a@example.com".parse().ok(),
        billing_email: "b@example.com".parse().ok(),
        subscription_tier: "pro".to_owned(),
        timezone: "Europe/Zürich".to_owned(),
        retention_days: Some(30),
    };
    let change = TenantChange { profile: Some(profile.clone()), ..TenantChange::default() };
    fresh.store.update_tenant(TENANT, &change, &origin()).await.unwrap();

    assert_eq!(fresh.store.tenant_profile(TENANT).await.unwrap(), Some(profile));
    assert_eq!(fresh.store.tenant(TENANT).await.unwrap(), Some(tenant(TENANT, "one")));
    assert_eq!(fresh.store.tenant_profile(OTHER).await.unwrap(), None);
}
