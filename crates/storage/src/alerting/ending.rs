//! What becomes of a rule's alerts when nobody evaluates it any more.

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertStatus, Channel, Delivery, DeliveryId, DeliveryReason, DeliveryState, Facts, Rule,
        Silence, TimelineEntry, TimelineKind, resolve,
    },
    ports::IdSource,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    sea_query::Expr,
};

use super::{alerts, channels, outgoing, rows, silences, timeline};
use crate::entity::alerts::{Column, Entity};

/// Why nobody evaluates it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    Deactivated,
    Deleted,
}

impl Reason {
    const fn note(self) -> &'static str {
        match self {
            Self::Deactivated => "the rule was deactivated",
            Self::Deleted => "the rule was deleted",
        }
    }
}

/// Drops the rule's pending alerts, resolves those that were raised, and tells those who were told of them.
/// Whoever calls it has the rule's row.
pub(super) async fn end_alerts(
    db: &impl ConnectionTrait,
    rule: &Rule,
    reason: Reason,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Result<(), DbErr> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(rule.tenant_id.0))
        .filter(Column::RuleId.eq(rule.id.0))
        .filter(Expr::cust("status <> 'resolved'"))
        .order_by_asc(Column::Id)
        .all(db)
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let open: Vec<Alert> = rows.into_iter().map(rows::alert).collect::<Result<_, _>>()?;
    let channels = channels::of_tenant(db, rule.tenant_id).await?;
    let silences = silences::not_ended(db, rule.tenant_id, now).await?;
    let (mut told, mut entries) = (Vec::new(), Vec::new());
    for alert in open {
        if alert.status == AlertStatus::Pending {
            Entity::delete_many().filter(alerts::is(alert.tenant_id, alert.id)).exec(db).await?;
            continue;
        }
        let was = alert.status;
        let alert = resolved(alert, reason, now);
        let is_it = alerts::is(alert.tenant_id, alert.id);
        Entity::update_many().set(rows::changed(&alert)).filter(is_it).exec(db).await?;
        let entry = TimelineEntry::of(&alert, now, TimelineKind::Resolved);
        entries.push(TimelineEntry { note: Some(reason.note().to_owned()), ..entry });
        if is_told(&alert, was, &silences, now) {
            told.push(alert);
        }
    }
    timeline::add(db, rule.tenant_id, &entries).await?;
    outgoing::add(db, &notices(rule, &told, &channels, now, ids)).await
}

fn resolved(alert: Alert, reason: Reason, now: Timestamp) -> Alert {
    Alert {
        status: AlertStatus::Resolved,
        resolved_at: Some(now),
        resolved_by: Some("system".to_owned()),
        resolution_note: Some(reason.note().to_owned()),
        changed_at: now,
        ..alert
    }
}

/// Who was never told that it fires need not be told that it is over.
fn is_told(alert: &Alert, was: AlertStatus, silences: &[Silence], now: Timestamp) -> bool {
    alert.notified.is_some()
        && was != AlertStatus::Suppressed
        && !silences.iter().any(|silence| silence.mutes(alert, now))
}

fn notices(
    rule: &Rule,
    told: &[Alert],
    channels: &[Channel],
    now: Timestamp,
    ids: &dyn IdSource,
) -> Vec<Delivery> {
    if told.is_empty() {
        return Vec::new();
    }
    let (channels, _) = resolve(&rule.definition.notification_channels, channels);
    let told: Vec<&Alert> = told.iter().collect();
    let notice = |channel: &Channel| Delivery {
        tenant_id: rule.tenant_id,
        id: DeliveryId(ids.uuid_v7(now)),
        channel_id: channel.id,
        reason: DeliveryReason::Resolved,
        facts: Facts::of(rule, &told),
        state: DeliveryState::Pending,
        attempts: 0,
        created_at: now,
        next_attempt_at: Some(now),
    };
    channels.into_iter().filter(|channel| channel.send_resolved).map(notice).collect()
}
