//! From what a database says to what a caller can do about it.

use pulsestream_domain::ports::{BoxError, StoreError};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, sqlx};

/// What went wrong, as far as it makes a difference here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Another transaction was in the way: the same again may well work.
    Conflict,
    /// The connection broke; whatever was on its way may have happened.
    ConnectionLost,
    /// The server is there and takes no work now: it starts, stops, or is a standby.
    NotReady,
    /// All connections are taken.
    Overloaded,
    /// No room on disk or in memory.
    Full,
    /// The statement took too long and was cancelled.
    TimedOut,
    /// A value that validation should have refused.
    Unstorable,
    /// Anything else: a bug here, or damage there.
    Unexpected,
}

impl Fault {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => match database.code() {
                Some(code) if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() => {
                    Self::of_sqlite(&code)
                }
                Some(code) => Self::of_sqlstate(&code),
                None => Self::Unexpected,
            },
            sqlx::Error::PoolTimedOut => Self::Overloaded,
            sqlx::Error::PoolClosed => Self::NotReady,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Self::ConnectionLost,
            _ => Self::Unexpected,
        }
    }

    /// PostgreSQL's codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn of_sqlstate(code: &str) -> Self {
        match code {
            "40001" | "40P01" | "55P03" => Self::Conflict,
            "40003" | "57P01" | "57P02" => Self::ConnectionLost,
            "57P03" | "25006" | "58030" => Self::NotReady,
            "53300" => Self::Overloaded,
            "53100" | "53200" => Self::Full,
            "57014" => Self::TimedOut,
            _ => match code.get(..2) {
                Some("08") => Self::ConnectionLost,
                Some("22" | "54") => Self::Unstorable,
                // The login is refused, or the database is gone: it worked when the store was opened.
                Some("28" | "3D") => Self::NotReady,
                _ => Self::Unexpected,
            },
        }
    }

    /// SQLite's codes, of which the low byte is the kind: <https://www.sqlite.org/rescode.html>.
    fn of_sqlite(code: &str) -> Self {
        match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 6) => Self::Conflict,
            Ok(7 | 13) => Self::Full,
            Ok(8 | 14) => Self::NotReady,
            Ok(9) => Self::TimedOut,
            Ok(10) => Self::ConnectionLost,
            Ok(18) => Self::Unstorable,
            _ => Self::Unexpected,
        }
    }

    /// The answer, when nothing was stored for certain.
    pub(crate) fn with(self, source: impl Into<BoxError>) -> StoreError {
        let source = source.into();
        match self {
            Self::Conflict | Self::Overloaded | Self::TimedOut => StoreError::Busy(source),
            Self::ConnectionLost | Self::NotReady => StoreError::Unavailable(source),
            Self::Full => StoreError::Full(source),
            Self::Unstorable => StoreError::Unstorable(source),
            Self::Unexpected => StoreError::Unexpected(source),
        }
    }
}

/// The answer to a statement that changes nothing, or that surely changed nothing.
pub(crate) fn unchanged(error: sqlx::Error) -> StoreError {
    Fault::of(&error).with(error)
}

/// The fault behind an error of `SeaORM`.
pub(crate) fn fault(error: &DbErr) -> Fault {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Fault::of(error),
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Fault::Overloaded,
        DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => Fault::NotReady,
        _ => Fault::Unexpected,
    }
}

/// A stored value that can't be read: somebody else wrote it, or the file is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the value of {table}.{column} in the row {row} can't be read")]
pub(crate) struct UnreadableRow {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: String,
}

/// So that a row can be read in the middle of a transaction. It comes out as `StoreError::Unexpected`.
impl From<UnreadableRow> for DbErr {
    fn from(error: UnreadableRow) -> Self {
        Self::Custom(error.to_string())
    }
}

