//! The backends a server runs on.

use std::fmt;

/// Where events are stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Database {
    /// A file of the server's own.
    Sqlite,
    /// A database of its own on a PostgreSQL server.
    Postgres,
}

/// Where rate limits are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Limiter {
    /// In the server's memory.
    InProcess,
    /// In keys of its own on a Redis server.
    Redis,
}

/// One database with one limiter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Combination {
    /// Where events are stored.
    pub database: Database,
    /// Where rate limits are counted.
    pub limiter: Limiter,
}

impl Combination {
    /// The embedded database alone: what a plain start gives.
    pub const SQLITE: Self = Self { database: Database::Sqlite, limiter: Limiter::InProcess };
    /// The embedded database, limits shared over Redis.
    pub const SQLITE_REDIS: Self = Self { database: Database::Sqlite, limiter: Limiter::Redis };
    /// PostgreSQL with a limiter in each process.
    pub const POSTGRES: Self = Self { database: Database::Postgres, limiter: Limiter::InProcess };
    /// What several instances run on.
    pub const POSTGRES_REDIS: Self = Self { database: Database::Postgres, limiter: Limiter::Redis };

    /// Every combination.
    pub const ALL: [Self; 4] = [Self::SQLITE, Self::SQLITE_REDIS, Self::POSTGRES, Self::POSTGRES_REDIS];

    /// How trials are named after it.
    pub const fn name(self) -> &'static str {
        match (self.database, self.limiter) {
            (Database::Sqlite, Limiter::InProcess) => "sqlite+in-process",
            (Database::Sqlite, Limiter::Redis) => "sqlite+redis",
            (Database::Postgres, Limiter::InProcess) => "postgres+in-process",
            (Database::Postgres, Limiter::Redis) => "postgres+redis",
        }
    }
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
