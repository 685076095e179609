//! Statements that are for one of the two databases.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

/// Executes them on PostgreSQL; on SQLite there is nothing to do.
///
/// # Errors
/// When one of them fails.
pub(crate) async fn execute(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        for statement in statements {
            manager.get_connection().execute_unprepared(statement).await?;
        }
    }
    Ok(())
}
