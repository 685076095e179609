//! Who is told. Secrets are one text that is sealed before it gets here; this crate never opens it.

use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, ChannelChange, ChannelCreated, ChannelId, ChannelKind, Destination},
    identity::{AuditAction, Origin, Target},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
    sea_query::Expr,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    rows::{instant, micros, unreadable},
    rules::lock_tenant,
};
use crate::{
    Store,
    entity::{
        channels::{ActiveModel, Column, Entity, Model},
        deliveries,
    },
    error::UnreadableRow,
    identity::audit::{self, Line, note},
    row,
};

/// What deliveries change, and what changes with everything.
const NOT_DECIDED: [&str; 4] = ["failing_since", "last_failed_at", "failures", "updated_at"];

impl Store {
    /// Keeps a new channel with its sealed secrets, if it has any. A tenant has at most `limit` channels.
    ///
    /// # Errors
    /// Nothing was stored, except with [`StoreError::OutcomeUnknown`].
    pub async fn create_channel(
        &self,
        channel: &Channel,
        sealed: Option<&str>,
        limit: u32,
        origin: &Origin,
    ) -> Result<ChannelCreated, StoreError> {
        let row = ActiveModel {
            tenant_id: Set(channel.tenant_id.0),
            id: Set(channel.id.0),
            sealed_secrets: Set(sealed.map(str::to_owned)),
            created_at: Set(channel.created_at.as_micros()),
            ..described(channel)
        };
        self.change(async {
            let transaction = self.begin(channel.tenant_id).await?;
            lock_tenant(&transaction, channel.tenant_id).await?;
            let mine = Entity::find().filter(Column::TenantId.eq(channel.tenant_id.0));
            if mine.count(&transaction).await? >= u64::from(limit) {
                return Ok(ChannelCreated::QuotaExceeded);
            }
            let insert = Entity::insert(row.clone()).exec_without_returning(&transaction).await;
            if unless_name_taken(insert)?.is_none() {
                return Ok(ChannelCreated::NameTaken);
            }
            let made = line(AuditAction::ChannelCreated, None, Some(&Model::try_from(row)?));
            note(&transaction, channel.tenant_id, origin, made).await?;
            transaction.commit().await?;
            Ok(ChannelCreated::Created)
        })
        .await
    }

    /// Every channel of a tenant, by name.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn channels(&self, tenant_id: TenantId) -> Result<Vec<Channel>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let mut channels = self.read(of_tenant(lookups, tenant_id)).await?;
        channels.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(channels)
    }

    /// The tenant's channel with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn channel(&self, tenant_id: TenantId, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.map(channel).transpose()?)
    }

    /// What was sealed for a channel; `None` when there is nothing, or no such channel.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn sealed_secrets(
        &self,
        tenant_id: TenantId,
        id: ChannelId,
    ) -> Result<Option<String>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.and_then(|row| row.sealed_secrets))
    }

    /// Makes a channel what is given here; `sealed` takes the place of what was sealed before, which stays when
    /// there is none. A streak of failures is over.
    ///
    /// # Errors
    /// Doing it again is harmless.
    pub async fn change_channel(
        &self,
        channel: &Channel,
        sealed: Option<&str>,
        origin: &Origin,
    ) -> Result<ChannelChange, StoreError> {
        self.replace_channel(channel, sealed, AuditAction::ChannelUpdated, origin).await
    }

    /// As [`change_channel`](Self::change_channel), when all that is new is the secret that a channel signs with.
    ///
    /// # Errors
    /// Doing it again is harmless.
    pub async fn rotate_channel_secret(
        &self,
        channel: &Channel,
        sealed: &str,
        origin: &Origin,
    ) -> Result<ChannelChange, StoreError> {
        self.replace_channel(channel, Some(sealed), AuditAction::ChannelSecretRotated, origin).await
    }

    async fn replace_channel(
        &self,
        channel: &Channel,
        sealed: Option<&str>,
        action: AuditAction,
        origin: &Origin,
    ) -> Result<ChannelChange, StoreError> {
        let (tenant_id, id) = (channel.tenant_id, channel.id);
        let sealed_secrets = sealed.map_or(NotSet, |sealed| Set(Some(sealed.to_owned())));
        let update = Entity::update_many()
            .set(ActiveModel { sealed_secrets, ..described(channel) })
            .filter(is(tenant_id, id));
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let Some(before) = lock(&transaction, tenant_id, id).await? else {
                return Ok(ChannelChange::Gone);
            };
            if unless_name_taken(update.exec(&transaction).await)?.is_none() {
                return Ok(ChannelChange::NameTaken);
            }
            let after = Entity::find().filter(is(tenant_id, id)).one(&transaction).await?;
            note(&transaction, tenant_id, origin, line(action, Some(&before), after.as_ref())).await?;
            transaction.commit().await?;
            Ok(ChannelChange::Changed)
        })
        .await
    }

    /// Deletes a channel and gives up what is still to be said to it. What was said stays on record. Answers
    /// whether the tenant had such a channel.
    ///
    /// # Errors
    /// Doing it again is harmless.
    pub async fn delete_channel(
        &self,
        tenant_id: TenantId,
        id: ChannelId,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        self.change(async {
            let transaction = self.begin(tenant_id).await?;
            let Some(found) = lock(&transaction, tenant_id, id).await? else { return Ok(false) };
            let gone = line(AuditAction::ChannelDeleted, Some(&found), None);
            note(&transaction, tenant_id, origin, gone).await?;
            // Their jobs find nothing to do.
            deliveries::Entity::update_many()
                .col_expr(deliveries::Column::State, Expr::value("failed"))
                .col_expr(deliveries::Column::NextAttemptAt, Expr::value(None::<i64>))
                .filter(deliveries::Column::TenantId.eq(tenant_id.0))
                .filter(deliveries::Column::ChannelId.eq(id.0))
                .filter(deliveries::Column::State.eq("pending"))
                .exec(&transaction)
                .await?;
            Entity::delete_many().filter(is(tenant_id, id)).exec(&transaction).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

/// Every channel of a tenant, by id.
pub(super) async fn of_tenant(db: &impl ConnectionTrait, tenant_id: TenantId) -> Result<Vec<Channel>, DbErr> {
    let find = Entity::find().filter(Column::TenantId.eq(tenant_id.0)).order_by_asc(Column::Id);
    Ok(find.all(db).await?.into_iter().map(channel).collect::<Result<_, _>>()?)
}

pub(super) fn is(tenant_id: TenantId, id: ChannelId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.0))
}

/// Takes the channel's row.
async fn lock(db: &impl ConnectionTrait, tenant_id: TenantId, id: ChannelId) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(is(tenant_id, id)).lock_exclusive().one(db).await
}

