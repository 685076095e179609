//! What a window of events looks like, by group: one statement, which is also the snapshot.

use pulsestream_domain::{
    Timestamp,
    alerting::{Aggregate, Figures, GroupObservation, Measure, ObservationQuery, Observed},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, Order, QueryResult,
    sea_query::{Alias, Asterisk, Expr, Query, SelectStatement},
};

use super::groups::Groups;
use crate::{Store, entity::events::Column, row};

impl Store {
    /// See [`AlertStore::observe`](pulsestream_domain::ports::AlertStore::observe).
    pub(super) async fn observe_window(
        &self,
        tenant_id: TenantId,
        query: &ObservationQuery,
    ) -> Result<Observed, StoreError> {
        let groups = Groups::new(self, &query.group_by);
        let select = figures(ranked(events(&groups, tenant_id, query), &groups, query), &groups, query);
        let mut found = self
            .query(async {
                let rows = self.connections.queries.query_all(&select).await?;
                rows.iter().map(|row| group(row, &groups, query)).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        let is_truncated = found.len() > query.max_groups;
        found.truncate(query.max_groups);
        found.sort_by(|one, other| one.labels.cmp(&other.labels));
        Ok(Observed { groups: found, is_truncated })
    }
}

/// The events of both times, each with its group, whether it is in the window, and its number.
fn events(groups: &Groups, tenant_id: TenantId, query: &ObservationQuery) -> SelectStatement {
    let from = query.window.from.as_micros();
    let is_in_window = match query.earlier {
        Some(_) => Expr::case(Column::OccurredAt.gte(from), Expr::cust("1")).finally(Expr::cust("0")).into(),
        None => Expr::cust("1"),
    };
    let earliest = query.earlier.map_or(query.window.from, |earlier| earlier.from);
    groups
        .events(tenant_id, &query.filter)
        .and_where(Column::OccurredAt.gte(earliest.as_micros()))
        .and_where(Column::OccurredAt.lt(query.window.to.as_micros()))
        .expr_as(Expr::col(Column::OccurredAt), Alias::new("occurred_at"))
        .expr_as(is_in_window, Alias::new("is_in_window"))
        .expr_as(groups.number(tenant_id, query.measure.as_ref()), Alias::new("number"))
        .take()
}

/// For a percentile where the database has none, each event's rank by its number and how many numbers there are, in its group and time.
/// Events without a number come last, so that ranks count only those with one.
fn ranked(events: SelectStatement, groups: &Groups, query: &ObservationQuery) -> SelectStatement {
    if groups.has_percentiles() || percent(query.measure.as_ref()).is_none() {
        return events;
    }
    let partition = groups.partition(&["is_in_window"]);
    Query::select()
        .column(Asterisk)
        .expr_as(
            Expr::cust(format!("row_number() OVER ({partition} ORDER BY number IS NULL, number)")),
            Alias::new("rank"),
        )
        .expr_as(Expr::cust(format!("count(number) OVER ({partition})")), Alias::new("numbers"))
        .from_subquery(events, Alias::new("found"))
        .take()
}

fn percent(measure: Option<&Measure>) -> Option<u32> {
    match measure {
        Some(Measure::Aggregate { aggregate, .. }) => aggregate.percent(),
        _ => None,
    }
}

/// What the events of each group come to, the largest groups first, and one group more than asked for.
fn figures(events: SelectStatement, groups: &Groups, query: &ObservationQuery) -> SelectStatement {
    let mut select = Query::select().from_subquery(events, Alias::new("found")).take();
    let times: &[(&str, u8)] =
        if query.earlier.is_some() { &[("window", 1), ("earlier", 0)] } else { &[("window", 1)] };
    for (time, is_in_window) in times {
        let those = |condition: &str, value: &str| {
            format!("CASE WHEN is_in_window = {is_in_window}{condition} THEN {value} END")
        };
        for (figure, expression) in [
            ("count", format!("count({})", those("", "1"))),
            ("measured", measured(groups, query.measure.as_ref(), &those)),
            ("latest", format!("max({})", those("", "occurred_at"))),
        ] {
            select.expr_as(Expr::cust(expression), Alias::new(format!("{time}_{figure}")));
        }
    }
    for column in groups.columns() {
        select.column(Alias::new(column.clone())).group_by_col(Alias::new(column));
    }
    select.order_by("window_count", Order::Desc);
    for column in groups.order() {
        select.order_by_expr(Expr::cust(column), Order::Asc);
    }
    select.limit(query.max_groups as u64 + 1).take()
}

/// The nearest rank of a percentile of n numbers is n × percent / 100, rounded up.
fn measured(groups: &Groups, measure: Option<&Measure>, those: &dyn Fn(&str, &str) -> String) -> String {
    match measure {
        None => "CAST(NULL AS double precision)".to_owned(),
        Some(Measure::Errors | Measure::Matching(_)) => {
            format!("CAST(count({}) AS double precision)", those("", "number"))
        }
        Some(Measure::Aggregate { aggregate, .. }) => match (aggregate, aggregate.percent()) {
            (_, Some(percent)) if groups.has_percentiles() => {
                let numbers = those("", "number");
                format!("percentile_disc({percent} / 100.0) WITHIN GROUP (ORDER BY {numbers})")
            }
            (_, Some(percent)) => {
                let is_it = format!(" AND rank = (numbers * {percent} + 99) / 100");
                format!("max({})", those(&is_it, "number"))
            }
            (Aggregate::Minimum, _) => format!("min({})", those("", "number")),
            (Aggregate::Maximum, _) => format!("max({})", those("", "number")),
            _ => format!("avg({})", those("", "number")),
        },
    }
}

fn group(row: &QueryResult, groups: &Groups, query: &ObservationQuery) -> Result<GroupObservation, DbErr> {
    let figures = |time: &str| -> Result<Figures, DbErr> {
        Ok(Figures {
            count: row::count(row.try_get("", &format!("{time}_count"))?),
            measured: row.try_get("", &format!("{time}_measured"))?,
            latest: row.try_get::<Option<i64>>("", &format!("{time}_latest"))?.map(Timestamp::from_micros),
        })
    };
    Ok(GroupObservation {
        labels: groups.labels(row)?,
        window: figures("window")?,
        earlier: if query.earlier.is_some() { figures("earlier")? } else { Figures::default() },
    })
}
