//! Rules, as people make, change and delete them.

use pulsestream_domain::{
    Timestamp,
    alerting::{EVALUATE_RULE, Listed, Rule, RuleChange, RuleCreated, RuleId, RuleQuery},
    job::NewJob,
    ports::{IdSource, StoreError},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, ExprTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::Expr,
};

use super::{
    ending::{self, Reason},
    rows::{defined, rule, rule_row},
};
use crate::{
    Store,
    entity::{
        rules::{Column, Entity},
        tenants,
    },
    jobs,
};

impl Store {
    /// Keeps a new rule and, when it is active, the job of its evaluation. A tenant has at most `limit` rules.
    ///
    /// # Errors
    /// Nothing was stored, except with [`StoreError::OutcomeUnknown`].
    pub async fn create_rule(
        &self,
        rule: &Rule,
        job: Option<&NewJob>,
        limit: u32,
    ) -> Result<RuleCreated, StoreError> {
        let created = self
            .change(async {
                let transaction = self.begin(rule.tenant_id).await?;
                lock_tenant(&transaction, rule.tenant_id).await?;
                let mine = Entity::find().filter(Column::TenantId.eq(rule.tenant_id.0));
                if mine.count(&transaction).await? >= u64::from(limit) {
                    return Ok(RuleCreated::QuotaExceeded);
                }
                Entity::insert(rule_row(rule)).exec_without_returning(&transaction).await?;
                jobs::insert_in(&transaction, job.map_or(&[], std::slice::from_ref)).await?;
                transaction.commit().await?;
                Ok(RuleCreated::Created)
            })
            .await?;
        self.jobs_were_enqueued();
        Ok(created)
    }

    /// The tenant's rule with this id.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn rule(&self, tenant_id: TenantId, id: RuleId) -> Result<Option<Rule>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find().filter(is(tenant_id, id)).one(lookups);
        Ok(self.read(find).await?.map(rule).transpose()?)
    }

    /// The tenant's rules, the newest first.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn rules(&self, tenant_id: TenantId, query: &RuleQuery) -> Result<Listed<Rule>, StoreError> {
        let lists = &self.connections.lists.of(tenant_id);
        let active = query.active_only.then(|| Column::IsActive.eq(true));
        let find =
            Entity::find().filter(Condition::all().add(Column::TenantId.eq(tenant_id.0)).add_option(active));
        let (total, rows) = self
            .query(async {
                let total = find.clone().count(lists).await?;
                let rows = find
                    .order_by_desc(Column::CreatedAt)
                    .order_by_desc(Column::Id)
                    .limit(u64::from(query.limit))
                    .offset(query.offset)
                    .all(lists)
                    .await?;
                Ok((total, rows))
            })
            .await?;
        Ok(Listed { items: rows.into_iter().map(rule).collect::<Result<_, _>>()?, total })
    }

    /// Gives a rule another definition, if it still is as it was read. `job` is that of its evaluation from now
    /// on, in place of the one it has; with none it is not evaluated any more, its pending alerts are dropped and
    /// those that were raised are resolved.
    ///
    /// # Errors
    /// Nothing was changed, except with [`StoreError::OutcomeUnknown`]: doing it again then gives
    /// [`RuleChange::Moved`] if it was.
    pub async fn change_rule(
        &self,
        rule: &Rule,
        job: Option<&NewJob>,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Result<RuleChange, StoreError> {
        let (tenant_id, key) = (rule.tenant_id, rule.id.to_string());
        let change = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                if !advance(&transaction, tenant_id, rule.id, rule.revision).await? {
                    let is_there = Entity::find().filter(is(tenant_id, rule.id)).one(&transaction).await?;
                    return Ok(if is_there.is_some() { RuleChange::Moved } else { RuleChange::Gone });
                }
                Entity::update_many()
                    .set(defined(rule))
                    .filter(is(tenant_id, rule.id))
                    .exec(&transaction)
                    .await?;
                if job.is_none() {
                    ending::end_alerts(&transaction, rule, Reason::Deactivated, now, ids).await?;
                }
                jobs::cancel_in(&transaction, tenant_id, &EVALUATE_RULE, &key).await?;
                jobs::insert_in(&transaction, job.map_or(&[], std::slice::from_ref)).await?;
                transaction.commit().await?;
                Ok(RuleChange::Changed)
            })
            .await?;
        self.jobs_were_enqueued();
        Ok(change)
    }

    /// Deletes a rule and the job of its evaluation. Its pending alerts are dropped, those that were raised are
    /// resolved; they and their history stay. Answers whether there was such a rule.
    ///
    /// # Errors
    /// Doing it again is harmless.
    pub async fn delete_rule(
        &self,
        tenant_id: TenantId,
        id: RuleId,
        now: Timestamp,
        ids: &dyn IdSource,
    ) -> Result<bool, StoreError> {
        let deleted = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                let Some(found) = lock(&transaction, tenant_id, id).await? else { return Ok(false) };
                ending::end_alerts(&transaction, &rule(found)?, Reason::Deleted, now, ids).await?;
                Entity::delete_many().filter(is(tenant_id, id)).exec(&transaction).await?;
                jobs::cancel_in(&transaction, tenant_id, &EVALUATE_RULE, &id.to_string()).await?;
                transaction.commit().await?;
                Ok(true)
            })
            .await?;
        self.jobs_were_enqueued();
        Ok(deleted)
    }

    /// See [`AlertStore::active_rules`](pulsestream_domain::ports::AlertStore::active_rules).
    pub(super) async fn active_rule_ids(&self, tenant_id: TenantId) -> Result<Vec<RuleId>, StoreError> {
        let lookups = &self.connections.lookups.of(tenant_id);
        let find = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::TenantId.eq(tenant_id.0))
            .filter(Column::IsActive.eq(true))
            .order_by_asc(Column::Id)
            .into_tuple::<uuid::Uuid>()
            .all(lookups);
        Ok(self.read(find).await?.into_iter().map(RuleId).collect())
    }
}

/// Takes the rule's row and increments its revision, if that still is what it was read with. Nobody else
/// changes the rule or its alerts before the transaction ends.
pub(super) async fn advance(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    id: RuleId,
    revision: i64,
) -> Result<bool, DbErr> {
    let advanced = Entity::update_many()
        .col_expr(Column::Revision, Expr::col(Column::Revision).add(1))
        .filter(is(tenant_id, id))
        .filter(Column::Revision.eq(revision))
        .exec(db)
        .await?;
    Ok(advanced.rows_affected > 0)
}

pub(super) fn is(tenant_id: TenantId, id: RuleId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant_id.0)).add(Column::Id.eq(id.0))
}

/// Takes the rule's row, whatever its revision.
async fn lock(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    id: RuleId,
) -> Result<Option<crate::entity::rules::Model>, DbErr> {
    Entity::find().filter(is(tenant_id, id)).lock_exclusive().one(db).await
}

/// Takes the tenant's row, so that two who count before they insert do so one after the other. Keys that point
/// at it may still be inserted: this is not a lock for deletion.
pub(super) async fn lock_tenant(db: &impl ConnectionTrait, tenant_id: TenantId) -> Result<(), DbErr> {
    tenants::Entity::find()
        .filter(tenants::Column::Id.eq(tenant_id.0))
        .lock(sea_orm::sea_query::LockType::NoKeyUpdate)
        .one(db)
        .await?;
    Ok(())
}
