//! What a worker process does.

use std::{
    future::pending,
    io::{Read as _, Write as _},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    job::{JobKind, LeasedJob},
    ports::Clock,
};
use pulsestream_jobs::{Backoff, Handler, KindSettings, Settings, Verdict, Workers};
use pulsestream_storage::Store;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{runtime::Runtime, time::sleep};

use crate::ledger::Ledger;

/// The first argument of a worker process.
pub(crate) const MODE: &str = "work";
pub(crate) const WORK: JobKind = JobKind::named("work");
pub(crate) const LEASE: Duration = Duration::from_millis(1_500);
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The system's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "processes of a test share no other clock")]
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

pub(crate) fn settings(url: &str, name: &str) -> pulsestream_storage::Settings {
    pulsestream_storage::Settings {
        application_name: name.to_owned(),
        query_timeout: Duration::from_secs(3),
        ..pulsestream_storage::Settings::new(url)
    }
}

/// Works until its input ends, or its parent.
pub(crate) fn main(url: &str, name: &str) -> ExitCode {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux can do so");
    silence_expected_panics();
    let runtime = Runtime::new().expect("a process can have a runtime");
    runtime.block_on(async {
        let store = Store::connect(&settings(url, name)).await.expect("the database is up");
        let ledger = Ledger::open_as(url, name).await.expect("the database is up");
        let kind_settings = KindSettings {
            concurrency: 4,
            max_attempts: 6,
            backoff: Backoff { first: Duration::from_millis(20), longest: Duration::from_millis(200) },
            time_limit: 2 * LEASE,
        };
        let workers = Workers::start(
            Arc::new(store),
            [(Arc::new(Writes { ledger }) as Arc<dyn Handler>, kind_settings)],
            Arc::new(SystemClock),
            Arc::new(|| u64::from(SystemClock.now().as_micros() as u32) << 32),
            Settings { lease: LEASE, poll_interval: POLL_INTERVAL, ..Settings::default() },
        );
        std::io::stdout().write_all(b"!").expect("somebody waits for it");
        std::io::stdout().flush().expect("somebody waits for it");
        let input_ends = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        input_ends.await.expect("reading does not panic").expect("a pipe can be read");
        let drained = workers.drain(Duration::from_secs(10)).await;
        if drained.abandoned == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    })
}

/// Does what the payload says, and writes it into the ledger.
struct Writes {
    ledger: Ledger,
}

#[async_trait]
impl Handler for Writes {
    fn kind(&self) -> JobKind {
        WORK
    }

    async fn run(&self, job: &LeasedJob) -> Verdict {
        match job.payload.as_str() {
            "fail" => return Verdict::retry("as told"),
            "panic" => panic!("as told"),
            "hang" => return pending().await,
            "long" => sleep(LEASE + LEASE / 2).await,
            "slow" => sleep(LEASE / 2).await,
            _ => {}
        }
        let (written, verdict) = if job.payload == "once" {
            // Its effect and its completion are one transaction.
            let written = self.ledger.write_and_complete(&job.lease, SystemClock.now()).await;
            (written, Verdict::SettledAlready)
        } else {
            (self.ledger.write(&job.lease).await, Verdict::Done)
        };
        match written {
            Ok(()) => verdict,
            Err(error) => Verdict::retry(error.to_string()),
        }
    }
}

fn silence_expected_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("as told") {
            usual(panic);
        }
    }));
}
