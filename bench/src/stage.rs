//! Everything a benchmark needs at hand, and how one run of each thing goes.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread::{self, sleep},
    time::Duration,
};

use anyhow::{Context, Result};
use pulsestream_domain::{ports::Clock as _, tenant::TenantId};
use pulsestream_ingestion::SystemClock;
use pulsestream_testing::redis::RedisServer;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    case::Yardstick,
    load::Load,
    measurement::{Measurement, Tally, Traces, Watched},
    memory,
    postgres::Postgres,
    process::Process,
    product::Product,
    rules,
    sample::{Sample, samples},
    schema::migrate,
    setup::Setup,
    yardstick::{copy, parse_only, pgbench, sqlite, unnest},
};

/// How long everything runs before it is measured.
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);
/// How long what was under way at the end of the warm-up gets to arrive. Answers take milliseconds.
const SETTLE: Duration = Duration::from_millis(300);
/// How many tenants there are on PostgreSQL. Most cases are about the first.
pub(crate) const TENANTS: u8 = 50;

/// What becomes of the table of events before a measurement.
#[derive(Clone, Copy)]
enum Table {
    Emptied,
    Kept,
}

/// Servers, files and samples.
pub(crate) struct Stage {
    binary: PathBuf,
    duration: Duration,
    samples: Vec<Sample>,
    /// How many runs there were, so that each has a number of its own.
    runs: u64,
    pub(crate) on_postgres: Product,
    // Dropped last: they hold what the others stand on.
    pub(crate) postgres: Postgres,
    redis: RedisServer,
    directory: TempDir,
}

impl Stage {
    /// Starts the databases. Each run will take `duration`.
    ///
    /// # Errors
    /// When something is not installed, or does not run here.
    pub(crate) fn prepare(binary: &Path, duration: Duration) -> Result<Self> {
        let binary = fs::canonicalize(binary).with_context(|| format!("finding {}", binary.display()))?;
        let directory = tempfile::tempdir().context("making a temporary directory")?;
        let (postgres, redis) = (Postgres::start()?, RedisServer::start()?);
        let on_postgres = Product::prepare(&binary, directory.path(), postgres.url().to_owned(), TENANTS)?;
        // The yardsticks' own tenant, for nothing in the database asks whether it exists.
        let samples = samples(TenantId(Uuid::from_u128(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)))?;
        Ok(Self { binary, duration, samples, runs: 0, on_postgres, postgres, redis, directory })
    }

    /// Where the files of SQLite are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How long each measurement takes.
    pub(crate) fn duration(&self) -> Duration {
        self.duration
    }

    /// Measures the product.
    ///
    /// # Errors
    /// When it fails, refuses anything, or stored something else than it acknowledged.
    pub(crate) fn product(&mut self, setup: Setup, load: Load) -> Result<Measurement> {
        match setup {
            Setup::Sqlite => self.product_on_sqlite(load),
            setup => self.product_on_postgres(setup, load, Table::Emptied),
        }
    }

    /// Measures the product on what is in the table, which stays and to which this adds.
    ///
    /// # Errors
    /// As [`product`](Self::product).
    pub(crate) fn product_on_filled_table(&mut self, load: Load) -> Result<Measurement> {
        self.product_on_postgres(Setup::Postgres, load, Table::Kept)
    }

    /// Measures a yardstick. `load` matters to those that serve HTTP.
    ///
    /// # Errors
    /// When it fails, or stored something else than it told.
    pub(crate) fn yardstick(&mut self, yardstick: Yardstick, load: Load) -> Result<Measurement> {
        match yardstick {
            Yardstick::Pgbench => self.on_table(|stage, duration| {
                pgbench::run(stage.postgres.url(), &stage.samples, stage.directory.path(), duration)
            }),
            Yardstick::Copy => {
                self.on_table(|stage, duration| copy::run(stage.postgres.url(), &stage.samples, duration))
            }
            Yardstick::Unnest => {
                let run = self.next_run();
                self.on_table(|stage, duration| {
                    unnest::run(stage.postgres.url(), &stage.samples, run, duration)
                })
            }
            Yardstick::ParseOnly => self.parse_only(load),
            Yardstick::SqliteRows => self.sqlite_rows(),
            Yardstick::Product(setup, _) => self.product(setup, load),
        }
    }

