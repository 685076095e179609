//! The book of security-relevant changes.

use pulsestream_domain::{
    alerting::{Channel, Silence, SilenceId},
    identity::{Actor, AuditAction, AuditEntry, AuditFilter, Origin, Role, Target, UserId},
};
use pulsestream_storage::{AuditPosition, CreateError, TenantChange, UserChange};
use pulsestream_testing::{
    builders::{log_channel, rule},
    clock::SequentialIds,
};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use uuid::Uuid;

use crate::{
    identity::{user, with_owner},
    support::{Fresh, NOW, OTHER, TENANT, on_both, origin, origin_at},
    tenants::{key, tenant},
};

on_both!(
    every_change_has_its_line_with_who_and_from_where,
    who_is_told_of_what_is_as_accounted_for_as_who_may_do_what,
    a_change_that_changes_nothing_has_no_line,
    a_change_that_is_refused_has_no_line,
    what_a_thing_is_after_one_change_is_what_it_was_before_the_next,
    the_book_can_not_be_changed,
    the_book_is_searched_by_time_actor_action_and_target,
    pages_of_the_book_have_each_line_once_also_at_one_time,
);

impl Fresh {
    async fn book(&self, filter: &AuditFilter) -> Vec<AuditEntry> {
        let mut entries = self.store.audit_log(TENANT, filter, None, 1_000).await.unwrap();
        entries.reverse();
        entries
    }

    async fn actions(&self) -> Vec<String> {
        let book = self.book(&AuditFilter::default()).await;
        book.iter().map(|entry| entry.action.to_string()).collect()
    }
}

async fn every_change_has_its_line_with_who_and_from_where(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    let from = Origin {
        actor: Actor::User(owner.id),
        ip: "2001:db8::7".parse().ok(),
        request_id: Some("request-1".to_owned()),
        ..origin_at(NOW.plus_secs(1))
    };

    fresh.store.create_key(&key(TENANT, 1), &from).await.unwrap();
    let (old, new) = (key(TENANT, 1).id, key(TENANT, 2));
    fresh.store.rotate_key(TENANT, &old, &new, NOW, &origin_at(NOW.plus_secs(2))).await.unwrap();
    fresh.store.revoke_key(TENANT, &old, &origin_at(NOW.plus_secs(3))).await.unwrap();
    let who = Target::Tenant(TENANT);
    fresh.store.note_failed_login(TENANT, who, &origin_at(NOW.plus_secs(4))).await.unwrap();

    let expected = [
        "tenant.created",
        "user.created",
        "key.created",
        "key.rotated",
        "key.created",
        "key.revoked",
        "login.failed",
    ];
    assert_eq!(fresh.actions().await, expected);
    let book = fresh.book(&AuditFilter::default()).await;
    let made = &book[2];
    assert_eq!((&made.actor, made.at, made.id), (&from.actor, from.at, from.entry_id));
    assert_eq!((made.ip, &made.request_id), (from.ip, &from.request_id));
    assert_eq!(made.target, format!("key:{old}"));
    assert!(made.before.is_none() && made.after.is_some());
    assert_eq!(book[3].before, made.after);
    assert_eq!(book[5].before, book[3].after);
    assert_eq!(fresh.store.audit_log(OTHER, &AuditFilter::default(), None, 9).await.unwrap(), []);
}

