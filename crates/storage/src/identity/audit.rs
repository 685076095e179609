//! The book of security-relevant changes.

use pulsestream_domain::{
    Timestamp,
    identity::{AuditAction, AuditEntry, AuditFilter, AuditHash, Origin, Target},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait, IdenStatic as _,
    Iterable as _, ModelTrait, QueryFilter as _, QueryOrder as _, QuerySelect as _, Value,
};
use uuid::Uuid;

use crate::{
    Store,
    entity::audit_log::{ActiveModel, Column, Entity, Model},
    error::UnreadableRow,
    row,
};

/// A place in the book: behind the entry with this time and id, towards older ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditPosition {
    /// The entry's `at`.
    pub at: Timestamp,
    /// The entry's id.
    pub id: Uuid,
}

/// What was done, as one line of the book.
pub(crate) struct Line {
    pub(crate) action: AuditAction,
    pub(crate) target: Target,
    pub(crate) before: Option<AuditHash>,
    pub(crate) after: Option<AuditHash>,
}

impl Line {
    /// A line about something that happened and left nothing behind.
    pub(crate) fn of(action: AuditAction, target: Target) -> Self {
        Self { action, target, before: None, after: None }
    }
}

/// Writes lines, in the transaction of what they tell.
pub(crate) async fn note(
    transaction: &impl ConnectionTrait,
    tenant_id: TenantId,
    origin: &Origin,
    lines: impl IntoIterator<Item = Line>,
) -> Result<(), DbErr> {
    for (line, place) in lines.into_iter().zip(0..) {
        let entry = ActiveModel {
            tenant_id: Set(tenant_id.0),
            id: Set(origin.entry_id_after(place)),
            at: Set(origin.at.as_micros()),
            actor: Set(origin.actor.to_string()),
            action: Set(line.action.as_str().to_owned()),
            target: Set(line.target.to_string()),
            before_hash: Set(line.before.map(|hash| hash.0.to_vec())),
            after_hash: Set(line.after.map(|hash| hash.0.to_vec())),
            ip: Set(origin.ip.map(|ip| ip.to_string())),
            request_id: Set(origin.request_id.clone()),
        };
        Entity::insert(entry).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// A hash over all columns of a row but these, which change without anybody deciding so.
pub(crate) fn hash<M: ModelTrait>(row: &M, except: &[&str]) -> AuditHash {
    let mut hasher = blake3::Hasher::new_derive_key("pulsestream 2026 audit hash of a row");
    for column in <M::Entity as EntityTrait>::Column::iter() {
        let name = column.as_str();
        if !except.contains(&name) {
            // The length before each part: no two rows make one text.
            for part in [name.as_bytes(), &bytes(row.get(column))] {
                hasher.update(&part.len().to_le_bytes()).update(part);
            }
        }
    }
    AuditHash(*hasher.finalize().as_bytes())
}

/// A value with its kind in front; nothing for none.
fn bytes(value: Value) -> Vec<u8> {
    let tagged = |kind: u8, value: &[u8]| [&[kind], value].concat();
    match value {
        Value::Bool(Some(value)) => tagged(1, &[u8::from(value)]),
        Value::BigInt(Some(value)) => tagged(2, &value.to_le_bytes()),
        Value::String(Some(value)) => tagged(3, value.as_bytes()),
        Value::Bytes(Some(value)) => tagged(4, &value),
        Value::Uuid(Some(value)) => tagged(5, value.as_bytes()),
        _ => Vec::new(),
    }
}

impl Store {
    /// Entries of a tenant's book, newest first, from `after` on; at most `limit`.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn audit_log(
        &self,
        tenant_id: TenantId,
        filter: &AuditFilter,
        after: Option<AuditPosition>,
        limit: u64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let lists = &self.connections.lists.of(tenant_id);
        let find = Entity::find()
            .filter(matches(tenant_id, filter, after))
            .order_by_desc(Column::At)
            .order_by_desc(Column::Id)
            .limit(limit)
            .all(lists);
        Ok(self.read(find).await?.into_iter().map(entry).collect::<Result<_, _>>()?)
    }

    /// Writes down that somebody could not log in: as `target`, or at the tenant when there is no such user.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn note_failed_login(
        &self,
        tenant_id: TenantId,
        target: Target,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let changes = &self.connections.changes.of(tenant_id);
        let line = Line::of(AuditAction::LoginFailed, target);
        self.change(note(changes, tenant_id, origin, [line])).await
    }
}

fn matches(tenant_id: TenantId, filter: &AuditFilter, after: Option<AuditPosition>) -> Condition {
    let AuditFilter { from, to, actor, action, target } = filter;
    let older = after.map(|AuditPosition { at, id }| {
        let at = at.as_micros();
        let same_time = Condition::all().add(Column::At.eq(at)).add(Column::Id.lt(id));
        // The first part is implied by the second, and is what an index can begin with.
        Condition::all().add(Column::At.lte(at)).add(Condition::any().add(Column::At.lt(at)).add(same_time))
    });
    Condition::all()
        .add(Column::TenantId.eq(tenant_id.0))
        .add_option(from.map(|from| Column::At.gte(from.as_micros())))
        .add_option(to.map(|to| Column::At.lte(to.as_micros())))
        .add_option(actor.as_ref().map(|actor| Column::Actor.eq(actor.to_string())))
        .add_option(action.map(|action| Column::Action.eq(action.as_str())))
        .add_option(target.as_ref().map(|target| Column::Target.eq(target.as_str())))
        .add_option(older)
}

fn entry(row: Model) -> Result<AuditEntry, UnreadableRow> {
    let unreadable = |column| UnreadableRow { table: "audit_log", column, row: row.id.to_string() };
    let hash = |column, bytes: Option<Vec<u8>>| {
        let bytes = bytes.map(<[u8; 32]>::try_from).transpose().map_err(|_| unreadable(column))?;
        Ok(bytes.map(AuditHash))
    };
    let ip = row.ip.as_deref().map(str::parse).transpose().map_err(|_| unreadable("ip"))?;
    Ok(AuditEntry {
        actor: row::parsed(&row.actor).ok_or_else(|| unreadable("actor"))?,
        action: row::parsed(&row.action).ok_or_else(|| unreadable("action"))?,
        before: hash("before_hash", row.before_hash)?,
        after: hash("after_hash", row.after_hash)?,
        id: row.id,
        tenant_id: TenantId(row.tenant_id),
        at: Timestamp::from_micros(row.at),
        target: row.target,
        ip,
        request_id: row.request_id,
    })
}
