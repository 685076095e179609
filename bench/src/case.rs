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
    /// What has to hold.
    pub(crate) gates: &'static [Gate],
}

/// Something that has to hold of the median over the pairs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Gate {
    /// Of the rates, product to yardstick: at least this.
    Rate(f64),
    /// Of the 99th percentiles of latency, product to yardstick: at most this.
    P99(f64),
    /// Of the processor time for one event, server and database together, product to yardstick: at most this.
    Cost(f64),
    /// Commands that Redis executes for one event: at most this.
    RedisCalls(f64),
    /// Memory of the server at rest, in MiB: at most this.
    MemoryAtRest(f64),
    /// Memory of the server at its peak, in MiB: at most this.
    MemoryAtPeak(f64),
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
    /// The product itself, made to commit every request by itself, on 32 connections.
    OneByOne,
}

impl Yardstick {
    /// Its short name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pgbench => "pgbench",
            Self::Copy => "COPY",
            Self::ParseOnly => "parse only",
            Self::SqliteRows => "SQLite rows",
            Self::OneByOne => "one by one",
        }
    }
}

/// All cases, in the order they take turns.
pub(crate) const CASES: [Case; 18] = [
    Case {
        name: "singles-1",
        title: "single events, one at a time",
        store: Store::Postgres,
        load: Load::new(1, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "singles-64",
        title: "single events, 64 connections",
        store: Store::Postgres,
        load: Load::new(64, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::Rate(2.0)],
    },
    Case {
        name: "singles-128",
        title: "single events, 128 connections",
        store: Store::Postgres,
        load: Load::new(128, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::Rate(2.0)],
    },
    Case {
        name: "singles-256",
        title: "single events, 256 connections",
        store: Store::Postgres,
        load: Load::new(256, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::Rate(2.0), Gate::MemoryAtRest(64.0), Gate::MemoryAtPeak(400.0)],
    },
    Case {
        name: "singles-128-one-by-one",
        title: "single events, 128 connections",
        store: Store::Postgres,
        load: Load::new(128, 1),
        yardstick: Yardstick::OneByOne,
        gates: &[Gate::Rate(3.0), Gate::P99(0.6), Gate::Cost(0.33)],
    },
    Case {
        name: "singles-128-redis",
        title: "single events, 128 connections, limits in Redis",
        store: Store::PostgresAndRedis,
        load: Load::new(128, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::RedisCalls(0.02)],
    },
    Case {
        name: "singles-128-parse",
        title: "single events, 128 connections",
        store: Store::Postgres,
        load: Load::new(128, 1),
        yardstick: Yardstick::ParseOnly,
        gates: &[],
    },
    Case {
        name: "singles-128-tenants",
        title: "single events of 50 tenants, 128 connections",
        store: Store::Postgres,
        load: Load::new(128, 1).of_tenants(50),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "singles-128-repeated-10",
        title: "single events, 10 % sent before, 128 connections",
        store: Store::Postgres,
        load: Load::new(128, 1).repeating(10),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "singles-128-repeated-100",
        title: "single events, all but the first sent before, 128 connections",
        store: Store::Postgres,
        load: Load::new(128, 1).repeating(100),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "batches-10",
        title: "batches of 10, 64 connections",
        store: Store::Postgres,
        load: Load::new(64, 10),
        yardstick: Yardstick::Copy,
        gates: &[],
    },
    Case {
        name: "batches-100",
        title: "batches of 100, 8 connections",
        store: Store::Postgres,
        load: Load::new(8, 100),
        yardstick: Yardstick::Copy,
        gates: &[Gate::Rate(0.5), Gate::Cost(1.75)],
    },
    Case {
        name: "batches-500",
        title: "batches of 500, 8 connections",
        store: Store::Postgres,
        load: Load::new(8, 500),
        yardstick: Yardstick::Copy,
        gates: &[Gate::Rate(0.55)],
    },
    Case {
        name: "batches-1000",
        title: "batches of 1,000, 4 connections",
        store: Store::Postgres,
        load: Load::new(4, 1_000),
        yardstick: Yardstick::Copy,
        gates: &[Gate::Rate(0.55)],
    },
    Case {
        name: "sqlite-singles-1",
        title: "SQLite: single events, one at a time",
        store: Store::Sqlite,
        load: Load::new(1, 1),
        yardstick: Yardstick::SqliteRows,
        gates: &[],
    },
    Case {
        name: "sqlite-singles-64",
        title: "SQLite: single events, 64 connections",
        store: Store::Sqlite,
        load: Load::new(64, 1),
        yardstick: Yardstick::SqliteRows,
        gates: &[Gate::Rate(3.0)],
    },
    Case {
        name: "sqlite-batches-100",
        title: "SQLite: batches of 100, 8 connections",
        store: Store::Sqlite,
        load: Load::new(8, 100),
        yardstick: Yardstick::SqliteRows,
        gates: &[Gate::Rate(4.0)],
    },
    Case {
        name: "sqlite-batches-1000",
        title: "SQLite: batches of 1,000, 4 connections",
        store: Store::Sqlite,
        load: Load::new(4, 1_000),
        yardstick: Yardstick::SqliteRows,
        gates: &[Gate::Rate(5.5)],
    },
];
