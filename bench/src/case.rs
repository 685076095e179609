//! What is compared with what, and how the comparison has to come out.

use crate::{load::Load, setup::Setup};

/// The product under one load, against one yardstick.
#[derive(Debug)]
pub(crate) struct Case {
    /// To name it on the command line.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    pub(crate) setup: Setup,
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
    /// Requests to Redis for one event: at most this.
    RedisCalls(f64),
    /// Memory of the servers at rest, in MiB: at most this.
    MemoryAtRest(f64),
    /// Memory of the servers at their peak, in MiB: at most this.
    MemoryAtPeak(f64),
}

/// What it is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Yardstick {
    /// PostgreSQL alone, a row per transaction.
    Pgbench,
    /// PostgreSQL alone, `COPY`.
    Copy,
    /// PostgreSQL alone, the product's own statement with 500 rows.
    Unnest,
    /// HTTP and parsing alone.
    ParseOnly,
    /// SQLite alone, a row per transaction.
    SqliteRows,
    /// The product itself, set up in another way, and what that is called in tables.
    Product(Setup, &'static str),
}

impl Yardstick {
    /// Its short name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pgbench => "pgbench",
            Self::Copy => "COPY",
            Self::Unnest => "UNNEST",
            Self::ParseOnly => "parse only",
            Self::SqliteRows => "SQLite rows",
            Self::Product(_, name) => name,
        }
    }
}

/// All cases, in the order they take turns.
pub(crate) const CASES: [Case; 22] = [
    Case {
        name: "singles-1",
        title: "single events, one at a time",
        setup: Setup::Postgres,
        load: Load::new(1, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "singles-64",
        title: "single events, 64 connections",
        setup: Setup::Postgres,
        load: Load::new(64, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::Rate(2.0)],
    },
    Case {
        name: "singles-128",
        title: "single events, 128 connections",
        setup: Setup::Postgres,
        load: Load::new(128, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::Rate(2.0)],
    },
    Case {
        name: "singles-256",
        title: "single events, 256 connections",
        setup: Setup::Postgres,
        load: Load::new(256, 1),
        yardstick: Yardstick::Pgbench,
        gates: &[Gate::Rate(2.0), Gate::MemoryAtRest(64.0), Gate::MemoryAtPeak(400.0)],
    },
    Case {
        name: "singles-128-one-by-one",
        title: "single events, 128 connections",
        setup: Setup::Postgres,
        load: Load::new(128, 1),
        yardstick: Yardstick::Product(Setup::OneByOne, "one by one"),
        gates: &[Gate::Rate(3.0), Gate::P99(0.6), Gate::Cost(0.33)],
    },
    Case {
        name: "singles-128-redis",
        title: "single events, 128 connections, limits in Redis",
        setup: Setup::Redis,
        load: Load::new(128, 1),
        yardstick: Yardstick::Product(Setup::Postgres, "without Redis"),
        gates: &[Gate::Rate(0.85), Gate::RedisCalls(0.02)],
    },
    Case {
        name: "singles-128-two-servers",
        title: "single events, 64 connections to each of two servers",
        setup: Setup::TwoServers,
        load: Load::new(128, 1),
        yardstick: Yardstick::Product(Setup::Redis, "one server"),
        gates: &[],
    },
    Case {
        name: "singles-128-parse",
        title: "single events, 128 connections",
        setup: Setup::Postgres,
        load: Load::new(128, 1),
        yardstick: Yardstick::ParseOnly,
        gates: &[],
    },
    Case {
        name: "singles-128-tenants",
        title: "single events of 50 tenants, 128 connections",
        setup: Setup::Postgres,
        load: Load::new(128, 1).of_tenants(50),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "singles-128-repeated-10",
        title: "single events, 10 % sent before, 128 connections",
        setup: Setup::Postgres,
        load: Load::new(128, 1).repeating(10),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "singles-128-repeated-100",
        title: "single events, all but the first sent before, 128 connections",
        setup: Setup::Postgres,
        load: Load::new(128, 1).repeating(100),
        yardstick: Yardstick::Pgbench,
        gates: &[],
    },
    Case {
        name: "batches-10",
        title: "batches of 10, 64 connections",
        setup: Setup::Postgres,
        load: Load::new(64, 10),
        yardstick: Yardstick::Copy,
        gates: &[],
    },
    Case {
        name: "batches-100",
        title: "batches of 100, 8 connections",
        setup: Setup::Postgres,
        load: Load::new(8, 100),
        yardstick: Yardstick::Copy,
        gates: &[Gate::Rate(0.5), Gate::Cost(1.75)],
    },
    Case {
        name: "batches-500",
        title: "batches of 500, 8 connections",
        setup: Setup::Postgres,
        load: Load::new(8, 500),
        yardstick: Yardstick::Copy,
        gates: &[Gate::Rate(0.55)],
    },
    Case {
        name: "batches-500-unnest",
        title: "batches of 500, 8 connections",
        setup: Setup::Postgres,
        load: Load::new(8, 500),
        yardstick: Yardstick::Unnest,
        gates: &[],
    },
    Case {
        name: "batches-1000",
        title: "batches of 1,000, 4 connections",
        setup: Setup::Postgres,
        load: Load::new(4, 1_000),
        yardstick: Yardstick::Copy,
        gates: &[Gate::Rate(0.55)],
    },
    Case {
        name: "singles-64-no-text-index",
        title: "single events, 64 connections, no index of words",
        setup: Setup::NoTextIndex,
        load: Load::new(64, 1),
        yardstick: Yardstick::Product(Setup::Postgres, "with the index"),
        gates: &[],
    },
    Case {
        name: "batches-500-no-text-index",
        title: "batches of 500, 8 connections, no index of words",
        setup: Setup::NoTextIndex,
        load: Load::new(8, 500),
        yardstick: Yardstick::Product(Setup::Postgres, "with the index"),
        gates: &[],
    },
    Case {
        name: "sqlite-singles-1",
        title: "SQLite: single events, one at a time",
        setup: Setup::Sqlite,
        load: Load::new(1, 1),
        yardstick: Yardstick::SqliteRows,
        gates: &[],
    },
    Case {
        name: "sqlite-singles-64",
        title: "SQLite: single events, 64 connections",
        setup: Setup::Sqlite,
        load: Load::new(64, 1),
        yardstick: Yardstick::SqliteRows,
        gates: &[Gate::Rate(3.0)],
    },
    Case {
        name: "sqlite-batches-100",
        title: "SQLite: batches of 100, 8 connections",
        setup: Setup::Sqlite,
        load: Load::new(8, 100),
        yardstick: Yardstick::SqliteRows,
        gates: &[Gate::Rate(4.0)],
    },
    Case {
        name: "sqlite-batches-1000",
        title: "SQLite: batches of 1,000, 4 connections",
        setup: Setup::Sqlite,
        load: Load::new(4, 1_000),
        yardstick: Yardstick::SqliteRows,
        gates: &[Gate::Rate(5.5)],
    },
];
