//! Load over HTTP, from `wrk`.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    measurement::{Latency, Tally},
    sample::{SAMPLES_PATH, package},
};

/// How a case sends its events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Load {
    /// Connections, each with one request at a time.
    pub(crate) connections: u64,
    /// Events in a request; 1 goes to the route for single events.
    pub(crate) batch: u64,
    /// Tenants, whose requests take turns.
    pub(crate) tenants: usize,
    /// How many of a hundred events were sent before.
    pub(crate) repeated: u64,
}

/// How long an answer may take before it counts as missing.
const TIMEOUT_SECS: u32 = 10;

/// Counts the stored events of one run, by its [`mark`]. Both databases understand it.
pub(crate) const COUNT_OF_RUN: &str = "SELECT count(*) FROM events WHERE substr(external_id, 21, 3) = $1";

/// What the script puts into the ids of a run, at the place where [`COUNT_OF_RUN`] looks.
pub(crate) fn mark(run: u64) -> String {
    format!("{:03x}", run % 4096)
}

/// What the script prints at the end.
#[derive(Deserialize)]
struct Summary {
    micros: u64,
    answers: u64,
    /// Of the answers: not 2xx.
    refusals: u64,
    /// Connections that broke, and answers that did not come.
    broken: u64,
    p50_micros: u64,
    p99_micros: u64,
    p999_micros: u64,
    /// Events that were sent for at least the second time.
    repeated: u64,
}

impl Load {
    /// The events of one tenant, each for the first time.
    pub(crate) const fn new(connections: u64, batch: u64) -> Self {
        Self { connections, batch, tenants: 1, repeated: 0 }
    }

    /// The same for several tenants.
    pub(crate) const fn of_tenants(self, tenants: usize) -> Self {
        Self { tenants, ..self }
    }

    /// The same with so many of a hundred events sent again.
    pub(crate) const fn repeating(self, repeated: u64) -> Self {
        Self { repeated, ..self }
    }

    /// What each of some senders has to send, so that together they send this.
    pub(crate) const fn shared_by(self, senders: u64) -> Self {
        Self { connections: self.connections / senders, ..self }
    }

    /// Sends events for a while. `run` is a number that no other run of this server's store had.
    ///
    /// # Errors
    /// When `wrk` is missing, or anything was refused or left unanswered.
    pub(crate) fn send(self, to: SocketAddr, keys: &[&str], run: u64, duration: Duration) -> Result<Tally> {
        let keys = keys.get(..self.tenants).context("there are not so many tenants")?.join(",");
        self.tally(&self.run(to, &keys, run, duration)?)
    }

    /// Sends events whatever the answers are, and answers with how many requests a second there were.
    ///
    /// # Errors
    /// When `wrk` is missing, or an answer is.
    pub(crate) fn flood(self, to: SocketAddr, key: &str, duration: Duration) -> Result<f64> {
        let summary = self.run(to, key, 0, duration)?;
        ensure!(summary.broken == 0, "{} requests were not answered", summary.broken);
        Ok(summary.answers as f64 / Duration::from_micros(summary.micros).as_secs_f64())
    }

    fn run(self, to: SocketAddr, keys: &str, run: u64, duration: Duration) -> Result<Summary> {
        let route = if self.batch == 1 { "events" } else { "events/batch" };
        let threads = self.connections.min(2);
        let output = Command::new("wrk")
            .current_dir(package())
            .arg(format!("--threads={threads}"))
            .arg(format!("--connections={}", self.connections))
            .arg(format!("--duration={}s", duration.as_secs()))
            .arg(format!("--timeout={TIMEOUT_SECS}s"))
            .args(["--script=load/ingest.lua", &format!("http://{to}/api/v1/ingestion/{route}"), "--"])
            .args([SAMPLES_PATH, keys, &run.to_string(), &self.batch.to_string(), &self.repeated.to_string()])
            .output()
            .context("starting wrk")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "wrk ended with {}:\n{said}{problems}", output.status);
        let summary = said.lines().find(|line| line.starts_with('{')).context("wrk gave no summary")?;
        serde_json::from_str(summary).context("reading the summary of wrk")
    }

    fn tally(self, summary: &Summary) -> Result<Tally> {
        let Summary { micros, answers, refusals, broken, p50_micros, p99_micros, p999_micros, repeated } =
            *summary;
        ensure!(refusals == 0, "{refusals} of {answers} requests were refused");
        ensure!(broken == 0, "{broken} requests were not answered");
        Ok(Tally {
            events: answers * self.batch,
            elapsed: Duration::from_micros(micros),
            in_flight: self.connections * self.batch,
            repeated,
            latency: Some(Latency {
                p50: Duration::from_micros(p50_micros),
                p99: Duration::from_micros(p99_micros),
                p999: Duration::from_micros(p999_micros),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_refusals_is_no_measurement() {
        let load = Load::new(2, 100);
        let mut summary = Summary {
            micros: 1_000_000,
            answers: 30,
            refusals: 0,
            broken: 0,
            p50_micros: 1,
            p99_micros: 2,
            p999_micros: 3,
            repeated: 0,
        };
        let tally = load.tally(&summary).unwrap();
        assert_eq!((tally.events, tally.in_flight), (3_000, 200));

        assert_eq!(Load::new(128, 1).shared_by(2).connections, 64);

        summary.refusals = 1;
        assert!(load.tally(&summary).is_err());
    }
}
