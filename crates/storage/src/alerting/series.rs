//! Many steps of the past at once.

use pulsestream_domain::{
    Timestamp,
    alerting::{Measure, Portion, SeriesQuery},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, Order, QueryResult,
    sea_query::{Alias, Asterisk, Expr, ExprTrait as _, Query, SelectStatement},
};

use super::groups::Groups;
use crate::{Store, entity::events::Column, row};

impl Store {
    /// See [`AlertStore::series`](pulsestream_domain::ports::AlertStore::series).
    pub(super) async fn steps(
        &self,
        tenant_id: TenantId,
        query: &SeriesQuery,
    ) -> Result<Vec<Portion>, StoreError> {
        let groups = Groups::new(self, &query.group_by);
        let portions = portions(events(&groups, tenant_id, query), &groups, query);
        let select = of_largest(portions, &groups, query);
        self.query(async {
            let rows = self.connections.queries.query_all(&select).await?;
            rows.iter().map(|row| portion(row, &groups)).collect()
        })
        .await
    }
}

/// The events, each with its group, its step and its number.
fn events(groups: &Groups, tenant_id: TenantId, query: &SeriesQuery) -> SelectStatement {
    let from = query.from.as_micros();
    let width = i64::from(Ord::max(query.step_secs, 1)) * 1_000_000;
    let to = query.from.plus_micros(width.saturating_mul(i64::from(query.steps)));
    groups
        .events(tenant_id, &query.filter)
        .and_where(Column::OccurredAt.gte(from))
        .and_where(Column::OccurredAt.lt(to.as_micros()))
        .expr_as(Expr::col(Column::OccurredAt), Alias::new("occurred_at"))
        .expr_as(Expr::cust(format!("(occurred_at - ({from})) / {width}")), Alias::new("step"))
        .expr_as(groups.number(tenant_id, query.measure.as_ref()), Alias::new("number"))
        .take()
}

/// What the events of each group in each step come to.
fn portions(events: SelectStatement, groups: &Groups, query: &SeriesQuery) -> SelectStatement {
    let mut portions = Query::select().from_subquery(events, Alias::new("found")).take();
    let of_numbers = |name: &str| match query.measure {
        Some(Measure::Aggregate { .. }) => format!("coalesce({name}(number), 0.0)"),
        _ => "0.0".to_owned(),
    };
    for (name, expression) in [
        ("events", "count(*)".to_owned()),
        ("numbers", "count(number)".to_owned()),
        ("sum", format!("CAST({} AS double precision)", of_numbers("sum"))),
        ("minimum", format!("CAST({} AS double precision)", of_numbers("min"))),
        ("maximum", format!("CAST({} AS double precision)", of_numbers("max"))),
        ("latest", "max(occurred_at)".to_owned()),
    ] {
        portions.expr_as(Expr::cust(expression), Alias::new(name));
    }
    for column in std::iter::once("step".to_owned()).chain(groups.columns()) {
        portions.column(Alias::new(column.clone())).group_by_col(Alias::new(column));
    }
    portions
}

/// Only the portions of the groups with most events in all steps together.
fn of_largest(portions: SelectStatement, groups: &Groups, query: &SeriesQuery) -> SelectStatement {
    let sized = Query::select()
        .column(Asterisk)
        .expr_as(Expr::cust(format!("sum(events) OVER ({})", groups.partition(&[]))), Alias::new("size"))
        .from_subquery(portions, Alias::new("portions"))
        .take();
    let order: Vec<String> = std::iter::once("size DESC".to_owned()).chain(groups.order()).collect();
    let placed = Query::select()
        .column(Asterisk)
        .expr_as(
            Expr::cust(format!("dense_rank() OVER (ORDER BY {})", order.join(", "))),
            Alias::new("place"),
        )
        .from_subquery(sized, Alias::new("sized"))
        .take();
    let mut select = Query::select()
        .column(Asterisk)
        .from_subquery(placed, Alias::new("placed"))
        .and_where(Expr::col(Alias::new("place")).lte(i64::try_from(query.max_groups).unwrap_or(i64::MAX)))
        .order_by("step", Order::Asc)
        .take();
    for column in groups.order() {
        select.order_by_expr(Expr::cust(column), Order::Asc);
    }
    select
}

fn portion(row: &QueryResult, groups: &Groups) -> Result<Portion, DbErr> {
    let step: i64 = row.try_get("", "step")?;
    Ok(Portion {
        labels: groups.labels(row)?,
        step: u32::try_from(step).map_err(|error| DbErr::Type(error.to_string()))?,
        count: row::count(row.try_get("", "events")?),
        measured_count: row::count(row.try_get("", "numbers")?),
        sum: row.try_get("", "sum")?,
        minimum: row.try_get("", "minimum")?,
        maximum: row.try_get("", "maximum")?,
        latest: Timestamp::from_micros(row.try_get("", "latest")?),
    })
}
