//! Searches on PostgreSQL that first list what is found, no further than a total counts: the page is among them then,
//! and nothing is looked at twice.
//!
//! That is for searches that no index answers, for an endpoint or a correlation id: page and total would both look
//! at every event of the time. And it is for words and tags, where they are indexed. How rare a term is decides which
//! index to begin with, and PostgreSQL knows that of the most frequent terms only. So the index of terms is asked
//! first. If it has more events than a total counts, a walk through time soon meets a page of them; if they were
//! frequent only long ago, the walk ends and PostgreSQL is left to itself.

use pulsestream_domain::{
    event::StoredEvent,
    ports::StoreError,
    search::{EXACT_TOTAL, Filter, Page, Position, Query},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, QueryResult,
    sea_query::{self, Alias, Condition, Expr},
};
use uuid::Uuid;

use super::{
    condition, direction,
    filter::{Way, condition_on},
    is_behind, terms,
};
use crate::{Store, entity::events, row};

/// How many events a walk through time looks at.
const WALK: u64 = 20_000;

/// What was found first.
struct List {
    /// How many events, counted no further than it takes to know that the total is not exact.
    counted: u64,
    /// Those of the page and one behind it. They mean nothing if not all events were counted.
    ids: Vec<Uuid>,
}

impl Store {
    /// A page of a search whose finds are listed first.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub(super) async fn search_listed(&self, tenant_id: TenantId, query: &Query) -> Result<Page, StoreError> {
        let List { counted, ids } = self.query(self.list(tenant_id, query)).await?;
        let ids = match counted > EXACT_TOTAL {
            true if query.filter.has_terms() => self.query(self.walk_to_terms(tenant_id, query)).await?,
            // So many are soon met in their order.
            true => None,
            false => Some(ids),
        };
        let (events, next) = match ids {
            Some(ids) => self.page_of(tenant_id, ids, query).await?,
            None => self.matching_of(condition(self, tenant_id, &query.filter), query).await?,
        };
        Ok(Page {
            total_count: Ord::min(counted, EXACT_TOTAL),
            total_count_is_lower_bound: counted > EXACT_TOTAL,
            next,
            events,
        })
    }

    async fn list(&self, tenant_id: TenantId, query: &Query) -> Result<List, DbErr> {
        use events::Column;
        let way = if query.filter.has_terms() { Way::ByTerms } else { Way::Any };
        let found = condition_on(way, self, tenant_id, &query.filter);
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
        let ids = ids(&rows)?;
        let counted = match rows.first() {
            Some(first) => row::count(first.try_get("", "counted")?),
            // Nothing is on this page; there may be something before it.
            None if query.after.is_some() || query.offset > 0 => self.count_up_to(found).await?,
            None => 0,
        };
        Ok(List { counted, ids })
    }

    /// The ids of a page and of one event behind it, if so many are met soon.
    async fn walk_to_terms(&self, tenant_id: TenantId, query: &Query) -> Result<Option<Vec<Uuid>>, DbErr> {
        use events::Column;
        let Filter { words, tags, .. } = &query.filter;
        let any = Filter { words: None, tags: Vec::new(), ..query.filter.clone() };
        let order = direction(query.order);
        let met = sea_query::Query::select()
            .columns([Column::Id, Column::OccurredAt])
            .column(Alias::new("terms"))
            .from(events::Entity)
            .cond_where(condition(self, tenant_id, &any))
            .cond_where(Condition::all().add_option(query.after.map(|after| is_behind(after, query.order))))
            .order_by(Column::OccurredAt, order.clone())
            .order_by(Column::Id, order.clone())
            .limit(WALK)
            .take();
        let wanted = terms::have_all(self, tenant_id, words.as_deref().unwrap_or_default(), tags);
        let page = sea_query::Query::select()
            .column(Column::Id)
            .from_subquery(met, Alias::new("met"))
            .cond_where(Condition::all().add_option(wanted))
            .order_by(Column::OccurredAt, order.clone())
            .order_by(Column::Id, order)
            .limit(u64::from(query.limit) + 1)
            .offset(query.offset)
            .take();
        let ids = ids(&self.connections.queries.query_all(&page).await?)?;
        Ok((ids.len() > query.limit as usize).then_some(ids))
    }

    /// The events of these ids, of which the last may be of the next page.
    async fn page_of(
        &self,
        tenant_id: TenantId,
        ids: Vec<Uuid>,
        query: &Query,
    ) -> Result<(Vec<StoredEvent>, Option<Position>), StoreError> {
        let is_more = ids.len() > query.limit as usize;
        let found =
            Condition::all().add(events::Column::TenantId.eq(tenant_id.0)).add(events::Column::Id.is_in(ids));
        let query = Query { offset: 0, after: None, ..query.clone() };
        let (events, next) = self.matching_of(found, &query).await?;
        // One of them may be gone by now; there is a next page all the same.
        let last = events.last().filter(|_| is_more).map(|last| Position::of(&last.event));
        Ok((events, next.or(last)))
    }
}

fn ids(rows: &[QueryResult]) -> Result<Vec<Uuid>, DbErr> {
    rows.iter().map(|row| row.try_get("", "id")).collect()
}
