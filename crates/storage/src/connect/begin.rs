//! Beginning a transaction that can't be left behind.

use std::panic;

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, RuntimeErr, TransactionOptions, TransactionTrait as _,
};
use tokio::task::JoinError;

/// Begins on a task of its own, which waits for the answer also when the caller no longer does. sqlx forgets a
/// `BEGIN` whose answer nobody waited for: the connection would go back to its pool with the transaction open, and what
/// others then do on it, and are told is done, would never be committed.
pub(crate) async fn begin(
    connection: &DatabaseConnection,
    options: TransactionOptions,
) -> Result<DatabaseTransaction, DbErr> {
    let connection = connection.clone();
    let begun = tokio::spawn(async move { connection.begin_with_options(options).await }).await;
    match begun.map_err(JoinError::try_into_panic) {
        Ok(begun) => begun,
        Err(Ok(panic)) => panic::resume_unwind(panic),
        // Only a runtime that ends drops tasks.
        Err(Err(ended)) => Err(DbErr::Conn(RuntimeErr::Internal(ended.to_string()))),
    }
}
