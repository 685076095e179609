//! Where figures come from: the machine, and the versions of everything that took part.

use std::{fs, io::Write as _, path::Path, process::Command, time::Instant};

use anyhow::{Context, Result};
use pulsestream_domain::ports::Clock as _;
use pulsestream_ingestion::SystemClock;

use crate::{cpu, postgres::settings, stage::Stage, yardstick::sqlite};

/// Names and values, for people.
pub(crate) struct Environment(pub(crate) Vec<(&'static str, String)>);

impl Environment {
    /// Looks around.
    ///
    /// # Errors
    /// When the databases or the disk can't be asked.
    pub(crate) fn of(stage: &Stage) -> Result<Self> {
        let settings: Vec<String> =
            settings().iter().map(|(name, value)| format!("{name} = {value}")).collect();
        Ok(Self(vec![
            ("date", SystemClock.now().to_string().chars().take(10).collect()),
            ("commit", commit()),
            ("processor", format!("{}, {} cores", processor(), cpu::cores())),
            ("memory", memory()),
            ("kernel", said("uname", &["-sr"])),
            ("disk", disk(stage.directory())?),
            ("PostgreSQL", format!("{}: {}", stage.postgres.version()?, settings.join(", "))),
            ("SQLite", format!("{}: WAL, synchronous = FULL", sqlite::version()?)),
            ("Redis", words(&said("redis-server", &["--version"]), 3)),
            ("pgbench", words(&said("pgbench", &["--version"]), 3)),
            ("wrk", words(&said("wrk", &["--version"]), 2)),
            ("rustc", said("rustc", &["--version"])),
        ]))
    }
}

/// The first line that a program says, wherever it says it.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

/// The first few words of a text.
fn words(text: &str, count: usize) -> String {
    text.split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}

fn commit() -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    // The report itself is what a run changes.
    let changes = said("git", &["status", "--porcelain", "--", ".", ":!docs/benchmarks.md"]);
    if changes == "unknown" { commit } else { format!("{commit}, with changes") }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

/// How much memory the machine has.
pub(crate) fn memory_kib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?.parse().ok()
}

fn memory() -> String {
    memory_kib().map_or_else(|| "unknown".to_owned(), |kib| format!("{} GiB", kib.div_ceil(1 << 20)))
}

/// The file system, and how long it takes to make a small write durable.
fn disk(directory: &Path) -> Result<String> {
    const WRITES: u32 = 200;
    let directory_name = directory.to_string_lossy();
    let system = said("findmnt", &["--noheadings", "--output", "FSTYPE", "--target", &directory_name]);
    let mut file = tempfile::tempfile_in(directory).context("making a file")?;
    let start = Instant::now();
    for _ in 0..WRITES {
        file.write_all(&[0; 8192]).and_then(|()| file.sync_data()).context("writing to the disk")?;
    }
    let micros = (start.elapsed() / WRITES).as_micros();
    Ok(format!("{system}, {micros} µs for 8 KiB and fdatasync"))
}
