//! Searches: pages of events, and figures over the events a filter finds.

mod facets;
mod filter;
mod histogram;
mod listed;
mod patterns;
mod terms;

use futures_util::TryStreamExt as _;
use pulsestream_domain::{
    event::StoredEvent,
    ports::StoreError,
    search::{EXACT_TOTAL, Filter, Order, Page, Position, Query, TextIndex},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{self, Alias, Condition, Expr},
};

pub(crate) use facets::column;
pub(crate) use filter::condition;

use crate::{Database, Store, entity::events, row};

/// How many bytes of documents a page may have before it ends: 16 MiB, more than the largest event.
pub const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;

impl Store {
    /// One page of a search, and how many events it finds in all.
    ///
    /// The order is by [`occurred_at`](pulsestream_domain::event::NewEvent::occurred_at), then by row id, so
    /// that it is total and a cursor has one place in it: events that arrive between two pages neither
    /// repeat nor hide others.
    ///
    /// # Errors
    /// When the store does not answer, or a row can't be read.
    pub async fn search(&self, tenant_id: TenantId, query: &Query) -> Result<Page, StoreError> {
        if self.database() == Database::Postgres && is_listed_first(self.text_index(), &query.filter) {
            return self.search_listed(tenant_id, query).await;
        }
        let (events, next) = self.matching(tenant_id, query).await?;
        let is_everything = next.is_none() && query.after.is_none() && query.offset == 0;
        let counted = if is_everything {
            events.len() as u64
        } else {
            self.query(self.count_up_to(condition(self, tenant_id, &query.filter))).await?
        };
        Ok(Page {
            total_count: Ord::min(counted, EXACT_TOTAL),
            total_count_is_lower_bound: counted > EXACT_TOTAL,
            next,
            events,
        })
    }

    /// The events of a page and where the next one starts, without counting what else there is.
    ///
    /// A page ends early, and has a next one, when its documents reach [`MAX_PAGE_BYTES`]: a thousand events
    /// of ten megabytes fit into no memory. It always has one event if there is one.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub async fn matching(
        &self,
        tenant_id: TenantId,
        query: &Query,
    ) -> Result<(Vec<StoredEvent>, Option<Position>), StoreError> {
        let found = condition(self, tenant_id, &query.filter);
        if self.database() == Database::Postgres && is_in_index(&query.filter) {
            let places = sea_query::Query::select()
                .column(events::Column::Id)
                .from_subquery(places(found, query), Alias::new("places"))
                .take();
            let found = Condition::all()
                .add(events::Column::TenantId.eq(tenant_id.0))
                .add(events::Column::Id.in_subquery(places));
            let query = Query { offset: 0, after: None, ..query.clone() };
            return self.matching_of(found, &query).await;
        }
        self.matching_of(found, query).await
    }

    async fn matching_of(
        &self,
        found: Condition,
        query: &Query,
    ) -> Result<(Vec<StoredEvent>, Option<Position>), StoreError> {
        let (rows, is_more) = self.query(self.page(found, query)).await?;
        let events = rows.into_iter().map(row::event).collect::<Result<Vec<_>, _>>()?;
        let next = events.last().filter(|_| is_more).map(|last| Position::of(&last.event));
        Ok((events, next))
    }

    /// The rows of a page, and whether one more was seen behind them.
    async fn page(&self, found: Condition, query: &Query) -> Result<(Vec<events::Model>, bool), DbErr> {
        use events::{Column, Entity};
        let order = direction(query.order);
        let mut select = Entity::find()
            .filter(found)
            .order_by(Column::OccurredAt, order.clone())
            .order_by(Column::Id, order)
            .limit(u64::from(query.limit) + 1);
        if let Some(after) = query.after {
            select = select.filter(is_behind(after, query.order));
        }
        if query.offset > 0 {
            select = select.offset(query.offset);
        }
        let mut stream = select.stream(&self.connections.queries).await?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = stream.try_next().await? {
            if rows.len() == query.limit as usize || bytes >= MAX_PAGE_BYTES {
                return Ok((rows, true));
            }
            bytes += row.document.len();
            rows.push(row);
        }
        Ok((rows, false))
    }

    /// How many events are found, counted no further than it takes to know that the total is not exact.
    async fn count_up_to(&self, found: Condition) -> Result<u64, DbErr> {
        let some = sea_query::Query::select()
            .expr(Expr::cust("1"))
            .from(events::Entity)
            .cond_where(found)
            .limit(EXACT_TOTAL + 1)
            .take();
        let counted = sea_query::Query::select()
            .expr_as(Expr::cust("count(*)"), Alias::new("counted"))
            .from_subquery(some, Alias::new("found"))
            .take();
        match self.connections.queries.query_one(&counted).await? {
            Some(row) => Ok(row::count(row.try_get("", "counted")?)),
            None => Ok(0),
        }
    }
}

/// Whether PostgreSQL should list what is found before it looks for a page of it: where terms are indexed, and where
/// every event of the time has to be looked at, which a page and a total would both do.
fn is_listed_first(text_index: TextIndex, filter: &Filter) -> bool {
    match filter.has_terms() {
        true => text_index == TextIndex::Words,
        false => filter.endpoint.is_some() || filter.correlation_id.is_some(),
    }
}

/// Whether PostgreSQL's index of times has every column that the filter looks at, and the filter looks at one.
///
/// It reads events to look at a column unless all that is asked for is in the index. Asking for ids first, and for the
/// events of the page then, spares it those that do not match.
fn is_in_index(filter: &Filter) -> bool {
    let Filter { event_type, severity, service, method, environment, status_code, user_id, .. } = filter;
    let is_asked = event_type.is_some()
        || severity.is_some()
        || service.is_some()
        || method.is_some()
        || environment.is_some()
        || status_code.is_some()
        || user_id.is_some();
    is_asked && filter.endpoint.is_none() && filter.correlation_id.is_none() && !filter.has_terms()
}

/// The ids of a page and of one event behind it.
fn places(found: Condition, query: &Query) -> sea_query::SelectStatement {
    use events::Column;
    let order = direction(query.order);
    sea_query::Query::select()
        .column(Column::Id)
        .from(events::Entity)
        .cond_where(found.add_option(query.after.map(|after| is_behind(after, query.order))))
        .order_by(Column::OccurredAt, order.clone())
        .order_by(Column::Id, order)
        .limit(u64::from(query.limit) + 1)
        .offset(query.offset)
        .take()
}

fn direction(order: Order) -> sea_orm::Order {
    match order {
        Order::Descending => sea_orm::Order::Desc,
        Order::Ascending => sea_orm::Order::Asc,
    }
}

/// One comparison of pairs, which an index on both columns answers by starting at the right place.
fn is_behind(position: Position, order: Order) -> Expr {
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("cursor_by_time_alone") {
        let (time, here) = (Expr::col(events::Column::OccurredAt), position.occurred_at.as_micros());
        return if order == Order::Descending { time.lt(here) } else { time.gt(here) };
    }
    let row = Expr::tuple([Expr::col(events::Column::OccurredAt), Expr::col(events::Column::Id)]);
    let here = Expr::tuple([Expr::value(position.occurred_at.as_micros()), Expr::value(position.id)]);
    match order {
        Order::Descending => row.lt(here),
        Order::Ascending => row.gt(here),
    }
}