async fn who_is_told_of_what_is_as_accounted_for_as_who_may_do_what(fresh: &Fresh) {
    with_owner(fresh).await;
    let (store, ids) = (&fresh.store, SequentialIds::seeded(7));
    let before = fresh.actions().await.len();

    let mut known = rule(TENANT, 1, json!({}));
    store.create_rule(&known, None, 2, &origin()).await.unwrap();
    store.change_rule(&known, None, &ids, &origin()).await.unwrap();
    known.revision += 1;
    known.definition.name = "renamed".to_owned();
    store.change_rule(&known, None, &ids, &origin()).await.unwrap();
    store.change_rule(&known, None, &ids, &origin()).await.unwrap();
    store.delete_rule(OTHER, known.id, &ids, &origin()).await.unwrap();
    store.delete_rule(TENANT, known.id, &ids, &origin()).await.unwrap();
    store.delete_rule(TENANT, known.id, &ids, &origin()).await.unwrap();

    let channel = log_channel(TENANT, 1);
    store.create_channel(&channel, Some("sealed"), 1, &origin()).await.unwrap();
    store.create_channel(&log_channel(TENANT, 2), None, 1, &origin()).await.unwrap();
    store.change_channel(&channel, None, &origin()).await.unwrap();
    store.change_channel(&Channel { enabled: false, ..channel.clone() }, None, &origin()).await.unwrap();
    store.rotate_channel_secret(&channel, "sealed again", &origin()).await.unwrap();
    store.delete_channel(TENANT, channel.id, &origin()).await.unwrap();
    store.delete_channel(TENANT, channel.id, &origin()).await.unwrap();

    let silence = Silence {
        tenant_id: TENANT,
        id: SilenceId(Uuid::from_u128(1)),
        matchers: Vec::new(),
        starts_at: NOW,
        ends_at: NOW.plus_secs(100),
        created_by: "ann".to_owned(),
        comment: None,
        created_at: NOW,
    };
    store.create_silence(&silence, &origin()).await.unwrap();
    store.end_silence(TENANT, silence.id, &origin_at(NOW.plus_secs(1))).await.unwrap();
    store.end_silence(TENANT, silence.id, &origin_at(NOW.plus_secs(2))).await.unwrap();

    let expected = [
        ("rule.created", format!("rule:{}", known.id)),
        ("rule.updated", format!("rule:{}", known.id)),
        ("rule.deleted", format!("rule:{}", known.id)),
        ("channel.created", format!("channel:{}", channel.id)),
        ("channel.updated", format!("channel:{}", channel.id)),
        ("channel.secret_rotated", format!("channel:{}", channel.id)),
        ("channel.deleted", format!("channel:{}", channel.id)),
        ("silence.created", format!("silence:{}", silence.id)),
        ("silence.ended", format!("silence:{}", silence.id)),
    ];
    let book = fresh.book(&AuditFilter::default()).await.split_off(before);
    let told: Vec<(&str, String)> =
        book.iter().map(|entry| (entry.action.as_str(), entry.target.clone())).collect();
    assert_eq!(told, expected);
    assert!(book[0].before.is_none() && book[2].after.is_none(), "made, and gone");
    assert_eq!((book[1].before, book[1].after), (book[0].after, book[2].before));
}

async fn a_change_that_changes_nothing_has_no_line(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    fresh.store.create_key(&key(TENANT, 1), &origin()).await.unwrap();
    let id = key(TENANT, 1).id;
    fresh.store.revoke_key(TENANT, &id, &origin()).await.unwrap();
    let before = fresh.actions().await;

    fresh.store.revoke_key(TENANT, &id, &origin()).await.unwrap();
    let same = TenantChange { name: Some(tenant(TENANT, "one").name), ..TenantChange::default() };
    fresh.store.update_tenant(TENANT, &same, &origin()).await.unwrap();
    let same = UserChange { role: Some(Role::Owner), ..UserChange::default() };
    fresh.store.update_user(TENANT, owner.id, &same, &origin()).await.unwrap();
    fresh.store.touch_key(&id, NOW).await.unwrap();

    assert_eq!(fresh.actions().await, before);
}

