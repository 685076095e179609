//! Why a store could not do what it was asked.

/// Why a store could not do what it was asked. The variants are what a caller can do differently.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached. Nothing was stored; later may work.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// It is reached but others are in the way (locks, a full pool, an insert over its time). Nothing
    /// was stored; soon may work.
    #[error("the store is busy")]
    Busy(#[source] BoxError),
    /// A search took longer than it may and was cancelled. The same again takes as long, if the store is no
    /// less busy then; nothing was changed.
    #[error("the store took too long")]
    TimedOut(#[source] BoxError),
    /// It has no room left. Nothing was stored until somebody makes room.
    #[error("the store is full")]
    Full(#[source] BoxError),
    /// The connection broke while committing: everything is stored, or nothing is.
    #[error("the outcome of the commit is unknown")]
    OutcomeUnknown(#[source] BoxError),
    /// A value that validation let through can't be stored. Nothing was stored, and never will be.
    #[error("a value can't be stored")]
    Unstorable(#[source] BoxError),
    /// What was read does not make sense, or the statement itself is wrong: a bug, or a damaged row.
    #[error("the store answered something unexpected")]
    Unexpected(#[source] BoxError),
}

/// The cause of a [`StoreError`]; for logs, never for answers.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