/// What is noted of a channel; nothing when it is as before.
fn line(action: AuditAction, before: Option<&Model>, after: Option<&Model>) -> Option<Line> {
    let row = after.or(before)?;
    let hash = |row: &Model| audit::hash(row, &NOT_DECIDED);
    let (before, after) = (before.map(hash), after.map(hash));
    (before != after).then_some(Line { action, target: Target::Channel(ChannelId(row.id)), before, after })
}

/// `None` when the name is taken.
fn unless_name_taken<T>(result: Result<T, DbErr>) -> Result<Option<T>, DbErr> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything a change may change, without a streak of failures.
fn described(channel: &Channel) -> ActiveModel {
    ActiveModel {
        name: Set(channel.name.clone()),
        kind: Set(channel.destination.kind().as_str().to_owned()),
        enabled: Set(channel.enabled),
        send_resolved: Set(channel.send_resolved),
        destination: Set(destination_text(&channel.destination)),
        disabled_reason: Set(channel.disabled_reason.clone()),
        disabled_at: Set(micros(channel.disabled_at)),
        failing_since: Set(None),
        last_failed_at: Set(None),
        failures: Set(0),
        updated_at: Set(channel.updated_at.as_micros()),
        ..ActiveModel::default()
    }
}

pub(super) fn channel(row: Model) -> Result<Channel, UnreadableRow> {
    let unreadable = unreadable("channels", row.tenant_id, row.id);
    let kind = row::parsed(&row.kind).ok_or_else(|| unreadable("kind"))?;
    Ok(Channel {
        tenant_id: TenantId(row.tenant_id),
        id: ChannelId(row.id),
        name: row.name,
        enabled: row.enabled,
        send_resolved: row.send_resolved,
        destination: destination(kind, &row.destination).ok_or_else(|| unreadable("destination"))?,
        disabled_reason: row.disabled_reason,
        disabled_at: instant(row.disabled_at),
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

fn destination_text(destination: &Destination) -> String {
    let members = match destination {
        Destination::Webhook { url, format, header_names } => {
            json!({"url": url, "format": format.as_str(), "header_names": header_names})
        }
        Destination::Slack { host } => json!({"host": host}),
        Destination::Email { to } => json!({"to": to}),
        Destination::PagerDuty | Destination::Log => json!({}),
    };
    members.to_string()
}

fn destination(kind: ChannelKind, text: &str) -> Option<Destination> {
    #[derive(Deserialize)]
    struct Webhook {
        url: String,
        format: String,
        header_names: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Slack {
        host: String,
    }
    #[derive(Deserialize)]
    struct Email {
        to: Vec<String>,
    }
    Some(match kind {
        ChannelKind::Webhook => {
            let Webhook { url, format, header_names } = serde_json::from_str(text).ok()?;
            Destination::Webhook { url, format: row::parsed(&format)?, header_names }
        }
        ChannelKind::Slack => {
            let Slack { host } = serde_json::from_str(text).ok()?;
            Destination::Slack { host }
        }
        ChannelKind::Email => {
            let Email { to } = serde_json::from_str(text).ok()?;
            Destination::Email { to }
        }
        ChannelKind::PagerDuty => Destination::PagerDuty,
        ChannelKind::Log => Destination::Log,
    })
}
