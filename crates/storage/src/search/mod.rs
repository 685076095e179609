//! Searches: pages of events, and figures over the events a filter finds.

mod facets;
mod filter;
mod histogram;
mod patterns;
mod terms;

use pulsestream_domain::{
    ports::StoreError,
    search::{EXACT_TOTAL, Order, Page, Position, Query},
    tenant::TenantId,
};
use sea_orm::{
    ConnectionTrait as _, DbErr, EntityTrait as _, ExprTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{self, Alias, Condition, Expr},
};

pub(crate) use filter::condition;

use crate::{Store, entity::events, row};

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
        let found = condition(self.database(), tenant_id, &query.filter);
        let mut rows = self.read(self.page(&found, query)).await?;
        let is_more = rows.len() > query.limit as usize;
        rows.truncate(query.limit as usize);
        let events = rows.into_iter().map(row::event).collect::<Result<Vec<_>, _>>()?;

        let is_everything = !is_more && query.after.is_none() && query.offset == 0;
        let counted =
            if is_everything { events.len() as u64 } else { self.read(self.count_up_to(found)).await? };
        Ok(Page {
            total_count: Ord::min(counted, EXACT_TOTAL),
            total_count_is_lower_bound: counted > EXACT_TOTAL,
            next: if is_more { events.last().map(|last| Position::of(&last.event)) } else { None },
            events,
        })
    }

    /// The rows of a page and one more, which tells whether there is another page.
    async fn page(&self, found: &Condition, query: &Query) -> Result<Vec<events::Model>, DbErr> {
        use events::{Column, Entity};
        let order = match query.order {
            Order::Descending => sea_orm::Order::Desc,
            Order::Ascending => sea_orm::Order::Asc,
        };
        let mut select = Entity::find()
            .filter(found.clone())
            .order_by(Column::OccurredAt, order.clone())
            .order_by(Column::Id, order)
            .limit(u64::from(query.limit) + 1);
        if let Some(after) = query.after {
            select = select.filter(is_behind(after, query.order));
        }
        if query.offset > 0 {
            select = select.offset(query.offset);
        }
        select.all(&self.connections.queries).await
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

/// One comparison of pairs, which an index on both columns answers by starting at the right place.
fn is_behind(position: Position, order: Order) -> Expr {
    let row = Expr::tuple([Expr::col(events::Column::OccurredAt), Expr::col(events::Column::Id)]);
    let here = Expr::tuple([Expr::value(position.occurred_at.as_micros()), Expr::value(position.id)]);
    match order {
        Order::Descending => row.lt(here),
        Order::Ascending => row.gt(here),
    }
}
