//! Whether there is enough room on the disk, found out before anything is begun.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// What one event takes in the table and its indexes, 1,630 bytes, and its share of those that are taken in
/// besides.
const BYTES_PER_EVENT: u64 = 1_800;
/// What the log of PostgreSQL may take, half as much again as its setting, and all that is small.
const BESIDES: u64 = 6 << 30;

/// Makes sure that a database in this directory can take so many events.
///
/// # Errors
/// When it can't, with how much is missing.
pub(crate) fn check(directory: &Path, events: u64) -> Result<()> {
    let system = rustix::fs::statvfs(directory)
        .with_context(|| format!("asking how much room there is in {}", directory.display()))?;
    ensure_room(directory, system.f_bavail * system.f_frsize, events)
}

fn ensure_room(directory: &Path, free: u64, events: u64) -> Result<()> {
    let needed = events * BYTES_PER_EVENT + BESIDES;
    let gibibytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    ensure!(
        needed <= free,
        "{events} events need {:.0} GiB on the disk of {}, and {:.0} GiB are free: {:.0} GiB are missing. Make room, let \
         TMPDIR name a directory on a larger disk, or ask for fewer with --events",
        gibibytes(needed).ceil(),
        directory.display(),
        gibibytes(free).floor(),
        gibibytes(needed - free).ceil(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_before() {
        let directory = Path::new("/data");
        assert!(ensure_room(directory, 40 << 30, 10_000_000).is_ok());
        let problem = ensure_room(directory, 20 << 30, 10_000_000).unwrap_err().to_string();
        assert!(problem.contains("10000000 events need 23 GiB on the disk of /data"), "{problem}");
        assert!(problem.contains("3 GiB are missing"), "{problem}");
    }
}
