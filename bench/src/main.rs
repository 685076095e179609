//! The side-by-side benchmark: the product and yardsticks, in turns, on one machine.
//!
//! Figures of one run mean little by themselves: the same program differs by a third from one quarter of an
//! hour to the next. So everything is a ratio of two measurements that were taken back to back.
//!
//! | module | holds |
//! |---|---|
//! | `case` | what is compared with what, and the gates |
//! | `pair` | a yardstick and the product, back to back; medians |
//! | `stage` | servers and files, and how one run of each thing goes |
//! | `product`, `setup`, `yardstick` | what is measured |
//! | `search` | searches in a table of millions of events |
//! | `growth` | all of it in one table that grows to ten million |
//! | `footprint` | what a server takes in memory |
//! | `pressure` | a tenant that floods |
//! | `rules` | what it costs to evaluate rules, which is compared with nothing |
//! | `load`, `sample`, `http` | what is sent |
//! | `measurement`, `cpu`, `memory`, `space` | what is read off |
//! | `report`, `environment` | what is told |

mod case;
mod cpu;
mod environment;
mod footprint;
mod growth;
mod http;
mod load;
mod measurement;
mod memory;
mod options;
mod pair;
mod postgres;
mod pressure;
mod process;
mod product;
mod report;
mod rules;
mod runtime;
mod sample;
mod schema;
mod search;
mod setup;
mod space;
mod stage;
mod yardstick;

use std::fs;

use anyhow::{Context, Result};
use clap::Parser as _;

use crate::{
    environment::Environment,
    options::Options,
    pair::{Pair, Results},
    stage::Stage,
};

/// As in the product, so that the server that only parses differs in nothing else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(address_file) = &options.serve_parse_only {
        return yardstick::parse_only::serve(address_file);
    }
    if let Some(url) = &options.fill {
        return search::fill_only(url, options.searched());
    }
    let server = options.server.as_deref().context("--server has to name the product's binary")?;
    let mut stage = Stage::prepare(server, options.duration())?;
    space::check(&stage.postgres.data_directory(), options.most_events())?;
    process::allow_many_files()?;
    let results = measure(&mut stage, &options)?;
    let searches =
        options.asks_for(search::NAME).then(|| search::run(&mut stage, options.searched())).transpose()?;
    if let Some(searches) = &searches {
        println!("{}", search::progress(searches));
    }
    let pressure = options.asks_for(pressure::NAME).then(|| pressure::run(&mut stage)).transpose()?;
    let footprint = options.asks_for(footprint::NAME).then(|| footprint::run(&mut stage)).transpose()?;
    let rules = evaluate(&stage, &options)?;
    let parts = report::Parts { cases: results, searches, growth: None, pressure, footprint, rules };
    if !options.asks_for(growth::NAME) {
        return tell(&parts, &stage, &options);
    }
    // Last, for it takes longest: what was measured is not lost if it fails.
    if options.is_full() {
        tell(&parts, &stage, &options)?;
    }
    let growth = growth::run(&mut stage, options.grown_to())?;
    println!("{}", growth::progress(&growth));
    tell(&report::Parts { growth: Some(growth), ..parts }, &stage, &options)
}

/// Writes the report, or prints it when it is not the whole of one.
fn tell(parts: &report::Parts, stage: &Stage, options: &Options) -> Result<()> {
    let report = report::write(parts, &Environment::of(stage)?, options);
    match &options.report {
        Some(path) if options.is_full() => {
            fs::write(path, report).with_context(|| format!("writing {}", path.display()))?;
            println!("written to {}", path.display());
        }
        _ => println!("\n{report}"),
    }
    Ok(())
}

/// Lets the cases take turns, so that what changes slowly on this machine meets all of them.
fn measure(stage: &mut Stage, options: &Options) -> Result<Vec<Results>> {
    let mut all: Vec<Results> =
        options.cases().into_iter().map(|case| Results { case, pairs: Vec::new() }).collect();
    for round in 0..options.attempts() {
        let is_open = |results: &&mut Results| results.quiet().count() < options.pairs_of(results.case);
        for results in all.iter_mut().filter(is_open) {
            let pair = Pair::run(stage, results.case, round % 2 == 1)
                .with_context(|| format!("in case {}", results.case.name))?;
            println!("{}", report::progress(results.case, &pair));
            results.pairs.push(pair);
        }
    }
    Ok(all)
}

fn evaluate(stage: &Stage, options: &Options) -> Result<Vec<rules::Results>> {
    let mut all = Vec::new();
    for case in options.rules() {
        let results = stage.rules(case, options.pairs()).with_context(|| format!("in case {}", case.name))?;
        println!("{}", report::progress_of_rules(&results));
        all.push(results);
    }
    Ok(all)
}
