//! Searches over HTTP in a table of millions of events, against the search for the latest 50.
//!
//! | module | holds |
//! |---|---|
//! | `history` | the events, each a function of its number |
//! | `fill` | how they get into the table |
//! | `question` | what is searched for |
//! | `searcher` | how it is asked |
//! | `timing` | how long searches took |
//! | `size` | what the table takes on the disk |
//! | `report` | what is told |

mod fill;
mod history;
mod question;
mod report;
mod searcher;
mod size;
mod timing;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use pulsestream_domain::{Timestamp, ports::Clock as _, tenant::TenantId};
use pulsestream_ingestion::SystemClock;
use uuid::Uuid;

use self::history::TENANTS;
use crate::stage::Stage;

pub(crate) use fill::fill;
pub(crate) use history::History;
pub(crate) use report::{progress, write};
pub(crate) use searcher::Searcher;
pub(crate) use size::{Part, sizes};
pub(crate) use timing::{Compared, Timing};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "search";
/// How many events there are, unless something else is asked for.
pub(crate) const EVENTS: u64 = 2_000_000;

/// What came out.
pub(crate) struct Outcome {
    pub(crate) events: u64,
    /// In the order they ran, with what they were compared with in the same turn.
    pub(crate) questions: Vec<Compared>,
    /// Events per second, one after the other over one connection.
    export: f64,
    /// A mix of searches alone, and while events come in at full rate.
    under_load: UnderLoad,
    sizes: Vec<Part>,
}

struct UnderLoad {
    idle: Timing,
    busy: Timing,
    /// Events per second that were taken in meanwhile.
    rate: f64,
}

/// Only fills a database, for looking at plans.
///
/// # Errors
/// When the database has no schema, or has these events.
pub(crate) fn fill_only(url: &str, events: u64) -> Result<()> {
    let tenants = (1..=TENANTS as u128).map(|number| TenantId(Uuid::from_u128(number << 64 | number)));
    fill(url, &History::new(tenants.collect(), events, SystemClock.now()), 0)
}

/// Fills the table and asks everything.
///
/// # Errors
/// When anything is refused, or finds nothing at all.
pub(crate) fn run(stage: &mut Stage, events: u64) -> Result<Outcome> {
    stage.postgres.reset()?;
    let (history, keys) = past(stage, events)?;
    let start = Instant::now();
    fill(stage.postgres.url(), &history, 0)?;
    stage.postgres.warm()?;
    println!("{NAME:<20} {events} events in {:.0} s", start.elapsed().as_secs_f64());

    let server = stage.on_postgres.serve()?;
    let mut searcher = Searcher::connect(server.address(), &history, &keys)?;
    searcher.check_rows(stage)?;
    let questions = searcher.questions()?;
    let export = searcher.export()?;
    let sizes = sizes(stage.postgres.url())?;
    let under_load = under_load(stage, &mut searcher, server.address())?;
    drop(searcher);
    server.stop()?;
    Ok(Outcome { events, questions, export, under_load, sizes })
}

/// The past of all tenants up to now, and their keys.
///
/// # Errors
/// When the tenants are not there.
pub(crate) fn past(stage: &Stage, events: u64) -> Result<(History, Vec<String>)> {
    let tenants = stage.postgres.tenants("bench-")?;
    ensure!(tenants.len() == TENANTS, "there are {} tenants", tenants.len());
    let keys = stage.on_postgres.keys().into_iter().map(str::to_owned).collect();
    Ok((History::new(tenants, events, now()), keys))
}

/// To the second, as clients write it.
fn now() -> Timestamp {
    Timestamp::from_secs(SystemClock.now().as_secs())
}

/// Searches alone, and beside events that come in.
fn under_load(stage: &mut Stage, searcher: &mut Searcher<'_>, address: SocketAddr) -> Result<UnderLoad> {
    let length = Duration::from_secs(10);
    let idle = searcher.mix(length)?;
    let (busy, tally) = stage.while_events_come_in(address, 64, length, || searcher.mix(length))?;
    Ok(UnderLoad { idle, busy, rate: tally.events as f64 / tally.elapsed.as_secs_f64() })
}
