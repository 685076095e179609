//! What was said to channels, as people see it and have it sent again.

use std::time::Duration;

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Attempt, ChannelId, DELIVER, Delivery, DeliveryId, DeliveryQuery, DeliveryState, Listed, Progress,
    },
    job::JobId,
    ports::{IdSource, StoreError},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, Query},
};

use super::{
    ROWS_AT_ONCE,
    rows::{instant, unreadable},
};
use crate::{
    Store,
    entity::{
        deliveries::{Column, Entity, Model},
        delivery_alerts, delivery_attempts,
    },
    error::UnreadableRow,
    jobs, row,
};

impl Store {
    /// What was said, the newest first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn deliveries(
        &self,
        tenant_id: TenantId,
        query: &DeliveryQuery,
    ) -> Result<Listed<Delivery>, StoreError> {
        let tells_of = query.alert_id.map(|alert_id| {
            let told = Query::select()
                .column(delivery_alerts::Column::DeliveryId)
                .from(delivery_alerts::Entity)
                .and_where(delivery_alerts::Column::TenantId.eq(tenant_id.0))
                .and_where(delivery_alerts::Column::AlertId.eq(alert_id.0))
                .take();
            Column::Id.in_subquery(told)
        });
        let find = Entity::find().filter(
            Condition::all()
                .add(Column::TenantId.eq(tenant_id.0))
                .add_option(query.channel_id.map(|channel_id| Column::ChannelId.eq(channel_id.0)))
                .add_option(tells_of)
                .add_option(query.state.map(|state| Column::State.eq(state.as_str())))
                .add_option(query.since.map(|since| Column::CreatedAt.gte(since.as_micros()))),
        );
        let queries = &self.connections.lists.of(tenant_id);
        let (total, rows) = self
            .query(async {
                let total = find.clone().count(queries).await?;
                let rows = find
                    .order_by_desc(Column::CreatedAt)
                    .order_by_desc(Column::Id)
                    .limit(u64::from(query.limit))
                    .offset(query.offset)
                    .all(queries)
                    .await?;
                Ok((total, rows))
            })
            .await?;
        let items = rows.iter().map(delivery).collect::<Result<_, _>>()?;
        Ok(Listed { items, total })
    }

    /// The tenant's delivery with this id, and every attempt, the first one first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn delivery(
        &self,
        tenant_id: TenantId,
        id: DeliveryId,
    ) -> Result<Option<(Delivery, Vec<Attempt>)>, StoreError> {
        use delivery_attempts::{Column as Of, Entity as Attempts};
        let lookups = &self.connections.lookups.of(tenant_id);
        let Some(found) = self.read(Entity::find().filter(is(tenant_id, id)).one(lookups)).await? else {
            return Ok(None);
        };
        let attempts = Attempts::find()
            .filter(Of::TenantId.eq(tenant_id.0))
            .filter(Of::DeliveryId.eq(id.0))
            .order_by_asc(Of::Number)
            .all(lookups);
        let attempts = self.read(attempts).await?.into_iter().map(attempt).collect::<Result<_, _>>()?;
        Ok(Some((delivery(&found)?, attempts)))
    }

    /// Has a delivery sent again from `now` on, with all its attempts, under its old id. Answers whether the
    /// tenant has such a delivery.
    ///
    /// # Errors
    /// With [`StoreError::OutcomeUnknown`], doing it again may send it twice.
    pub async fn resend(
        &self,
        tenant_id: TenantId,
        id: DeliveryId,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Result<bool, StoreError> {
        self.start_again(tenant_id, is(tenant_id, id), now, ids).await.map(|started| started > 0)
    }

    /// Has all deliveries to a channel sent again that were decided at `since` or later and were given up.
    /// Answers how many they are.
    ///
    /// # Errors
    /// With [`StoreError::OutcomeUnknown`], doing it again finds none that is given up if it was done.
    pub async fn recover_since(
        &self,
        tenant_id: TenantId,
        channel_id: ChannelId,
        since: Timestamp,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Result<u64, StoreError> {
        let given_up = Condition::all()
            .add(Column::TenantId.eq(tenant_id.0))
            .add(Column::ChannelId.eq(channel_id.0))
            .add(Column::State.eq(DeliveryState::Failed.as_str()))
            .add(Column::CreatedAt.gte(since.as_micros()));
        self.start_again(tenant_id, given_up, now, ids).await
    }

    async fn start_again(
        &self,
        tenant_id: TenantId,
        which: Condition,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Result<u64, StoreError> {
        let started = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                let found = Entity::find().filter(which).order_by_asc(Column::Id).lock_exclusive();
                let found = found.all(&transaction).await?;
                let found: Vec<Delivery> = found.iter().map(delivery).collect::<Result<_, _>>()?;
                for found in found.chunks(ROWS_AT_ONCE) {
                    make_pending(&transaction, found, now).await?;
                }
                for found in &found {
                    send_from(&transaction, found, now, ids).await?;
                }
                transaction.commit().await?;
                Ok(found.len() as u64)
            })
            .await?;
        self.jobs_were_enqueued();
        Ok(started)
    }
}

