//! What is compared with what, and how the comparison has to come out.

use crate::load::Load;

/// The product under one load, against one yardstick.
#[derive(Debug)]
pub(crate) struct Case {
    /// To name it on the command line.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    pub(crate) store: Store,
    pub(crate) load: Load,
    pub(crate) yardstick: Yardstick,
    /// The ratio of the rates, product to yardstick, that has to be reached.
    pub(crate) gate: Option<f64>,
}

/// What the product stands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    /// PostgreSQL, with limits in the process.
    Postgres,
    /// PostgreSQL, with limits shared over Redis.
    PostgresAndRedis,
    /// An SQLite file, with limits in the process.
    Sqlite,
}

/// What it is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Yardstick {
    /// PostgreSQL alone, a row per transaction.
    Pgbench,
    /// PostgreSQL alone, `COPY`.
    Copy,
    /// HTTP and parsing alone.
    ParseOnly,
    /// SQLite alone, a row per transaction.
    SqliteRows,
}

impl Yardstick {
    /// Its short name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pgbench => "pgbench",
            Self::Copy => "COPY",
            Self::ParseOnly => "parse only",
            Self::SqliteRows => "SQLite rows",
        }
    }
}

/// All cases, in the order they take turns.
pub(crate) const CASES: [Case; 10] = [
    Case {
        name: "singles-64",
        title: "single events, 64 connections",
        store: Store::Postgres,
        load: Load { connections: 64, batch: 1 },
        yardstick: Yardstick::Pgbench,
        gate: Some(1.5),
    },
    Case {
        name: "singles-128",
        title: "single events, 128 connections",
        store: Store::Postgres,
        load: Load { connections: 128, batch: 1 },
        yardstick: Yardstick::Pgbench,
        gate: Some(1.5),
    },
    Case {
        name: "singles-256",
        title: "single events, 256 connections",
        store: Store::Postgres,
        load: Load { connections: 256, batch: 1 },
        yardstick: Yardstick::Pgbench,
        gate: Some(1.5),
    },
    Case {
        name: "singles-128-redis",
        title: "single events, 128 connections, limits in Redis",
        store: Store::PostgresAndRedis,
        load: Load { connections: 128, batch: 1 },
        yardstick: Yardstick::Pgbench,
        gate: None,
    },
    Case {
        name: "singles-128-parse",
        title: "single events, 128 connections",
        store: Store::Postgres,
        load: Load { connections: 128, batch: 1 },
        yardstick: Yardstick::ParseOnly,
        gate: None,
    },
    Case {
        name: "batches-100",
        title: "batches of 100, 8 connections",
        store: Store::Postgres,
        load: Load { connections: 8, batch: 100 },
        yardstick: Yardstick::Copy,
        gate: None,
    },
    Case {
        name: "batches-500",
        title: "batches of 500, 8 connections",
        store: Store::Postgres,
        load: Load { connections: 8, batch: 500 },
        yardstick: Yardstick::Copy,
        gate: Some(0.45),
    },
    Case {
        name: "sqlite-singles-1",
        title: "SQLite: single events, one at a time",
        store: Store::Sqlite,
        load: Load { connections: 1, batch: 1 },
        yardstick: Yardstick::SqliteRows,
        gate: None,
    },
    Case {
        name: "sqlite-singles-64",
        title: "SQLite: single events, 64 connections",
        store: Store::Sqlite,
        load: Load { connections: 64, batch: 1 },
        yardstick: Yardstick::SqliteRows,
        gate: None,
    },
    Case {
        name: "sqlite-batches-100",
        title: "SQLite: batches of 100, 8 connections",
        store: Store::Sqlite,
        load: Load { connections: 8, batch: 100 },
        yardstick: Yardstick::SqliteRows,
        gate: Some(4.0),
    },
];
