//! Storing what an evaluation changes.

use pulsestream_domain::{
    Timestamp,
    alerting::{Committed, Evaluation},
    job::LeaseCheck,
    ports::StoreError,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, ExprTrait as _, QueryFilter as _, SqlErr,
    sea_query::Expr,
};

use super::{
    ROWS_AT_ONCE, alerts, outgoing,
    rows::{alert_row, changed},
    rules, timeline,
};
use crate::{
    Store,
    entity::{
        alerts::{Column, Entity},
        rules::{Column as RuleColumn, Entity as Rules},
    },
    jobs,
};

impl Store {
    /// See [`AlertStore::commit`](pulsestream_domain::ports::AlertStore::commit).
    pub(super) async fn commit_evaluation(
        &self,
        evaluation: &Evaluation,
        now: Timestamp,
    ) -> Result<Committed, StoreError> {
        let committed = self
            .change(async {
                let transaction = self.begin(evaluation.tenant_id).await?;
                // A transaction that is dropped is rolled back.
                let is_current = advance(&transaction, evaluation).await?;
                if let Some(settlement) = &evaluation.settlement {
                    let settled = std::slice::from_ref(settlement);
                    if jobs::settle_in(&transaction, settled, now).await? == [LeaseCheck::Lost] {
                        return Ok(Committed::LeaseLost);
                    }
                }
                if !is_current || !change_alerts(&transaction, evaluation).await? {
                    return Ok(Committed::Changed);
                }
                let transition = &evaluation.transition;
                timeline::add(&transaction, evaluation.tenant_id, &transition.timeline).await?;
                outgoing::add(&transaction, &transition.deliveries).await?;
                #[cfg(feature = "sabotage")]
                pulsestream_sabotage::step("evaluation_before_commit");
                transaction.commit().await?;
                #[cfg(feature = "sabotage")]
                pulsestream_sabotage::step("evaluation_after_commit");
                Ok(Committed::Committed)
            })
            .await?;
        if committed == Committed::Committed && !evaluation.transition.deliveries.is_empty() {
            self.jobs_were_enqueued();
        }
        Ok(committed)
    }
}

/// Takes the rule's row if it is active and has the evaluation's revision, and counts what was triggered.
async fn advance(db: &impl ConnectionTrait, evaluation: &Evaluation) -> Result<bool, DbErr> {
    let mut update = Rules::update_many()
        .col_expr(RuleColumn::Revision, Expr::col(RuleColumn::Revision).add(1))
        .filter(rules::is(evaluation.tenant_id, evaluation.rule_id))
        .filter(RuleColumn::Revision.eq(evaluation.revision))
        .filter(RuleColumn::IsActive.eq(true));
    let triggered = i64::try_from(evaluation.transition.triggered.len()).unwrap_or(i64::MAX);
    if triggered > 0 {
        update = update
            .col_expr(RuleColumn::LastTriggeredAt, Expr::value(evaluation.at.as_micros()))
            .col_expr(RuleColumn::TotalTriggers, Expr::col(RuleColumn::TotalTriggers).add(triggered));
    }
    Ok(update.exec(db).await?.rows_affected > 0)
}

/// Answers `false` when a group's alert is open already. What ends comes before what begins: it may be of the
/// same group.
async fn change_alerts(db: &impl ConnectionTrait, evaluation: &Evaluation) -> Result<bool, DbErr> {
    let (tenant_id, transition) = (evaluation.tenant_id, &evaluation.transition);
    for discarded in transition.discarded.chunks(ROWS_AT_ONCE) {
        Entity::delete_many()
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::Id.is_in(discarded.iter().map(|id| id.0)))
            .exec(db)
            .await?;
    }
    for alert in &transition.changed {
        let is_it = alerts::is(tenant_id, alert.id);
        Entity::update_many().set(changed(alert)).filter(is_it).exec(db).await?;
    }
    for opened in transition.opened.chunks(ROWS_AT_ONCE) {
        let inserted = Entity::insert_many(opened.iter().map(alert_row)).exec_without_returning(db).await;
        match inserted {
            Ok(_) => {}
            Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