async fn a_change_that_is_refused_has_no_line(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    let before = fresh.actions().await;

    let taken = fresh.store.create_user(&user(TENANT, 9, "owner@example.com", Role::Admin), &origin()).await;
    assert!(matches!(taken, Err(CreateError::EmailTaken)), "{taken:?}");
    let demote = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
    assert!(fresh.store.update_user(TENANT, owner.id, &demote, &origin()).await.is_err());
    // A line whose id is taken takes its change back with it.
    let same = origin();
    fresh.store.create_key(&key(TENANT, 1), &same).await.unwrap();
    assert!(fresh.store.create_key(&key(TENANT, 2), &same).await.is_err());

    assert_eq!(fresh.actions().await[before.len()..], ["key.created"]);
    assert_eq!(fresh.store.keys(TENANT).await.unwrap(), [key(TENANT, 1)]);
}

async fn what_a_thing_is_after_one_change_is_what_it_was_before_the_next(fresh: &Fresh) {
    let owner = with_owner(fresh).await;
    for name in ["One", "Two", "One"] {
        let change = UserChange { full_name: Some(Some(name.to_owned())), ..UserChange::default() };
        fresh.store.update_user(TENANT, owner.id, &change, &origin()).await.unwrap();
    }

    let filter = AuditFilter { target: Some(format!("user:{}", owner.id)), ..AuditFilter::default() };
    let book = fresh.book(&filter).await;

    assert_eq!(book.len(), 4);
    for pair in book.windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
        assert_ne!(pair[1].before, pair[1].after);
    }
    assert_eq!(book[1].after, book[3].after);
}

async fn the_book_can_not_be_changed(fresh: &Fresh) {
    with_owner(fresh).await;
    let before = fresh.book(&AuditFilter::default()).await;
    let db = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();

    for statement in ["UPDATE audit_log SET actor = 'operator'", "DELETE FROM audit_log"] {
        let refused = db.execute_unprepared(statement).await.expect_err(statement);
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    if db.get_database_backend() == sea_orm::DatabaseBackend::Postgres {
        assert!(db.execute_unprepared("TRUNCATE audit_log").await.is_err());
    }

    assert_eq!(fresh.book(&AuditFilter::default()).await, before);
}

async fn the_book_is_searched_by_time_actor_action_and_target(fresh: &Fresh) {
    with_owner(fresh).await;
    let actor = Actor::User(UserId(Uuid::from_u128(77)));
    for (secs, by) in [(10, actor.clone()), (20, Actor::Operator)] {
        let from = Origin { actor: by, ..origin_at(NOW.plus_secs(secs)) };
        fresh.store.create_key(&key(TENANT, secs as u8), &from).await.unwrap();
    }
    let none = AuditFilter::default();
    let at = |secs| Some(NOW.plus_secs(secs));
    for (filter, expected) in [
        (none.clone(), 4),
        (AuditFilter { from: at(10), ..none.clone() }, 2),
        (AuditFilter { from: at(11), ..none.clone() }, 1),
        (AuditFilter { to: at(10), ..none.clone() }, 3),
        (AuditFilter { to: at(9), ..none.clone() }, 2),
        (AuditFilter { actor: Some(actor), ..none.clone() }, 1),
        (AuditFilter { action: Some(AuditAction::KeyCreated), ..none.clone() }, 2),
        (AuditFilter { action: Some(AuditAction::KeyCreated), to: at(10), ..none.clone() }, 1),
        (AuditFilter { target: Some(format!("tenant:{TENANT}")), ..none.clone() }, 1),
    ] {
        assert_eq!(fresh.book(&filter).await.len(), expected, "{filter:?}");
    }
}

async fn pages_of_the_book_have_each_line_once_also_at_one_time(fresh: &Fresh) {
    with_owner(fresh).await;
    for number in 1..=7 {
        fresh.store.create_key(&key(TENANT, number), &origin()).await.unwrap();
    }
    let mut expected = fresh.book(&AuditFilter::default()).await;
    expected.reverse();

    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = fresh.store.audit_log(TENANT, &AuditFilter::default(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(AuditPosition { at: last.at, id: last.id });
        seen.extend(page);
    }

    assert_eq!(seen, expected);
}
