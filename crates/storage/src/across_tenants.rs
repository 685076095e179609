//! The few queries that look at all tenants, or at the events of all of them. Everything else takes a tenant.
//!
//! They go from tenant to tenant, since every index starts with one; a tenant is known by its row in
//! `tenants`.

use pulsestream_domain::{
    Timestamp,
    event::{Document, Enrichment, ProcessingStatus},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::{
    Store,
    entity::{
        events::{ActiveModel, Column, Entity, Model},
        tenants,
    },
    error::UnreadableRow,
    row,
    stats::first_id_at,
};

const ERRORS_SINCE: &str = "
SELECT sum((
    SELECT count(*) FROM events
    WHERE tenant_id = tenants.id AND events.id >= $1 AND status_code >= 500 AND NOT is_deleted
)) AS figure FROM tenants";

const LAST_RECEIVED_AT: &str = "
SELECT max((
    SELECT received_at FROM events
    WHERE tenant_id = tenants.id AND NOT is_deleted ORDER BY events.id DESC LIMIT 1
)) AS figure FROM tenants";

const PENDING: &str =
    "SELECT count(*) AS figure FROM events WHERE processing_status = 'pending' AND NOT is_deleted";

/// Literal, as in the index.
const IS_PENDING: &str = "processing_status = 'pending' AND NOT is_deleted";

impl Store {
    /// Works out again what can be said about events that were queued for it, at most `limit` of them.
    /// Answers how many it did; fewer than `limit` means that none are left.
    ///
    /// Several instances may do so at once: some work is then done twice, to the same end.
    ///
    /// # Errors
    /// When the store does not answer; then the events stay queued.
    pub async fn reprocess_pending(&self, limit: u32) -> Result<u64, StoreError> {
        self.change(async {
            let transaction = self.begin_across_tenants().await?;
            let rows = Entity::find()
                .filter(Expr::cust(IS_PENDING))
                .order_by_asc(Column::TenantId)
                .order_by_asc(Column::Id)
                .limit(u64::from(limit))
                .all(&transaction)
                .await?;
            let mut done = 0;
            for event in rows {
                let updated = Entity::update_many()
                    .filter(Column::TenantId.eq(event.tenant_id))
                    .filter(Column::Id.eq(event.id))
                    .filter(Expr::cust(IS_PENDING))
                    .set(completed(&event))
                    .exec(&transaction)
                    .await?;
                done += updated.rows_affected;
            }
            transaction.commit().await?;
            Ok(done)
        })
        .await
    }

    /// How many events wait to be processed again.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn pending_events(&self) -> Result<u64, StoreError> {
        Ok(self.figure(PENDING, []).await?.map_or(0, row::count))
    }

    /// How many events with a status code of 500 or more were taken in during the hour before `now`.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn errors_last_hour(&self, now: Timestamp) -> Result<u64, StoreError> {
        let since = first_id_at(now.plus_secs(-3_600));
        Ok(self.figure(ERRORS_SINCE, [since.into()]).await?.map_or(0, row::count))
    }

    /// When the latest event was taken in.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn last_received_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.figure(LAST_RECEIVED_AT, []).await?.map(Timestamp::from_micros))
    }

    /// The tenants that do not keep their events for ever, each with the number of days it keeps them.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn retentions(&self) -> Result<Vec<(TenantId, u32)>, StoreError> {
        use tenants::Column;
        let find = tenants::Entity::find()
            .select_only()
            .columns([Column::Id, Column::RetentionDays])
            .filter(Column::RetentionDays.is_not_null())
            .order_by_asc(Column::Id)
            .into_tuple::<(Uuid, i64)>()
            .all(self.connections.lookups.across_tenants());
        let read = |(id, days): (Uuid, i64)| {
            let unreadable =
                |_| UnreadableRow { table: "tenants", column: "retention_days", row: id.to_string() };
            Ok((TenantId(id), u32::try_from(days).map_err(unreadable)?))
        };
        self.read(find).await?.into_iter().map(read).collect()
    }

    async fn figure<const N: usize>(
        &self,
        text: &str,
        values: [sea_orm::Value; N],
    ) -> Result<Option<i64>, StoreError> {
        // PostgreSQL adds counts up to a number of any size; here they fit.
        let text = format!("SELECT CAST(figure AS bigint) AS figure FROM ({text}) AS figures");
        let statement = self.sql(&text, values);
        self.read(async {
            match self.connections.queries.query_one_raw(statement).await? {
                Some(row) => row.try_get::<Option<i64>>("", "figure"),
                None => Ok::<_, DbErr>(None),
            }
        })
        .await
    }
}

/// What the event becomes: everything as it was, but for what was worked out again.
fn completed(event: &Model) -> ActiveModel {
    let enrichment = Enrichment::of(user_agent(event).as_deref(), event.duration_ms);
    ActiveModel {
        tenant_id: Unchanged(event.tenant_id),
        id: Unchanged(event.id),
        device_type: Set(enrichment.device_type.map(|device| device.as_str().to_owned())),
        performance: Set(enrichment.performance.map(|performance| performance.as_str().to_owned())),
        processing_status: Set(ProcessingStatus::Completed.as_str().to_owned()),
        ..ActiveModel::default()
    }
}

/// `context.user_agent` of a document. One that can't be read has none: it must not hold up the others.
fn user_agent(event: &Model) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Context {
        user_agent: Option<String>,
    }
    let document = Document::from_stored(event.document.clone());
    let read = || -> Result<Option<String>, serde_json::Error> {
        let Some(context) = document.members()?.context else { return Ok(None) };
        Ok(serde_json::from_str::<Context>(context.get())?.user_agent)
    };
    read().unwrap_or_else(|error| {
        tracing::warn!(
            tenant.id = %event.tenant_id,
            event.row = %event.id,
            %error,
            "events.document can't be read; the event is processed without its user agent"
        );
        None
    })
}
