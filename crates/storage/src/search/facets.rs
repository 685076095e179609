//! The most frequent values of a field.

use pulsestream_domain::{
    ports::StoreError,
    search::{Facet, FacetField, Filter},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, Order, QueryResult,
    sea_query::{Expr, Query},
};

use super::condition;
use crate::{
    Store,
    entity::events::{Column, Entity},
    row,
};

impl Store {
    /// The most frequent values of a field among the events the filter finds, at most `limit` of them.
    ///
    /// By count, then by value. Events without a value are left out.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn facets(
        &self,
        tenant_id: TenantId,
        filter: &Filter,
        field: FacetField,
        limit: u32,
    ) -> Result<Vec<Facet>, StoreError> {
        let column = column(field);
        let select = Query::select()
            .expr_as(Expr::col(column), "value")
            .expr_as(Expr::cust("count(*)"), "events")
            .from(Entity)
            .cond_where(condition(self, tenant_id, filter).add(column.is_not_null()))
            .group_by_col(column)
            .order_by("events", Order::Desc)
            .order_by("value", Order::Asc)
            .limit(u64::from(limit))
            .take();
        self.query(async {
            let rows = self.connections.queries.query_all(&select).await?;
            rows.iter().map(|row| facet(row, field)).collect()
        })
        .await
    }
}

fn facet(row: &QueryResult, field: FacetField) -> Result<Facet, DbErr> {
    let value = match field {
        FacetField::StatusCode => row.try_get::<i16>("", "value")?.to_string(),
        _ => row.try_get("", "value")?,
    };
    Ok(Facet { value, count: row::count(row.try_get("", "events")?) })
}

pub(crate) fn column(field: FacetField) -> Column {
    match field {
        FacetField::EventType => Column::EventType,
        FacetField::Severity => Column::Severity,
        FacetField::Service => Column::Service,
        FacetField::Endpoint => Column::Endpoint,
        FacetField::Method => Column::Method,
        FacetField::Environment => Column::Environment,
        FacetField::StatusCode => Column::StatusCode,
        FacetField::UserId => Column::UserId,
    }
}
