//! Searches for words and tags on PostgreSQL.
//!
//! How rare a term is decides which index to begin with, and PostgreSQL knows that of the most frequent terms
//! only. So the index of terms is asked first, for as many events as a total counts. If those are all, the page
//! is among them. Otherwise the term is so frequent that a walk through time soon meets a page of it.

use pulsestream_domain::{
    ports::StoreError,
    search::{EXACT_TOTAL, Page, Query},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr,
    sea_query::{self, Alias, Condition, Expr},
};
use uuid::Uuid;

use super::{
    direction,
    filter::{Way, condition_on},
    is_behind,
};
use crate::{Store, entity::events, row};

/// What the index of terms found.
struct List {
    /// How many events, counted no further than it takes to know that the total is not exact.
    counted: u64,
    /// Those of the page and one behind it. They mean nothing if not all events were counted.
    ids: Vec<Uuid>,
}

impl Store {
    /// A page of a search that has terms.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub(super) async fn search_terms(&self, tenant_id: TenantId, query: &Query) -> Result<Page, StoreError> {
        let List { counted, ids } = self.query(self.list_terms(tenant_id, query)).await?;
        let (events, next) = if counted > EXACT_TOTAL {
            let found = condition_on(Way::ByTime, self.database(), tenant_id, &query.filter);
            self.matching_of(found, query).await?
        } else {
            let found = Condition::all()
                .add(events::Column::TenantId.eq(tenant_id.0))
                .add(events::Column::Id.is_in(ids));
            let query = Query { offset: 0, after: None, ..query.clone() };
            self.matching_of(found, &query).await?
        };
        Ok(Page {
            total_count: Ord::min(counted, EXACT_TOTAL),
            total_count_is_lower_bound: counted > EXACT_TOTAL,
            next,
            events,
        })
    }

    async fn list_terms(&self, tenant_id: TenantId, query: &Query) -> Result<List, DbErr> {
        use events::Column;
        let found = condition_on(Way::ByTerms, self.database(), tenant_id, &query.filter);
        let all = sea_query::Query::select()
            .columns([Column::Id, Column::OccurredAt])
            .from(events::Entity)
            .cond_where(found.clone())
            .limit(EXACT_TOTAL + 1)
            .take();
        let counted = sea_query::Query::select()
            .columns([Column::Id, Column::OccurredAt])
            .expr_as(Expr::cust("count(*) OVER ()"), Alias::new("counted"))
            .from_subquery(all, Alias::new("found"))
            .take();
        let order = direction(query.order);
        let page = sea_query::Query::select()
            .column(Column::Id)
            .column(Alias::new("counted"))
            .from_subquery(counted, Alias::new("counted_events"))
            .cond_where(Condition::all().add_option(query.after.map(|after| is_behind(after, query.order))))
            .order_by(Column::OccurredAt, order.clone())
            .order_by(Column::Id, order)
            .limit(u64::from(query.limit) + 1)
            .offset(query.offset)
            .take();
        let rows = self.connections.queries.query_all(&page).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
        let counted = match rows.first() {
            Some(first) => row::count(first.try_get("", "counted")?),
            // Nothing is on this page; there may be something before it.
            None if query.after.is_some() || query.offset > 0 => self.count_up_to(found).await?,
            None => 0,
        };
        Ok(List { counted, ids })
    }
}