    /// Measures what it costs to evaluate rules, for so many ticks.
    ///
    /// # Errors
    /// When it fails, or a rule is not evaluated at a tick.
    pub(crate) fn rules(&self, case: &'static rules::Case, ticks: usize) -> Result<rules::Results> {
        rules::run(case, &self.postgres, &self.binary, self.directory.path(), ticks)
    }

    /// Does something while single events come in over so many connections, to a server on PostgreSQL.
    ///
    /// # Errors
    /// When either fails, or something else was stored than was acknowledged.
    pub(crate) fn while_events_come_in<T>(
        &mut self,
        address: SocketAddr,
        connections: u64,
        length: Duration,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Tally)> {
        let run = self.next_run();
        let load = Load::new(connections, 1);
        let start = SystemClock.now();
        let keys = self.on_postgres.keys();
        let (done, tally) = thread::scope(|scope| {
            let sender = scope.spawn(|| load.send(address, &keys, run, length));
            let done = work();
            (done, sender.join().expect("a sender returns its errors"))
        });
        let tally = tally?;
        sleep(SETTLE);
        tally.check_stored(self.postgres.stored_by(run, start)?)?;
        Ok((done?, tally))
    }

    fn product_on_postgres(&mut self, setup: Setup, load: Load, table: Table) -> Result<Measurement> {
        let count = setup.servers();
        let share = load.shared_by(count);
        let warm_ups: Vec<u64> = (0..count).map(|_| self.next_run()).collect();
        let runs: Vec<u64> = (0..count).map(|_| self.next_run()).collect();
        let product = self.on_postgres.set_up(setup, &self.redis.url());
        let servers: Vec<Process> = (0..count).map(|_| product.serve()).collect::<Result<_>>()?;
        let keys = product.keys();
        let memory = |of: fn(u32) -> Result<u64>| servers.iter().map(|server| of(server.pid())).sum();
        let memory_at_rest: Result<u64> = memory(memory::now);
        send(&servers, share, &keys, &warm_ups, WARM_UP).context("warming up")?;
        sleep(SETTLE);
        match table {
            Table::Emptied => self.postgres.reset()?,
            Table::Kept => self.postgres.checkpoint()?,
        }
        let (start, wal_before) = (SystemClock.now(), self.postgres.wal_position()?);
        let watched = Watched {
            servers: servers.iter().map(Process::pid).collect(),
            database: self.postgres.pid(),
            redis: setup.has_redis().then(|| self.redis.pid()).flatten(),
        };
        let calls = || setup.has_redis().then(|| redis_calls(&self.redis)).transpose();
        let calls_before = calls()?;
        let send = || send(&servers, share, &keys, &runs, self.duration);
        let mut measurement = Measurement::of(&watched, send)?;
        let calls_after = calls()?;
        let memory_at_peak: Result<u64> = memory(memory::peak);
        // They finish what they have begun, so what is counted then is all there will be.
        servers.into_iter().try_for_each(Process::stop)?;
        let stored = runs.iter().map(|run| self.postgres.stored_by(*run, start)).sum::<Result<_>>()?;
        measurement.check_stored(stored)?;
        measurement.traces = Traces {
            wal_bytes: Some(self.postgres.wal_position()? - wal_before),
            stored_bytes: match table {
                Table::Emptied => Some(self.postgres.bytes_of_events()?),
                Table::Kept => None,
            },
            memory_at_rest: Some(memory_at_rest?),
            memory_at_peak: Some(memory_at_peak?),
            redis_calls: calls_after.zip(calls_before).map(|(after, before)| after - before),
        };
        if setup == Setup::NoTextIndex {
            // The others want it back.
            self.postgres.reset()?;
            self.on_postgres.migrate()?;
        }
        Ok(measurement)
    }

