//! What a case costs the server.

use std::fs;

use pulsestream_tests::App;

/// `sysconf(_SC_CLK_TCK)`, which Linux has as 100 on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// The memory and processor time of a server so far.
pub(super) struct Meter {
    pid: u32,
    rss_bytes: u64,
    cpu_seconds: f64,
}

/// What was used since the meter was set.
pub(super) struct Cost {
    /// By how much the most that was resident exceeds what was resident before.
    pub(super) memory_bytes: u64,
    pub(super) cpu_seconds: f64,
}

impl Meter {
    /// Starts measuring. Forgets the most that the server ever had resident.
    pub(super) fn start(app: &App) -> Self {
        let pid = app.process().pid();
        // proc(5): 5 resets the peak.
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the server is a child of this process");
        Self { pid, rss_bytes: app.rss_bytes(), cpu_seconds: cpu_seconds(pid) }
    }

    /// What was used meanwhile.
    pub(super) fn read(&self) -> Cost {
        Cost {
            memory_bytes: peak_bytes(self.pid).saturating_sub(self.rss_bytes),
            cpu_seconds: cpu_seconds(self.pid) - self.cpu_seconds,
        }
    }
}

fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has memory");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib * 1024
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // Behind the name in brackets, which may hold spaces: utime and stime are the 14th and 15th of proc(5).
    let (_, behind) = stat.rsplit_once(')').expect("the name is in brackets");
    let ticks = behind.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("a number of ticks")).sum::<f64>() / TICKS_PER_SECOND
}
