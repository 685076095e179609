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
}

impl Load {
    /// Sends events for a while. `run` is a number that no other run of this server's store had.
    ///
    /// # Errors
    /// When `wrk` is missing, or anything was refused or left unanswered.
    pub(crate) fn send(self, to: SocketAddr, key: &str, run: u64, duration: Duration) -> Result<Tally> {
        let route = if self.batch == 1 { "events" } else { "events/batch" };
        let threads = self.connections.min(2);
        let output = Command::new("wrk")
            .current_dir(package())
            .arg(format!("--threads={threads}"))
            .arg(format!("--connections={}", self.connections))
            .arg(format!("--duration={}s", duration.as_secs()))
            .arg(format!("--timeout={TIMEOUT_SECS}s"))
            .args(["--script=load/ingest.lua", &format!("http://{to}/api/v1/ingestion/{route}"), "--"])
            .args([SAMPLES_PATH, key, &run.to_string(), &self.batch.to_string()])
            .output()
            .context("starting wrk")?;
        let said = String::from_utf8_lossy(&output.stdout);
        let problems = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "wrk ended with {}:\n{said}{problems}", output.status);
        let summary = said.lines().find(|line| line.starts_with('{')).context("wrk gave no summary")?;
        let summary: Summary = serde_json::from_str(summary).context("reading the summary of wrk")?;
        self.tally(&summary)
    }

    fn tally(self, summary: &Summary) -> Result<Tally> {
        let Summary { micros, answers, refusals, broken, p50_micros, p99_micros } = *summary;
        ensure!(refusals == 0, "{refusals} of {answers} requests were refused");
        ensure!(broken == 0, "{broken} requests were not answered");
        Ok(Tally {
            events: answers * self.batch,
            elapsed: Duration::from_micros(micros),
            in_flight: self.connections * self.batch,
            latency: Some(Latency {
                p50: Duration::from_micros(p50_micros),
                p99: Duration::from_micros(p99_micros),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_refusals_is_no_measurement() {
        let load = Load { connections: 2, batch: 100 };
        let mut summary =
            Summary { micros: 1_000_000, answers: 30, refusals: 0, broken: 0, p50_micros: 1, p99_micros: 2 };
        let tally = load.tally(&summary).unwrap();
        assert_eq!((tally.events, tally.in_flight), (3_000, 200));

        summary.refusals = 1;
        assert!(load.tally(&summary).is_err());
    }
}
