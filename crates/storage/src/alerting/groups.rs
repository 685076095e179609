//! By what the events of a window are told apart, and what is measured of each, as SQL.
//!
//! A question about events is one `SELECT` of the events it is about, with a column `g0`, `g1`… for each value
//! that makes their group and `number` for what is measured, and around it what comes of them by group.

use pulsestream_domain::{
    alerting::{GroupField, Labels, Measure, NumberField},
    search::{FacetField, Filter},
    tenant::TenantId,
};
use sea_orm::{
    ColumnTrait as _, DbErr, QueryResult,
    sea_query::{
        Alias, Expr, ExprTrait as _, Query, SelectStatement, SimpleExpr, extension::postgres::PgExpr as _,
    },
};

use crate::{Database, Store, entity::events::Entity, search};

/// The fields of a rule in the order of their names, which is that of labels.
pub(super) struct Groups<'a> {
    store: &'a Store,
    fields: Vec<(String, GroupField)>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(store: &'a Store, group_by: &[GroupField]) -> Self {
        let mut fields: Vec<_> = group_by.iter().map(|field| (field.name(), field.clone())).collect();
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { store, fields }
    }

    /// What makes the group of an event, field by field; the empty text where the event has none.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, SimpleExpr)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), value(self.store.database(), field)))
    }

    /// Whether the database has percentiles: PostgreSQL's `percentile_disc` is the nearest rank, and costs about half of
    /// ranking every event.
    pub(super) fn has_percentiles(&self) -> bool {
        self.store.database() == Database::Postgres
    }

    /// The names of the columns.
    pub(super) fn columns(&self) -> impl Iterator<Item = String> {
        (0..self.fields.len()).map(|place| format!("g{place}"))
    }

    /// The columns as they are sorted: by their bytes.
    pub(super) fn order(&self) -> impl Iterator<Item = String> {
        self.columns().map(|column| match self.store.database() {
            Database::Postgres => format!("{column} COLLATE \"C\""),
            Database::Sqlite => column,
        })
    }

    /// `PARTITION BY` these and all columns of the group.
    pub(super) fn partition(&self, others: &[&str]) -> String {
        let columns: Vec<String> =
            others.iter().map(|other| (*other).to_owned()).chain(self.columns()).collect();
        if columns.is_empty() { String::new() } else { format!("PARTITION BY {}", columns.join(", ")) }
    }

    /// The events that a filter finds, each with its group.
    pub(super) fn events(&self, tenant_id: TenantId, filter: &Filter) -> SelectStatement {
        let mut events =
            Query::select().from(Entity).cond_where(search::condition(self.store, tenant_id, filter)).take();
        for ((_, value), column) in self.values().zip(self.columns()) {
            events.expr_as(value, Alias::new(column));
        }
        events
    }

    /// What is measured of an event: a number where it has one, or counts.
    pub(super) fn number(&self, tenant_id: TenantId, measure: Option<&Measure>) -> SimpleExpr {
        match measure {
            None => Expr::cust("CAST(NULL AS double precision)"),
            Some(Measure::Errors) => Expr::cust("CASE WHEN status_code >= 400 THEN 1 END"),
            Some(Measure::Matching(filter)) => {
                Expr::case(search::condition(self.store, tenant_id, filter), Expr::cust("1")).into()
            }
            Some(Measure::Aggregate { field: NumberField::StatusCode, .. }) => {
                Expr::cust("CAST(status_code AS double precision)")
            }
            Some(Measure::Aggregate { field: NumberField::DurationMs, .. }) => Expr::cust("duration_ms"),
        }
    }

    /// Reads the group of a row.
    pub(super) fn labels(&self, row: &QueryResult) -> Result<Labels, DbErr> {
        let names = self.fields.iter().map(|(name, _)| name);
        let label = |(name, column): (&String, String)| Ok((name.clone(), row.try_get("", &column)?));
        names.zip(self.columns()).map(label).collect::<Result<_, _>>().map(Labels)
    }
}

fn value(database: Database, field: &GroupField) -> SimpleExpr {
    match (field, database) {
        (GroupField::Field(FacetField::StatusCode), _) => {
            Expr::cust("coalesce(CAST(status_code AS text), '')")
        }
        (GroupField::Field(field @ (FacetField::Environment | FacetField::UserId)), _) => {
            Expr::col(search::column(*field)).if_null("")
        }
        (GroupField::Field(field), _) => search::column(*field).into_expr(),
        (GroupField::Tag(key), Database::Postgres) => {
            Expr::cust("document::json -> 'context' -> 'tags'").cast_json_field(key.as_str()).if_null("")
        }
        // A path could not name every key.
        (GroupField::Tag(key), Database::Sqlite) => Expr::cust_with_values(
            "coalesce((SELECT tag.value FROM json_each(document, '$.context.tags') AS tag WHERE tag.key = ?), '')",
            [key.as_str()],
        ),
    }
}
