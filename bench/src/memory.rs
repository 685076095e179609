//! What a process takes in memory, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// What it takes now, in bytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn now(pid: u32) -> Result<u64> {
    read(pid, "VmRSS:")
}

/// The most it has taken, in bytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn peak(pid: u32) -> Result<u64> {
    read(pid, "VmHWM:")
}

fn read(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading a process's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .with_context(|| format!("no {name} in a process's status"))?;
    Ok(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_some_memory() {
        let pid = std::process::id();
        assert!(now(pid).unwrap() > 0);
        assert!(peak(pid).unwrap() >= 1 << 20);
    }
}
