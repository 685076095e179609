//! Worker processes that are killed and paused, and a database that crashes under them: no job is lost, none
//! is ended by a worker that had lost it, and those that can't be done are the dead ones, no more and no less.
//!
//! The binary starts itself again as the workers. What they do is written down by the database itself, in
//! triggers, so no worker's word is needed for it: see `ledger`.

mod ledger;
mod process;
mod worker;

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use pulsestream_domain::{
    job::{Enqueued, JobId, NewJob},
    ports::{Clock as _, IdSource as _, JobQueue as _},
};
use pulsestream_storage::Store;
use pulsestream_testing::{builders::tenant, clock::SequentialIds, postgres::PostgresServer};
use tokio::runtime::Runtime;

use crate::{
    ledger::Ledger,
    process::Process,
    worker::{LEASE, POLL_INTERVAL, SystemClock, WORK, settings},
};

/// Jobs that can't be done, by the payload that makes them so.
const POISONS: [(&str, usize); 3] = [("fail", 20), ("panic", 20), ("hang", 1)];
/// How long the whole may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, url, name] = arguments.as_slice()
        && mode == worker::MODE
    {
        return worker::main(url, name);
    }
    let trials = vec![
        Trial::test("two_processes_on_postgres_survive_kills_pauses_and_crashes", || {
            on_postgres().map_err(failed)
        }),
        Trial::test("one_process_on_sqlite_survives_kills_and_pauses", || on_sqlite().map_err(failed)),
    ];
    let mut arguments = Arguments::from_args();
    // Two of them at once would only be two slow ones.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn failed(error: anyhow::Error) -> Failed {
    format!("{error:#}").into()
}

/// What is done to the workers or the database, spread evenly over the work.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// Ends a process at once, and starts another in its place.
    Kill(usize),
    /// Stops a process until its leases are over and somebody else has its jobs, and lets it go on.
    Pause(usize),
    /// Stops two processes at once.
    PauseBoth,
    /// Ends the database as a power cut would, and starts it again.
    Crash,
}

fn on_postgres() -> Result<()> {
    const BLOWS: [Blow; 12] = [
        Blow::Pause(0),
        Blow::Kill(1),
        Blow::Crash,
        Blow::Pause(1),
        Blow::Kill(0),
        Blow::Pause(0),
        Blow::Crash,
        Blow::PauseBoth,
        Blow::Kill(1),
        Blow::Pause(1),
        Blow::Crash,
        Blow::Pause(0),
    ];
    let mut server = PostgresServer::start()?;
    let url = server.url("postgres");
    let crash = move || {
        server.stop_immediate()?;
        server.restart()
    };
    survive(&url, 20_000, 2, &BLOWS, crash)
}

fn on_sqlite() -> Result<()> {
    const BLOWS: [Blow; 6] =
        [Blow::Kill(0), Blow::Pause(0), Blow::Kill(0), Blow::Kill(0), Blow::Pause(0), Blow::Kill(0)];
    let directory = tempfile::tempdir()?;
    let url = format!("sqlite://{}", directory.path().join("jobs.db").display());
    survive(&url, 2_000, 1, &BLOWS, || unreachable!("a file does not crash"))
}

fn survive(
    url: &str,
    jobs: usize,
    processes: usize,
    blows: &[Blow],
    mut crash: impl FnMut() -> Result<()>,
) -> Result<()> {
    let runtime = Runtime::new()?;
    let ledger = runtime.block_on(prepare(url, jobs))?;
    let all = jobs + POISONS.iter().map(|(_, count)| count).sum::<usize>();
    let started = Instant::now();
    let mut workers = (0..processes).map(|_| Process::start(url)).collect::<Result<Vec<_>>>()?;

    for (at, blow) in blows.iter().enumerate() {
        let mark = all - all * (at + 1) / (blows.len() + 1);
        wait_for(started, || Ok(runtime.block_on(ledger.live_jobs())? <= mark as i64))?;
        match *blow {
            Blow::Kill(which) => {
                workers[which].kill()?;
                workers[which] = Process::start(url)?;
            }
            Blow::Pause(which) => {
                // What it holds then will be held by the other one when it goes on.
                let name = workers[which].name();
                wait_for(started, || Ok(runtime.block_on(ledger.slow_jobs_of(name))? > 0))?;
                pause(&workers[which..=which])?;
            }
            Blow::PauseBoth => pause(&workers)?,
            Blow::Crash => crash()?,
        }
    }
    wait_for(started, || Ok(runtime.block_on(ledger.live_jobs())? == 0))?;
    let took = started.elapsed();
    for worker in workers {
        worker.drain()?;
    }

    let account = runtime.block_on(ledger.account())?;
    println!("{jobs} jobs in {took:.1?}, {:.0} per second: {account:?}", jobs as f64 / took.as_secs_f64());
    let poisons = (all - jobs) as i64;
    ensure!(account.completed_jobs == jobs as i64, "jobs were lost");
    ensure!(account.completions == jobs as i64, "a job was completed twice");
    ensure!(account.dead_poison == poisons && account.dead == poisons, "the dead are not the poison");
    ensure!(account.ended_by_others == 0, "a worker ended a job that was another's by then");
    ensure!(account.completed_without_effect == 0, "a job was completed by a lease that had not done it");
    ensure!(account.once_effects == account.once_jobs, "an effect that is one with its job came twice");
    ensure!(account.attempts_left_over > 0, "no worker lost a job, so nothing was proved");
    Ok(())
}

/// A schema, the ledger, and the jobs of three tenants, with poison between them.
async fn prepare(url: &str, jobs: usize) -> Result<Ledger> {
    let store = Store::connect(&settings(url, "test")).await?;
    store.migrate().await?;
    let ledger = Ledger::open(url).await?;
    ledger.create().await?;
    let (ids, now) = (SequentialIds::seeded(20), SystemClock.now());
    let job = |(at, payload): (usize, &str)| NewJob {
        payload: payload.to_owned(),
        ..NewJob::new(
            tenant(1 + at as u128 % 3).id,
            JobId(ids.uuid_v7(now)),
            WORK,
            now.plus_micros(at as i64 - 1_000_000),
        )
    };
    let all: Vec<NewJob> = payloads(jobs).into_iter().enumerate().map(job).collect();
    for chunk in all.chunks(1_000) {
        let enqueued = store.enqueue(chunk).await?;
        ensure!(enqueued.iter().all(|outcome| *outcome == Enqueued::New), "an id came twice");
    }
    store.close().await;
    Ok(ledger)
}

/// What each job is to do. A few take longer than a lease, which has to be extended for them.
fn payloads(jobs: usize) -> Vec<&'static str> {
    let payload = |at: usize| match at {
        at if at % (jobs / 8) == 7 => "long",
        at if at % 100 == 0 => "slow",
        at if at % 2 == 0 => "plain",
        _ => "once",
    };
    let mut all: Vec<&str> = (0..jobs).map(payload).collect();
    for (poison, count) in POISONS {
        (0..count).for_each(|number| all.insert(number * jobs / count, poison));
    }
    all
}

/// Long enough for the leases to end and for others to claim the jobs, and too short for them to do the slow
/// ones: so those are somebody else's when the paused process tells what became of them.
fn pause(workers: &[Process]) -> Result<()> {
    for worker in workers {
        worker.stop()?;
    }
    thread::sleep(LEASE + 2 * POLL_INTERVAL);
    workers.iter().try_for_each(Process::go_on)
}

fn wait_for(started: Instant, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    while !is_so().context("asking how far it is")? {
        ensure!(started.elapsed() < PATIENCE, "the work does not end");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
