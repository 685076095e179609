//! One table that grows: what it costs to take events in and to find them, at each size.
//!
//! Nothing is emptied between the sizes. The past that is filled in gets longer and not denser, so a day holds
//! as many events at every size from a million on, and what a question about a day costs is to stay.

mod report;

use std::time::Instant;

use anyhow::{Context, Result};

use crate::{
    load::Load,
    measurement::Measurement,
    search::{self, Compared, History, Part, Searcher},
    stage::{Stage, TENANTS},
};

pub(crate) use report::{progress, write};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "growth";
/// Events at the largest size, unless something else is asked for.
pub(crate) const LARGEST: u64 = 10_000_000;
/// Events at the smallest size: with fewer, rare things are not there, nor pages to go through.
pub(crate) const SMALLEST: u64 = 100_000;
/// From how many events on a past has a whole week, and what is asked about days can be compared.
const A_WEEK: u64 = 1_000_000;
/// How many times as long a question about some days may take when there are ten times as many events.
const MOST_GROWTH: f64 = 1.5;

/// What is taken in at each size.
const LOADS: [(&str, Load); 2] = [
    ("single events, 64 connections", Load::new(64, 1).of_tenants(TENANTS as usize)),
    ("batches of 500, 8 connections", Load::new(8, 500).of_tenants(TENANTS as usize)),
];

/// What came out, from the smallest size to the largest.
pub(crate) struct Outcome {
    steps: Vec<Step>,
}

/// At one size.
pub(crate) struct Step {
    /// Events that were filled in, up to this size.
    events: u64,
    /// Rows when it was searched: those, and what was taken in at the sizes before.
    stored: u64,
    questions: Vec<Compared>,
    /// Events per second, over one connection.
    export: f64,
    /// On the disk.
    parts: Vec<Part>,
    taken_in: Vec<TakenIn>,
}

/// A load on the filled table.
struct TakenIn {
    title: &'static str,
    /// Or why there is none. What else was found out is worth telling all the same.
    outcome: Result<Measurement, String>,
}

/// Lets the table grow to so many events.
///
/// # Errors
/// When the table can't be filled, or anything is refused that is asked for.
pub(crate) fn run(stage: &mut Stage, largest: u64) -> Result<Outcome> {
    stage.postgres.reset()?;
    let (whole, keys) = search::past(stage, largest)?;
    let mut steps: Vec<Step> = Vec::new();
    for events in sizes(largest) {
        let filled = steps.last().map_or(0, |step| step.events);
        let step = step(stage, &whole.beginning(events), filled, &keys);
        steps.push(step.with_context(|| format!("in {NAME}, at {events} events"))?);
    }
    // Others need the disk.
    stage.postgres.reset()?;
    Ok(Outcome { steps })
}

/// A hundredth or so of the largest size, a tenth, and all of it.
fn sizes(largest: u64) -> Vec<u64> {
    let mut sizes = vec![SMALLEST, largest / 10, largest];
    sizes.retain(|size| *size >= SMALLEST);
    sizes.dedup();
    sizes
}

fn step(stage: &mut Stage, history: &History, filled: u64, keys: &[String]) -> Result<Step> {
    let events = history.events();
    let start = Instant::now();
    search::fill(stage.postgres.url(), history, filled).context("filling the table")?;
    stage.postgres.warm()?;
    tell(events, &format!("filled in {:.0} s", start.elapsed().as_secs_f64()));
    let stored = stage.postgres.stored()?;

    let start = Instant::now();
    let server = stage.on_postgres.serve()?;
    let mut searcher = Searcher::connect(server.address(), history, keys)?;
    if filled == 0 {
        searcher.check_rows(stage)?;
    }
    let questions = searcher.questions()?;
    let export = searcher.export()?;
    drop(searcher);
    server.stop()?;
    tell(events, &format!("searched in {:.0} s", start.elapsed().as_secs_f64()));
    let parts = search::sizes(stage.postgres.url())?;

    let taken_in = LOADS.map(|(title, load)| {
        let outcome = stage.product_on_filled_table(load).map_err(|error| format!("{error:#}"));
        match &outcome {
            Ok(measurement) => tell(events, &format!("{title}: {:.0}/s", measurement.rate())),
            Err(problem) => tell(events, &format!("{title}: {problem}")),
        }
        TakenIn { title, outcome }
    });
    Ok(Step { events, stored, questions, export, parts, taken_in: taken_in.into() })
}

fn tell(events: u64, what: &str) {
    println!("{NAME:<20} {events} events, {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_larger_than_the_one_before() {
        assert_eq!(sizes(LARGEST), [100_000, 1_000_000, 10_000_000]);
        assert_eq!(sizes(1_000_000), [100_000, 1_000_000]);
        assert_eq!(sizes(200_000), [100_000, 200_000]);
        assert_eq!(sizes(100_000), [100_000]);
    }
}