impl From<UnreadableRow> for StoreError {
    fn from(error: UnreadableRow) -> Self {
        Self::Unexpected(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(error: &StoreError) -> &'static str {
        match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Busy(_) => "busy",
            StoreError::TimedOut(_) => "timed out",
            StoreError::Full(_) => "full",
            StoreError::OutcomeUnknown(_) => "outcome unknown",
            StoreError::Unstorable(_) => "unstorable",
            StoreError::Unexpected(_) => "unexpected",
        }
    }

    #[test]
    fn each_sqlstate_has_its_answer() {
        for (code, fault, answer) in [
            ("40001", Fault::Conflict, "busy"),
            ("40P01", Fault::Conflict, "busy"),
            ("55P03", Fault::Conflict, "busy"),
            ("08000", Fault::ConnectionLost, "unavailable"),
            ("08006", Fault::ConnectionLost, "unavailable"),
            ("57P01", Fault::ConnectionLost, "unavailable"),
            ("57P02", Fault::ConnectionLost, "unavailable"),
            ("40003", Fault::ConnectionLost, "unavailable"),
            ("57P03", Fault::NotReady, "unavailable"),
            ("25006", Fault::NotReady, "unavailable"),
            ("58030", Fault::NotReady, "unavailable"),
            ("28P01", Fault::NotReady, "unavailable"),
            ("3D000", Fault::NotReady, "unavailable"),
            ("53300", Fault::Overloaded, "busy"),
            ("53100", Fault::Full, "full"),
            ("53200", Fault::Full, "full"),
            ("57014", Fault::TimedOut, "busy"),
            ("22P05", Fault::Unstorable, "unstorable"),
            ("22021", Fault::Unstorable, "unstorable"),
            ("22P02", Fault::Unstorable, "unstorable"),
            ("22003", Fault::Unstorable, "unstorable"),
            ("54000", Fault::Unstorable, "unstorable"),
            ("54001", Fault::Unstorable, "unstorable"),
            ("23505", Fault::Unexpected, "unexpected"),
            ("42501", Fault::Unexpected, "unexpected"),
            ("42P01", Fault::Unexpected, "unexpected"),
            ("XX001", Fault::Unexpected, "unexpected"),
            ("", Fault::Unexpected, "unexpected"),
        ] {
            assert_eq!(Fault::of_sqlstate(code), fault, "{code}");
            assert_eq!(name(&fault.with("cause")), answer, "{code}");
        }
    }

    #[test]
    fn each_kind_of_sqlite_error_has_its_answer() {
        for (code, fault, answer) in [
            ("5", Fault::Conflict, "busy"),
            ("517", Fault::Conflict, "busy"),
            ("6", Fault::Conflict, "busy"),
            ("7", Fault::Full, "full"),
            ("13", Fault::Full, "full"),
            ("8", Fault::NotReady, "unavailable"),
            ("14", Fault::NotReady, "unavailable"),
            ("9", Fault::TimedOut, "busy"),
            ("10", Fault::ConnectionLost, "unavailable"),
            ("1034", Fault::ConnectionLost, "unavailable"),
            ("18", Fault::Unstorable, "unstorable"),
            ("11", Fault::Unexpected, "unexpected"),
            ("26", Fault::Unexpected, "unexpected"),
            ("2067", Fault::Unexpected, "unexpected"),
            ("what", Fault::Unexpected, "unexpected"),
        ] {
            assert_eq!(Fault::of_sqlite(code), fault, "{code}");
            assert_eq!(name(&fault.with("cause")), answer, "{code}");
        }
    }

    #[test]
    fn errors_of_the_driver_have_their_answers() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        for (error, fault) in [
            (sqlx::Error::Io(broken()), Fault::ConnectionLost),
            (sqlx::Error::Protocol("nonsense".to_owned()), Fault::ConnectionLost),
            (sqlx::Error::WorkerCrashed, Fault::ConnectionLost),
            (sqlx::Error::PoolTimedOut, Fault::Overloaded),
            (sqlx::Error::PoolClosed, Fault::NotReady),
            (sqlx::Error::RowNotFound, Fault::Unexpected),
        ] {
            assert_eq!(Fault::of(&error), fault, "{error}");
        }
    }
}
