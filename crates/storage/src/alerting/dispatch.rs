//! What sending needs, and what came of it.

use pulsestream_domain::{
    Timestamp,
    alerting::{Attempt, AttemptRecord, ChannelEffect, ChannelId, DueDelivery, FailureStreak, Recorded},
    job::{LeaseCheck, LeasedJob},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, ExprTrait as _,
    QueryFilter as _, Statement, sea_query::Expr,
};

use super::{
    channels, deliveries, outgoing,
    rows::{instant, micros},
};
use crate::{
    Store,
    entity::{
        channels::{Column, Entity, Model},
        deliveries::{Column as DeliveryColumn, Entity as Deliveries},
        delivery_attempts,
    },
    jobs, row,
};

/// `letters > 0` stands as it does in the index.
const LETTERS: &str = "
SELECT CAST(coalesce(sum(letters), 0) AS bigint) FROM delivery_attempts
WHERE tenant_id = $1 AND started_at >= $2 AND letters > 0";

const DAY_SECS: i64 = 86_400;

impl Store {
    /// See [`DeliveryStore::due`](pulsestream_domain::ports::DeliveryStore::due).
    pub(super) async fn due_delivery(
        &self,
        job: &LeasedJob,
        now: Timestamp,
    ) -> Result<Option<DueDelivery>, StoreError> {
        let tenant_id = job.lease.tenant_id;
        let Some(id) = job.unique_key.as_deref().and_then(row::parsed) else { return Ok(None) };
        self.read(async {
            let snapshot = self.snapshot(tenant_id).await?;
            let pending = Deliveries::find()
                .filter(deliveries::is(tenant_id, id))
                .filter(DeliveryColumn::State.eq("pending"));
            let Some(found) = pending.one(&snapshot).await? else { return Ok(None) };
            let channel_id = ChannelId(found.channel_id);
            let to = Entity::find().filter(channels::is(tenant_id, channel_id)).one(&snapshot).await?;
            let Some(to) = to else { return Ok(None) };
            let streak = streak(&to);
            let sealed_secrets = to.sealed_secrets.clone();
            let channel = channels::channel(to)?;
            let delivery = deliveries::delivery(&found)?;
            let letters_last_day = if delivery.is_mail(channel.destination.kind()) {
                letters_since(&snapshot, tenant_id, now.plus_secs(-DAY_SECS)).await?
            } else {
                0
            };
            snapshot.commit().await?;
            Ok(Some(DueDelivery {
                delivery,
                progress: deliveries::progress(&found)?,
                channel,
                sealed_secrets,
                streak,
                letters_last_day,
            }))
        })
        .await
    }

    /// See [`DeliveryStore::record`](pulsestream_domain::ports::DeliveryStore::record).
    pub(super) async fn record_attempt(
        &self,
        record: &AttemptRecord,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        let recorded = self
            .change(async {
                let transaction = self.begin(record.lease.tenant_id).await?;
                let is_there = update_delivery(&transaction, record).await?;
                let settlement = [(record.lease, record.settlement.clone())];
                if jobs::settle_in(&transaction, &settlement, now).await? == [LeaseCheck::Lost] {
                    return Ok(Recorded::LeaseLost);
                }
                if let Some(attempt) = record.attempt.as_ref().filter(|_| is_there) {
                    let row = attempt_row(attempt, record.letters);
                    delivery_attempts::Entity::insert(row).exec_without_returning(&transaction).await?;
                }
                affect_channel(&transaction, record, now).await?;
                #[cfg(feature = "sabotage")]
                pulsestream_sabotage::step("attempt_before_commit");
                transaction.commit().await?;
                #[cfg(feature = "sabotage")]
                pulsestream_sabotage::step("attempt_after_commit");
                Ok(Recorded::Recorded)
            })
            .await?;
        if matches!(record.channel, ChannelEffect::Disabled { .. }) {
            self.jobs_were_enqueued();
        }
        Ok(recorded)
    }
}

fn streak(channel: &Model) -> Option<FailureStreak> {
    Some(FailureStreak {
        first_at: instant(channel.failing_since)?,
        last_at: instant(channel.last_failed_at)?,
        failures: u32::try_from(channel.failures).ok().filter(|failures| *failures > 0)?,
    })
}

