//! Rules, as people make, change and delete them.

use pulsestream_domain::{
    alerting::{EVALUATE_RULE, Listed, Rule, RuleChange, RuleCreated, RuleId, RuleQuery},
    identity::{AuditAction, Origin, Target},
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
        rules::{Column, Entity, Model},
        tenants,
    },
    identity::audit::{self, Line, note},
    jobs,
};

/// What evaluations change, and what changes with everything.
const NOT_DECIDED: [&str; 4] = ["revision", "updated_at", "last_triggered_at", "total_triggers"];

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
        origin: &Origin,
    ) -> Result<RuleCreated, StoreError> {
        let created = self
            .change(async {
                let transaction = self.begin(rule.tenant_id).await?;
                lock_tenant(&transaction, rule.tenant_id).await?;
                let mine = Entity::find().filter(Column::TenantId.eq(rule.tenant_id.0));
                if mine.count(&transaction).await? >= u64::from(limit) {
                    return Ok(RuleCreated::QuotaExceeded);
                }
                let row = rule_row(rule);
                Entity::insert(row.clone()).exec_without_returning(&transaction).await?;
                let made = line(AuditAction::RuleCreated, None, Some(&Model::try_from(row)?));
                note(&transaction, rule.tenant_id, origin, made).await?;
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
        ids: &dyn IdSource,
        origin: &Origin,
    ) -> Result<RuleChange, StoreError> {
        let (tenant_id, key) = (rule.tenant_id, rule.id.to_string());
        let change = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                if !advance(&transaction, tenant_id, rule.id, rule.revision).await? {
                    let is_there = find(&transaction, tenant_id, rule.id).await?;
                    return Ok(if is_there.is_some() { RuleChange::Moved } else { RuleChange::Gone });
                }
                let before = find(&transaction, tenant_id, rule.id).await?;
                Entity::update_many()
                    .set(defined(rule))
                    .filter(is(tenant_id, rule.id))
                    .exec(&transaction)
                    .await?;
                let after = find(&transaction, tenant_id, rule.id).await?;
                let changed = line(AuditAction::RuleUpdated, before.as_ref(), after.as_ref());
                note(&transaction, tenant_id, origin, changed).await?;
                if job.is_none() {
                    ending::end_alerts(&transaction, rule, Reason::Deactivated, origin.at, ids).await?;
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
        ids: &dyn IdSource,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let deleted = self
            .change(async {
                let transaction = self.begin(tenant_id).await?;
                let Some(found) = lock(&transaction, tenant_id, id).await? else { return Ok(false) };
                let gone = line(AuditAction::RuleDeleted, Some(&found), None);
                note(&transaction, tenant_id, origin, gone).await?;
                ending::end_alerts(&transaction, &rule(found)?, Reason::Deleted, origin.at, ids).await?;
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

async fn find(db: &impl ConnectionTrait, tenant_id: TenantId, id: RuleId) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(is(tenant_id, id)).one(db).await
}

/// What is noted of a rule; nothing when its definition is as before.
fn line(action: AuditAction, before: Option<&Model>, after: Option<&Model>) -> Option<Line> {
    let row = after.or(before)?;
    let hash = |row: &Model| audit::hash(row, &NOT_DECIDED);
    let (before, after) = (before.map(hash), after.map(hash));
    (before != after).then_some(Line { action, target: Target::Rule(RuleId(row.id)), before, after })
}

/// Takes the rule's row, whatever its revision.
async fn lock(db: &impl ConnectionTrait, tenant_id: TenantId, id: RuleId) -> Result<Option<Model>, DbErr> {
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