    fn product_on_sqlite(&mut self, load: Load) -> Result<Measurement> {
        let (warm_up, run) = (self.next_run(), self.next_run());
        let directory = tempfile::tempdir_in(self.directory.path()).context("making a directory")?;
        let file = directory.path().join("events.db");
        let product = Product::prepare(&self.binary, directory.path(), url(&file), 1)?;
        let server = product.serve()?;
        load.send(server.address(), &product.keys(), warm_up, WARM_UP).context("warming up")?;
        sleep(SETTLE);
        let watched = Watched { servers: vec![server.pid()], ..Watched::default() };
        let send = || load.send(server.address(), &product.keys(), run, self.duration);
        let measurement = Measurement::of(&watched, send)?;
        server.stop()?;
        measurement.check_stored(sqlite::stored_by(run, &file)?)?;
        Ok(measurement)
    }

    fn on_table(&mut self, run: impl Fn(&Self, Duration) -> Result<Tally>) -> Result<Measurement> {
        run(self, WARM_UP).context("warming up")?;
        self.postgres.reset()?;
        let watched = Watched { database: self.postgres.pid(), ..Watched::default() };
        let measurement = Measurement::of(&watched, || run(self, self.duration))?;
        measurement.check_stored(self.postgres.stored()?)?;
        Ok(measurement)
    }

    fn parse_only(&mut self, load: Load) -> Result<Measurement> {
        let server = parse_only::start(self.directory.path())?;
        let run = self.next_run();
        load.send(server.address(), &["none"], run, WARM_UP).context("warming up")?;
        let watched = Watched { servers: vec![server.pid()], ..Watched::default() };
        let measurement =
            Measurement::of(&watched, || load.send(server.address(), &["none"], run, self.duration))?;
        server.stop()?;
        Ok(measurement)
    }

    fn sqlite_rows(&mut self) -> Result<Measurement> {
        let (warm_up, run) = (self.next_run(), self.next_run());
        let directory = tempfile::tempdir_in(self.directory.path()).context("making a directory")?;
        let file = directory.path().join("events.db");
        migrate(&url(&file))?;
        sqlite::run(&file, &self.samples, warm_up, WARM_UP).context("warming up")?;
        let before = sqlite::stored(&file)?;
        // The library works in this very process.
        let watched = Watched { database: Some(std::process::id()), ..Watched::default() };
        let insert = || sqlite::run(&file, &self.samples, run, self.duration);
        let measurement = Measurement::of(&watched, insert)?;
        measurement.check_stored(sqlite::stored(&file)?.saturating_sub(before))?;
        Ok(measurement)
    }

    fn next_run(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }
}

/// Sends this much to each of some servers at once; each gets a run of its own.
fn send(servers: &[Process], load: Load, keys: &[&str], runs: &[u64], length: Duration) -> Result<Tally> {
    thread::scope(|scope| {
        let senders: Vec<_> = servers
            .iter()
            .zip(runs)
            .map(|(server, run)| scope.spawn(move || load.send(server.address(), keys, *run, length)))
            .collect();
        let tallies = senders.into_iter().map(|sender| sender.join().expect("a sender returns its errors"));
        tallies.collect::<Result<Vec<_>>>()?.into_iter().reduce(Tally::beside).context("no server")
    })
}

/// How often a Redis was sent something since it started, this question among it. Not its count of commands, which
/// has those within scripts, too.
fn redis_calls(redis: &RedisServer) -> Result<u64> {
    // Its URLs know no sockets.
    let url = redis.url();
    let socket = url.strip_prefix("redis+unix://").with_context(|| format!("{url} names no socket"))?;
    let output = Command::new("redis-cli").args(["-s", socket, "INFO", "stats"]).output();
    let said = output.context("starting redis-cli")?.stdout;
    let said = String::from_utf8_lossy(&said);
    let count = said.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    let count = count.and_then(|count| count.trim().parse().ok());
    count.with_context(|| format!("Redis does not say how often it was asked, but {said:?}"))
}

fn url(file: &Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}
