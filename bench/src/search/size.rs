//! What the events take on the disk.

use anyhow::{Context, Result};
use sea_orm::sqlx::{self, Connection as _, Row as _};

use crate::{postgres::connect, runtime::block_on};

/// The table or one of its indexes.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

const SIZES: &str = "
SELECT 'table' AS name, pg_table_size('events') AS bytes, 0 AS place
UNION ALL
SELECT CAST(indexrelid AS regclass)::text, pg_relation_size(indexrelid), 1
FROM pg_index WHERE indrelid = CAST('events' AS regclass)
ORDER BY place, bytes DESC";

/// The table, then its indexes, the largest first.
///
/// # Errors
/// When PostgreSQL can't be asked.
pub(crate) fn sizes(url: &str) -> Result<Vec<Part>> {
    block_on(async {
        let mut connection = connect(url).await?;
        let rows = sqlx::query(SIZES).fetch_all(&mut connection).await?;
        connection.close().await?;
        let part = |row: &sqlx::postgres::PgRow| -> Result<Part> {
            Ok(Part { name: row.try_get("name")?, bytes: row.try_get::<i64, _>("bytes")?.unsigned_abs() })
        };
        rows.iter().map(part).collect()
    })
    .context("measuring the table")
}
