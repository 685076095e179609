//! What is asked for on the command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

use crate::{
    case::{CASES, Case},
    footprint, growth, pressure, rules, search,
};

/// Measure the product and yardsticks side by side.
#[derive(Parser, Debug)]
#[command(name = "bench")]
pub(crate) struct Options {
    /// One pair of 2 s per case, and 100,000 events to search: for trying things, not for figures
    #[arg(long, conflicts_with_all = ["pairs", "seconds"])]
    quick: bool,
    /// Pairs per case that nobody disturbed, and ticks per case of rules
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pairs: u32,
    /// Length of each measurement, in seconds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=240))]
    seconds: u32,
    /// Only this case; may be given several times
    #[arg(long, value_name = "CASE", value_parser = case_names())]
    only: Vec<String>,
    /// How many events searches look through, and a table grows to [default: 2000000 and 10000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(growth::SMALLEST..=100_000_000))]
    events: Option<u64>,
    /// Only put those events into this PostgreSQL database, which has the product's schema: for looking at plans
    #[arg(long, value_name = "URL")]
    pub(crate) fill: Option<String>,
    /// The release binary of the product
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) server: Option<PathBuf>,
    /// Where the report goes if everything was measured in full
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) report: Option<PathBuf>,
    /// Be the server that only parses, and write the address to this file
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) serve_parse_only: Option<PathBuf>,
}

impl Options {
    /// How many undisturbed pairs a case gets. Where nothing depends on it, three are enough.
    pub(crate) fn pairs_of(&self, case: &Case) -> usize {
        if case.gates.is_empty() { self.pairs().min(3) } else { self.pairs() }
    }

    /// How many undisturbed pairs are asked for, and how many ticks.
    pub(crate) fn pairs(&self) -> usize {
        if self.quick { 1 } else { self.pairs as usize }
    }

    /// How many pairs a case may take to get them. A disturbed pair is repeated, though not for ever.
    pub(crate) fn attempts(&self) -> usize {
        if self.quick { 1 } else { self.pairs() * 2 }
    }

    /// How long each measurement takes.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(if self.quick { 2 } else { self.seconds.into() })
    }

    /// How many events searches look through.
    pub(crate) fn searched(&self) -> u64 {
        self.events_or(search::EVENTS)
    }

    /// How many events the table grows to.
    pub(crate) fn grown_to(&self) -> u64 {
        self.events_or(growth::LARGEST)
    }

    fn events_or(&self, in_full: u64) -> u64 {
        self.events.unwrap_or(if self.quick { growth::SMALLEST } else { in_full })
    }

    /// How many events there will be at a time at most, of the parts that are asked for.
    pub(crate) fn most_events(&self) -> u64 {
        let parts = [(search::NAME, self.searched()), (growth::NAME, self.grown_to())];
        parts.into_iter().filter(|(name, _)| self.asks_for(name)).map(|(_, events)| events).max().unwrap_or(0)
    }

    /// The cases asked for.
    pub(crate) fn cases(&self) -> Vec<&'static Case> {
        CASES.iter().filter(|case| self.asks_for(case.name)).collect()
    }

    /// The cases of rules asked for.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &'static rules::Case> {
        rules::CASES.iter().filter(|case| self.asks_for(case.name))
    }

    /// Whether a case or a part of this name is among what is asked for.
    pub(crate) fn asks_for(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Whether the outcome may stand as the project's figures: all cases, enough pairs, long enough.
    pub(crate) fn is_full(&self) -> bool {
        self.only.is_empty()
            && self.pairs() >= 3
            && self.duration() >= Duration::from_secs(5)
            && self.events.is_none_or(|events| events >= growth::LARGEST)
    }

    /// What to type to get the same.
    pub(crate) fn command(&self) -> String {
        let only: String = self.only.iter().map(|name| format!(" --only {name}")).collect();
        let length = match self.quick {
            true => " --quick".to_owned(),
            false => format!(" --pairs {} --seconds {}", self.pairs, self.seconds),
        };
        let events = self.events.map(|events| format!(" --events {events}")).unwrap_or_default();
        format!("just bench{length}{events}{only}")
    }
}

fn case_names() -> Vec<&'static str> {
    let cases = CASES.iter().map(|case| case.name).chain(rules::CASES.iter().map(|case| case.name));
    cases.chain([search::NAME, growth::NAME, footprint::NAME, pressure::NAME]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_and_long_run_is_full() {
        let options =
            |arguments: &str| Options::try_parse_from(format!("bench {arguments}").split(' ')).unwrap();
        assert!(options("--pairs 3").is_full());
        for short in ["--quick", "--pairs 2", "--seconds 4", "--only singles-64", "--events 2000000"] {
            assert!(!options(short).is_full(), "{short}");
        }
        assert_eq!(options("--only batches-100").cases().len(), 1);
        assert_eq!(options("--only batches-100").most_events(), 0);
        assert_eq!(options("--only growth").most_events(), 10_000_000);
        assert_eq!(options("--quick").most_events(), 100_000);
        let fewer = options("--only search --events 300000");
        assert_eq!((fewer.searched(), fewer.most_events()), (300_000, 300_000));
        let rules = options("--only rules-1-tenant");
        assert_eq!((rules.cases().len(), rules.rules().count()), (0, 1));
        assert_eq!(options("--quick --only batches-100").command(), "just bench --quick --only batches-100");
    }
}
