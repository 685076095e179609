//! Alerts, as people see and change them.

use pulsestream_domain::{
    alerting::{ActedAlert, Alert, AlertId, AlertQuery, AlertStats, Listed},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};

use super::{
    outgoing,
    rows::{alert, changed},
    rules, timeline,
};
use crate::{
    Store,
    entity::alerts::{Column, Entity},
    row,
};

const STATS: &str = "
SELECT
    (SELECT count(*) FROM alerts WHERE tenant_id = $1 AND status <> 'pending') AS total_alerts,
    (SELECT count(*) FROM alerts WHERE tenant_id = $1 AND status = 'active') AS active_alerts,
    (SELECT count(*) FROM alerts WHERE tenant_id = $1 AND status = 'resolved') AS resolved_alerts,
    (SELECT count(*) FROM rules WHERE tenant_id = $1) AS total_rules,
    (SELECT count(*) FROM rules WHERE tenant_id = $1 AND is_active) AS active_rules";

impl Store {
    /// The tenant's alerts, the newest first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn alerts(&self, tenant_id: TenantId, query: &AlertQuery) -> Result<Listed<Alert>, StoreError> {
        let lists = &self.connections.lists.of(tenant_id);
        let statuses: Vec<_> = query.statuses.iter().map(|status| status.as_str()).collect();
        let severities: Vec<_> = query.severities.iter().map(|severity| severity.as_str()).collect();
        let find = Entity::find().filter(
            Condition::all()
                .add(Column::TenantId.eq(tenant_id.0))
                .add_option((!statuses.is_empty()).then(|| Column::Status.is_in(statuses)))
                .add_option((!severities.is_empty()).then(|| Column::Severity.is_in(severities)))
                .add_option(query.rule_id.map(|rule_id| Column::RuleId.eq(rule_id.0))),
        );
        let (total, rows) = self
            .query(async {
                let total = find.clone().count(lists).await?;
                let rows = find
                    .order_by_desc(Column::StartedAt)
                    .order_by_desc(Column::Id)
                    .limit(u64::from(query.limit))
                    .offset(query.offset)
                    .all(lists)
                    .await?;
                Ok((total, rows))
            })
            .await?;
        Ok(Listed { items: rows.into_iter().map(alert).collect::<Result<_, _>>()?, total })
    }

    /// The tenant's alert with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn alert(&self, tenant_id: TenantId, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.map(alert).transpose()?)
    }

    /// Keeps what a person did to an alert, with its entry and what there is to say because of it. Answers
    /// whether it did: not when the alert or its rule was changed meanwhile, or the rule is gone. Read both
    /// again then.
    ///
    /// # Errors
    /// Nothing was stored, except with [`StoreError::OutcomeUnknown`]: doing it again then answers `false` if
    /// it was.
    pub async fn apply_action(&self, acted: &ActedAlert) -> Result<bool, StoreError> {
        let alert = &acted.alert;
        let is_done = self
            .change(async {
                let transaction = self.begin(alert.tenant_id).await?;
                let revision = acted.rule_revision;
                if !rules::advance(&transaction, alert.tenant_id, alert.rule_id, revision).await? {
                    return Ok(false);
                }
                let updated = Entity::update_many()
                    .set(changed(alert))
                    .filter(is(alert.tenant_id, alert.id))
                    .filter(Column::RuleId.eq(alert.rule_id.0))
                    .filter(Column::Status.eq(acted.was.as_str()))
                    .exec(&transaction)
                    .await?;
                if updated.rows_affected == 0 {
                    return Ok(false);
                }
                timeline::add(&transaction, alert.tenant_id, std::slice::from_ref(&acted.entry)).await?;
                outgoing::add(&transaction, &acted.deliveries).await?;
                transaction.commit().await?;
                Ok(true)
            })
            .await?;
        if !acted.deliveries.is_empty() {
            self.jobs_were_enqueued();
        }
        Ok(is_done)
    }

    /// How many rules and alerts a tenant has.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn alert_stats(&self, tenant_id: TenantId) -> Result<AlertStats, StoreError> {
        let lists = &self.connections.lists.of(tenant_id);
        let statement = self.sql(STATS, [tenant_id.0.into()]);
        self.query(async {
            let Some(found) = lists.query_one_raw(statement).await? else {
                return Ok(AlertStats::default());
            };
            let count = |name: &str| found.try_get("", name).map(row::count);
            Ok(AlertStats {
                total_alerts: count("total_alerts")?,
                active_alerts: count("active_alerts")?,
                resolved_alerts: count("resolved_alerts")?,
                total_rules: count("total_rules")?,
                active_rules: count("active_rules")?,
            })
        })
        .await
    }
}

pub(super) fn is(tenant_id: TenantId, id: AlertId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.0))
}