/// Deliveries of one tenant.
async fn make_pending(
    db: &impl ConnectionTrait,
    deliveries: &[Delivery],
    now: Timestamp,
) -> Result<(), DbErr> {
    let Some(Delivery { tenant_id, .. }) = deliveries.first() else { return Ok(()) };
    Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Pending.as_str()))
        .col_expr(Column::Failures, Expr::value(0))
        .col_expr(Column::PartsDone, Expr::value(0_i64))
        .col_expr(Column::NextAttemptAt, Expr::value(now.as_micros()))
        .filter(Column::TenantId.eq(tenant_id.0))
        .filter(Column::Id.is_in(deliveries.iter().map(|delivery| delivery.id.0)))
        .exec(db)
        .await?;
    Ok(())
}

/// One that waits for its next attempt, or is being sent, has a job already.
async fn send_from(
    db: &impl ConnectionTrait,
    delivery: &Delivery,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Result<(), DbErr> {
    let key = delivery.id.to_string();
    if !jobs::reschedule_in(db, delivery.tenant_id, &DELIVER, &key, now).await? {
        jobs::insert_in(db, &[delivery.job(JobId(ids.uuid_v7(now)), now)]).await?;
    }
    Ok(())
}

pub(super) fn is(tenant_id: TenantId, id: DeliveryId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.0))
}

pub(super) fn delivery(found: &Model) -> Result<Delivery, UnreadableRow> {
    let unreadable = unreadable("deliveries", found.tenant_id, found.id);
    Ok(Delivery {
        tenant_id: TenantId(found.tenant_id),
        id: DeliveryId(found.id),
        channel_id: ChannelId(found.channel_id),
        reason: row::parsed(&found.reason).ok_or_else(|| unreadable("reason"))?,
        facts: serde_json::from_str(&found.facts).map_err(|_| unreadable("facts"))?,
        state: row::parsed(&found.state).ok_or_else(|| unreadable("state"))?,
        attempts: found.attempts.try_into().map_err(|_| unreadable("attempts"))?,
        created_at: Timestamp::from_micros(found.created_at),
        next_attempt_at: instant(found.next_attempt_at),
    })
}

pub(super) fn progress(found: &Model) -> Result<Progress, UnreadableRow> {
    let unreadable = unreadable("deliveries", found.tenant_id, found.id);
    Ok(Progress {
        failures: found.failures.try_into().map_err(|_| unreadable("failures"))?,
        parts_done: found.parts_done.try_into().map_err(|_| unreadable("parts_done"))?,
    })
}

fn attempt(found: delivery_attempts::Model) -> Result<Attempt, UnreadableRow> {
    let unreadable = unreadable("delivery_attempts", found.tenant_id, found.delivery_id);
    let micros = u64::try_from(found.duration_micros).map_err(|_| unreadable("duration_micros"))?;
    Ok(Attempt {
        tenant_id: TenantId(found.tenant_id),
        delivery_id: DeliveryId(found.delivery_id),
        number: found.number.try_into().map_err(|_| unreadable("number"))?,
        started_at: Timestamp::from_micros(found.started_at),
        duration: Duration::from_micros(micros),
        outcome: row::parsed(&found.outcome).ok_or_else(|| unreadable("outcome"))?,
        status: found.status.map(u16::try_from).transpose().map_err(|_| unreadable("status"))?,
        error: found.error,
        excerpt: found.excerpt,
    })
}
