//! Lists of rows as one bound JSON text, and back.

use std::collections::HashSet;

use pulsestream_domain::{
    job::{JobId, Lease, LeaseCheck},
    tenant::TenantId,
};
use sea_orm::{DbBackend, DbErr, QueryResult, Value};
use uuid::Uuid;

/// What a member of a row's object is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// 32 hexadecimal digits.
    Uuid,
    /// A text, or nothing.
    Text,
    /// An integer, or nothing.
    Integer,
}

/// An item for `FROM` that reads the `$2` objects of the JSON array in `$1` as rows with these columns.
///
/// Without their number, PostgreSQL takes any list for a hundred rows, and would rather read the whole queue
/// than look up as many.
pub(crate) fn rows(backend: DbBackend, columns: &[(&str, Column)]) -> String {
    let on_postgres = |(name, column): &(&str, Column)| match column {
        Column::Uuid => format!("{name} uuid"),
        Column::Text => format!("{name} text"),
        Column::Integer => format!("{name} bigint"),
    };
    let on_sqlite = |(name, column): &(&str, Column)| match column {
        Column::Uuid => format!("unhex(value ->> '{name}') AS {name}"),
        Column::Text | Column::Integer => format!("value ->> '{name}' AS {name}"),
    };
    let list = |of: &dyn Fn(&(&str, Column)) -> String| columns.iter().map(of).collect::<Vec<_>>().join(", ");
    match backend {
        DbBackend::Sqlite => format!("(SELECT {} FROM json_each($1) LIMIT $2) AS listed", list(&on_sqlite)),
        _ => format!(
            "(SELECT * FROM jsonb_to_recordset($1::jsonb) AS each ({}) LIMIT $2) AS listed",
            list(&on_postgres)
        ),
    }
}

/// The values of `$1` and `$2` for [`rows`].
pub(crate) fn values(list: Vec<serde_json::Value>) -> [Value; 2] {
    let count = list.len() as i64;
    [serde_json::Value::Array(list).to_string().into(), count.into()]
}

pub(crate) fn hex(id: Uuid) -> String {
    id.simple().to_string()
}

/// Reads the first two columns of a row: whose job it is, and which.
pub(crate) fn key(row: &QueryResult) -> Result<(TenantId, JobId), DbErr> {
    Ok((TenantId(row.try_get_by_index(0)?), JobId(row.try_get_by_index(1)?)))
}

/// Which leases held: those whose jobs a statement names.
pub(crate) fn checks<'a>(
    leases: impl Iterator<Item = &'a Lease>,
    done: &[QueryResult],
) -> Result<Vec<LeaseCheck>, DbErr> {
    let done: HashSet<_> = done.iter().map(key).collect::<Result<_, _>>()?;
    let check = |lease: &Lease| match done.contains(&(lease.tenant_id, lease.id)) {
        true => LeaseCheck::Held,
        false => LeaseCheck::Lost,
    };
    Ok(leases.map(check).collect())
}
