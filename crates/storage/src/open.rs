//! Why a store can't be opened.

use pulsestream_domain::ports::BoxError;
use sea_orm::sqlx;

/// Why a store can't be opened. Each variant needs another thing done by whoever runs it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is of no database that is known here.
    #[error("a database URL begins with postgres:// or sqlite://")]
    UnknownScheme,
    /// The URL can't be read.
    #[error("the database URL can't be read")]
    BadUrl(#[source] BoxError),
    /// An SQLite database in memory: it would be gone with the process.
    #[error("an SQLite database has to be a file, not in memory")]
    InMemory,
    /// Nothing answers there.
    #[error("the database can't be reached")]
    Unreachable(#[source] BoxError),
    /// The server answers, and has no such database; or there is no such file.
    #[error("there is no such database")]
    NoSuchDatabase(#[source] BoxError),
    /// The server refused the user or the password.
    #[error("the database refused the login")]
    Refused(#[source] BoxError),
    /// What it acknowledges could be lost in a crash.
    #[error("the database is set to {setting} = {value}: it could lose what it acknowledged")]
    Unsafe {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: String,
    },
    /// PostgreSQL before 13.
    #[error("PostgreSQL {version} is too old: 13 is the oldest that will do")]
    TooOld {
        /// What the server calls itself.
        version: String,
    },
    /// Texts of other encodings can't hold what events hold.
    #[error("the database's encoding is {encoding}: it has to be UTF8")]
    WrongEncoding {
        /// The encoding's name.
        encoding: String,
    },
    /// It answered something unexpected.
    #[error("the database can't be prepared")]
    Unexpected(#[source] BoxError),
    /// Somebody holds a lock on a table that the next step of the schema changes.
    #[error(
        "the schema's next step waits for a table that somebody else has locked: end their transaction and try again"
    )]
    SchemaLocked(#[source] BoxError),
    /// The database keeps tenants apart by a role that this user may not take on, or it does not own the tables: it
    /// would see nothing.
    #[error("the database user has to own the tables and to be a member of the role {role}")]
    NotOfTenantRole {
        /// The role's name.
        role: String,
    },
    /// The schema can't be brought up to date: a step failed, or the database has steps of something else.
    #[error("the database's schema can't be brought up to date")]
    Migration(#[source] BoxError),
    /// The index of words can't be made or dropped.
    #[error("the index of words can't be brought up to date")]
    TextIndex(#[source] BoxError),
}

impl OpenError {
    /// What kept the first connection from being made.
    pub(crate) fn connecting(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Configuration(_) => Self::BadUrl(error.into()),
            sqlx::Error::Database(database) => match database.code().as_deref() {
                // SQLite's own code for a file that can't be opened.
                Some("3D000" | "14") => Self::NoSuchDatabase(error.into()),
                Some("28000" | "28P01") => Self::Refused(error.into()),
                Some("26") => Self::Unexpected(error.into()),
                _ => Self::Unreachable(error.into()),
            },
            _ => Self::Unreachable(error.into()),
        }
    }
}