async fn letters_since(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    since: Timestamp,
) -> Result<u64, DbErr> {
    let values = [tenant_id.0.into(), since.as_micros().into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), LETTERS, values);
    match db.query_one_raw(statement).await? {
        Some(found) => Ok(row::count(found.try_get_by_index(0)?)),
        None => Ok(0),
    }
}

async fn update_delivery(db: &impl ConnectionTrait, record: &AttemptRecord) -> Result<bool, DbErr> {
    let mut update = Deliveries::update_many()
        .col_expr(DeliveryColumn::State, Expr::value(record.state.as_str()))
        .col_expr(DeliveryColumn::Failures, Expr::value(small(record.progress.failures)))
        .col_expr(DeliveryColumn::PartsDone, Expr::value(i64::from(record.progress.parts_done)))
        .col_expr(DeliveryColumn::NextAttemptAt, Expr::value(micros(record.next_attempt_at)))
        .filter(deliveries::is(record.tenant_id, record.delivery_id));
    if let Some(attempt) = &record.attempt {
        update = update.col_expr(DeliveryColumn::Attempts, Expr::value(small(attempt.number)));
    }
    Ok(update.exec(db).await?.rows_affected > 0)
}

fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn attempt_row(attempt: &Attempt, letters: u32) -> delivery_attempts::ActiveModel {
    delivery_attempts::ActiveModel {
        tenant_id: Set(attempt.tenant_id.0),
        delivery_id: Set(attempt.delivery_id.0),
        number: Set(small(attempt.number)),
        started_at: Set(attempt.started_at.as_micros()),
        duration_micros: Set(i64::try_from(attempt.duration.as_micros()).unwrap_or(i64::MAX)),
        outcome: Set(attempt.outcome.as_str().to_owned()),
        status: Set(attempt.status.map(i32::from)),
        error: Set(attempt.error.clone()),
        excerpt: Set(attempt.excerpt.clone()),
        letters: Set(small(letters)),
    }
}

async fn affect_channel(
    db: &impl ConnectionTrait,
    record: &AttemptRecord,
    now: Timestamp,
) -> Result<(), DbErr> {
    let is_it = channels::is(record.tenant_id, record.channel_id);
    match &record.channel {
        ChannelEffect::Unchanged => {}
        ChannelEffect::Worked => {
            Entity::update_many()
                .col_expr(Column::FailingSince, Expr::value(None::<i64>))
                .col_expr(Column::LastFailedAt, Expr::value(None::<i64>))
                .col_expr(Column::Failures, Expr::value(0))
                .filter(is_it)
                .filter(Column::Failures.gt(0))
                .exec(db)
                .await?;
        }
        ChannelEffect::Failed => failed(db, record, now).await?,
        ChannelEffect::Disabled { reason, told } => {
            failed(db, record, now).await?;
            let disabled = Entity::update_many()
                .col_expr(Column::Enabled, Expr::value(false))
                .col_expr(Column::DisabledReason, Expr::value(reason.as_str()))
                .col_expr(Column::DisabledAt, Expr::value(now.as_micros()))
                .col_expr(Column::UpdatedAt, Expr::value(now.as_micros()))
                .filter(is_it)
                .filter(Column::Enabled.eq(true))
                .exec(db)
                .await?;
            if disabled.rows_affected > 0 {
                outgoing::add(db, told).await?;
            }
        }
    }
    Ok(())
}

/// As [`FailureStreak::extended`], in one statement: no failure is lost when several attempts end at once.
async fn failed(db: &impl ConnectionTrait, record: &AttemptRecord, now: Timestamp) -> Result<(), DbErr> {
    let now = now.as_micros();
    let last = Expr::col(Column::LastFailedAt);
    Entity::update_many()
        .col_expr(Column::FailingSince, Expr::col(Column::FailingSince).if_null(now))
        .col_expr(Column::LastFailedAt, Expr::case(last.clone().gt(now), last).finally(now).into())
        .col_expr(Column::Failures, Expr::col(Column::Failures).add(1))
        .filter(channels::is(record.tenant_id, record.channel_id))
        .exec(db)
        .await?;
    Ok(())
}
