//! PostgreSQL alone: one row per transaction, by the program that everybody knows.

use std::{fmt::Write as _, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{COLUMNS, hexadecimal};
use crate::{
    measurement::Tally,
    sample::{NUMBERS, Sample},
};

/// Connections that insert at the same time.
pub(crate) const CLIENTS: u32 = 32;

/// Runs it. `directory` takes its scripts.
///
/// # Errors
/// When `pgbench` is missing or an insert fails.
pub(crate) fn run(url: &str, samples: &[Sample], directory: &Path, duration: Duration) -> Result<Tally> {
    let mut command = Command::new("pgbench");
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.arg(format!("--client={CLIENTS}")).arg(format!("--time={}", duration.as_secs()));
    for (index, sample) in samples.iter().enumerate() {
        let script = Script::new(index, sample);
        let path = directory.join(format!("insert_{index}.sql"));
        std::fs::write(&path, script.text).context("writing a script for pgbench")?;
        command.arg("--file").arg(path);
        for (name, value) in script.variables {
            command.arg(format!("--define={name}={value}"));
        }
    }
    let output = command.arg(url).output().context("starting pgbench")?;
    let (said, problems) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "pgbench ended with {}:\n{problems}", output.status);
    read(&said).with_context(|| format!("reading what pgbench said:\n{said}{problems}"))
}

/// The insert of one sample. Values are bound: as text in a prepared statement, pgbench's only way.
struct Script {
    text: String,
    variables: Vec<(String, String)>,
}

impl Script {
    fn new(index: usize, sample: &Sample) -> Self {
        let event = &sample.event;
        let mut variables = Vec::new();
        let mut bound = |name: &str, value: Option<String>| {
            let Some(value) = value else { return "NULL".to_owned() };
            let name = format!("{name}_{index}");
            let place = format!(":{name}");
            variables.push((name, value));
            place
        };
        // Fresh for each row, so it can't be bound. All of it takes 2 to 3 µs.
        let micros = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
        let time_ordered_id = "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') \
             || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid";

        // In the order of `COLUMNS`.
        let mut values = vec![
            bound("tenant", Some(event.tenant_id.to_string())),
            time_ordered_id.to_owned(),
            "gen_random_uuid()::text".to_owned(),
            bound("hash", Some(hexadecimal(&event.content_hash))),
            bound("event_type", Some(event.event_type.to_string())),
            bound("severity", Some(event.severity.to_string())),
            bound("service", Some(event.service.clone())),
            bound("endpoint", Some(event.endpoint.clone())),
            bound("method", Some(event.method.clone())),
            bound("environment", event.environment.clone()),
            bound("status", event.status_code.map(|code| code.to_string())),
            bound("duration", event.duration_ms.map(|millis| millis.to_string())),
            bound("user", event.user_id.clone()),
            bound("correlation", event.correlation_id.clone()),
            micros.to_owned(),
            micros.to_owned(),
            bound("device", event.enrichment.device_type.map(|device| device.to_string())),
            bound("performance", event.enrichment.performance.map(|class| class.to_string())),
            bound("document", Some(event.document.as_str().to_owned())),
            "'completed'".to_owned(),
        ];
        let open_terms = bound("terms", Some(sample.open_terms.clone()));
        values.push(format!("({open_terms} || :number)::tsvector"));

        let (first, last) = NUMBERS;
        let mut text = format!("\\set number random({first}, {last})\n");
        _ = write!(text, "INSERT INTO events ({COLUMNS}, terms) VALUES ({});", values.join(", "));
        Self { text, variables }
    }
}

fn read(said: &str) -> Option<Tally> {
    let behind = |start: &str| {
        let rest = said.lines().find_map(|line| line.strip_prefix(start))?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let events = behind("number of transactions actually processed: ")?;
    let failed = behind("number of failed transactions: ").unwrap_or(0.0);
    let per_second = behind("tps = ")?;
    let elapsed = Duration::try_from_secs_f64(events / per_second).ok()?;
    (failed == 0.0).then_some(Tally {
        events: events as u64,
        elapsed,
        in_flight: 0,
        repeated: 0,
        latency: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "transaction type: multiple scripts\n\
        number of transactions actually processed: 50000\n\
        number of failed transactions: 0 (0.000%)\n\
        latency average = 3.1 ms\n\
        tps = 10000.5 (without initial connection time)\n";

    #[test]
    fn the_rate_is_the_one_without_connecting() {
        let tally = read(SAID).unwrap();
        assert_eq!(tally.events, 50_000);
        assert!((tally.elapsed.as_secs_f64() - 4.999_75).abs() < 1e-4);
    }

    #[test]
    fn a_failed_insert_spoils_the_run() {
        assert!(read(&SAID.replace("transactions: 0 ", "transactions: 2 ")).is_none());
    }
}
