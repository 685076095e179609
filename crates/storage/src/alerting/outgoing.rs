//! New deliveries, each with the job that sends it: in one transaction with what they tell of.

use pulsestream_domain::{
    Timestamp,
    alerting::Delivery,
    job::{JobId, NewJob},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait as _};

use super::{ROWS_AT_ONCE, rows::micros};
use crate::{
    entity::{
        deliveries,
        delivery_alerts::{ActiveModel, Entity},
    },
    jobs,
};

/// Who commits this calls [`Store::jobs_were_enqueued`](crate::Store::jobs_were_enqueued) afterwards.
pub(super) async fn add(db: &impl ConnectionTrait, new: &[Delivery]) -> Result<(), DbErr> {
    for new in new.chunks(ROWS_AT_ONCE) {
        deliveries::Entity::insert_many(new.iter().map(row)).exec_without_returning(db).await?;
    }
    let told: Vec<ActiveModel> = new.iter().flat_map(told).collect();
    for told in told.chunks(ROWS_AT_ONCE) {
        Entity::insert_many(told.iter().cloned()).exec_without_returning(db).await?;
    }
    let job = |delivery: &Delivery, due_at: Timestamp| delivery.job(JobId(delivery.id.0), due_at);
    let jobs: Vec<NewJob> =
        new.iter().filter_map(|one| one.next_attempt_at.map(|due_at| job(one, due_at))).collect();
    jobs::insert_in(db, &jobs).await?;
    Ok(())
}

fn row(delivery: &Delivery) -> deliveries::ActiveModel {
    deliveries::ActiveModel {
        tenant_id: Set(delivery.tenant_id.0),
        id: Set(delivery.id.0),
        channel_id: Set(delivery.channel_id.0),
        reason: Set(delivery.reason.as_str().to_owned()),
        facts: Set(serde_json::to_string(&delivery.facts).expect("facts have texts for keys")),
        state: Set(delivery.state.as_str().to_owned()),
        attempts: Set(i32::try_from(delivery.attempts).unwrap_or(i32::MAX)),
        failures: Set(0),
        parts_done: Set(0),
        created_at: Set(delivery.created_at.as_micros()),
        next_attempt_at: Set(micros(delivery.next_attempt_at)),
    }
}

/// Which alerts it tells of, once each.
fn told(delivery: &Delivery) -> Vec<ActiveModel> {
    let mut alerts: Vec<_> = delivery.facts.alerts.iter().map(|firing| firing.alert_id.0).collect();
    alerts.sort_unstable();
    alerts.dedup();
    let link = |alert_id| ActiveModel {
        tenant_id: Set(delivery.tenant_id.0),
        alert_id: Set(alert_id),
        delivery_id: Set(delivery.id.0),
    };
    alerts.into_iter().map(link).collect()
}
