//! Events over time.

use pulsestream_domain::{
    Timestamp,
    ports::StoreError,
    search::{Bucket, Filter, Interval, MAX_BUCKETS, Percentiles},
    tenant::TenantId,
};
use sea_orm::{
    ConnectionTrait as _, DbErr, QueryResult,
    sea_query::{Alias, Expr, Query, SelectStatement},
};

use super::condition;
use crate::{Database, Store, entity::events, row};

impl Store {
    /// Counts, errors and response times of the events the filter finds, by interval, oldest first.
    ///
    /// Intervals without events are left out. Of more than [`MAX_BUCKETS`] the newest are given.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn histogram(
        &self,
        tenant_id: TenantId,
        filter: &Filter,
        interval: Interval,
    ) -> Result<Vec<Bucket>, StoreError> {
        let select = buckets(self.database(), found(self, tenant_id, filter, interval));
        self.query(async {
            let rows = self.connections.queries.query_all(&select).await?;
            rows.iter().rev().map(bucket).collect()
        })
        .await
    }
}

/// Each event with its interval.
///
/// SQLite has no percentiles: there each event has also its rank by duration within the interval, and how many durations there
/// are. Events without a duration come last, so that ranks count only those with one.
fn found(store: &Store, tenant_id: TenantId, filter: &Filter, interval: Interval) -> SelectStatement {
    let width = interval.micros();
    // The remainder is made positive for instants before 1970.
    let start = format!("(occurred_at - ((occurred_at % {width}) + {width}) % {width})");
    let mut select = Query::select()
        .expr_as(Expr::cust(start.clone()), "start")
        .expr_as(Expr::cust("CASE WHEN status_code >= 500 THEN 1 END"), "error")
        .expr_as(Expr::cust("duration_ms"), "duration")
        .from(events::Entity)
        .cond_where(condition(store, tenant_id, filter))
        .take();
    if store.database() == Database::Sqlite {
        let rank =
            format!("row_number() OVER (PARTITION BY {start} ORDER BY duration_ms IS NULL, duration_ms)");
        select
            .expr_as(Expr::cust(rank), "rank")
            .expr_as(Expr::cust(format!("count(duration_ms) OVER (PARTITION BY {start})")), "durations");
    }
    select
}

/// The nearest rank of a percentile of n values is n × percent / 100, rounded up. That is what `percentile_disc` gives, at half of
/// what ranking every event costs.
fn buckets(database: Database, found: SelectStatement) -> SelectStatement {
    let at = |percent: u32| {
        Expr::cust(match database {
            Database::Postgres => {
                format!("percentile_disc({percent} / 100.0) WITHIN GROUP (ORDER BY duration)")
            }
            Database::Sqlite => {
                format!("max(CASE WHEN rank = (durations * {percent} + 99) / 100 THEN duration END)")
            }
        })
    };
    Query::select()
        .column("start")
        .expr_as(Expr::cust("count(*)"), "events")
        .expr_as(Expr::cust("count(error)"), "errors")
        .expr_as(at(50), "p50")
        .expr_as(at(95), "p95")
        .expr_as(at(99), "p99")
        .from_subquery(found, Alias::new("found"))
        .group_by_col("start")
        .order_by("start", sea_orm::Order::Desc)
        .limit(MAX_BUCKETS as u64)
        .take()
}

fn bucket(row: &QueryResult) -> Result<Bucket, DbErr> {
    let percentile = |name: &str| row.try_get::<Option<f64>>("", name);
    let durations = match (percentile("p50")?, percentile("p95")?, percentile("p99")?) {
        (Some(p50), Some(p95), Some(p99)) => Some(Percentiles { p50, p95, p99 }),
        _ => None,
    };
    Ok(Bucket {
        start: Timestamp::from_micros(row.try_get("", "start")?),
        count: row::count(row.try_get("", "events")?),
        errors: row::count(row.try_get("", "errors")?),
        durations,
    })
}
