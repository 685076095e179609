//! Reading what decides about an evaluation.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, Fingerprint, Rule, RuleId, RuleState},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, Statement, sea_query::Expr,
};

use super::{channels, rows, rules, silences};
use crate::{
    Store,
    entity::{
        alerts::{Column, Entity},
        rules::Entity as Rules,
    },
    error::UnreadableRow,
};

/// Each alert of the last hour counts; of those before, a group's latest does.
const TRIGGERED: &str = "
SELECT fingerprint, triggered_at FROM alerts
WHERE tenant_id = $1 AND rule_id = $2 AND triggered_at > $3
UNION ALL
SELECT fingerprint, max(triggered_at) FROM alerts
WHERE tenant_id = $1 AND rule_id = $2 AND triggered_at > $4 AND triggered_at <= $3
GROUP BY fingerprint";

const HOUR_SECS: i64 = 3_600;

impl Store {
    /// See [`AlertStore::load`](pulsestream_domain::ports::AlertStore::load).
    pub(super) async fn rule_state(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        at: Timestamp,
    ) -> Result<Option<RuleState>, StoreError> {
        self.read(async {
            let snapshot = self.snapshot(tenant_id).await?;
            let found = Rules::find().filter(rules::is(tenant_id, rule_id)).one(&snapshot).await?;
            let Some(rule) = found.map(rows::rule).transpose()? else { return Ok(None) };
            let open = open(&snapshot, &rule).await?;
            let triggered = triggered(&snapshot, &rule, at).await?;
            let channels = channels::of_tenant(&snapshot, tenant_id).await?;
            let silences = silences::not_ended(&snapshot, tenant_id, at).await?;
            snapshot.commit().await?;
            let cooled = cooled(&rule, at);
            let mut last_triggered: BTreeMap<Fingerprint, Timestamp> = BTreeMap::new();
            for (fingerprint, triggered_at) in triggered.iter().filter(|(_, at)| *at > cooled) {
                let last = last_triggered.entry(*fingerprint).or_insert(*triggered_at);
                *last = (*last).max(*triggered_at);
            }
            let triggered = triggered.into_iter().map(|(_, triggered_at)| triggered_at);
            let triggered_last_hour = triggered.filter(|one| *one > at.plus_secs(-HOUR_SECS)).collect();
            Ok(Some(RuleState { rule, open, triggered_last_hour, last_triggered, channels, silences }))
        })
        .await
    }
}

/// Groups whose last alert was raised then or before may have a new one.
fn cooled(rule: &Rule, at: Timestamp) -> Timestamp {
    at.plus_secs(-60 * i64::from(rule.definition.cooldown_minutes))
}

async fn open(db: &impl ConnectionTrait, rule: &Rule) -> Result<Vec<Alert>, DbErr> {
    let rows = Entity::find()
        .filter(Column::TenantId.eq(rule.tenant_id.0))
        .filter(Column::RuleId.eq(rule.id.0))
        // Literal, as in the index.
        .filter(Expr::cust("status <> 'resolved'"))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(rows::alert).collect::<Result<_, _>>()?)
}

async fn triggered(
    db: &impl ConnectionTrait,
    rule: &Rule,
    at: Timestamp,
) -> Result<Vec<(Fingerprint, Timestamp)>, DbErr> {
    let hour = at.plus_secs(-HOUR_SECS).as_micros();
    let values =
        [rule.tenant_id.0.into(), rule.id.0.into(), hour.into(), cooled(rule, at).as_micros().into()];
    let statement = Statement::from_sql_and_values(db.get_database_backend(), TRIGGERED, values);
    let unreadable = rows::unreadable("alerts", rule.tenant_id.0, rule.id.0);
    let mut triggered = Vec::new();
    for row in db.query_all_raw(statement).await? {
        let fingerprint: Result<[u8; 16], UnreadableRow> =
            row.try_get_by_index::<Vec<u8>>(0)?.try_into().map_err(|_| unreadable("fingerprint"));
        triggered.push((Fingerprint(fingerprint?), Timestamp::from_micros(row.try_get_by_index(1)?)));
    }
    Ok(triggered)
}
