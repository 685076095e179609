//! What a server holds of the machine.

use std::{
    fs::{self, DirEntry},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::App;

/// How many sockets more than before are nobody's fault: a connection to a database may have come.
pub const SPARE_SOCKETS: usize = 2;

/// The most memory that the server ever had, in bytes.
///
/// # Panics
/// When it does not run.
pub fn peak_memory(app: &App) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", app.process().pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") * 1024
}

/// How many sockets the server has open.
pub fn sockets(app: &App) -> usize {
    let files = fs::read_dir(format!("/proc/{}/fd", app.process().pid())).into_iter().flatten().flatten();
    let is_socket = |file: &DirEntry| {
        fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    files.filter(is_socket).count()
}

/// How many sockets the server has open, once there are no more than before or after a while.
pub async fn settled_sockets(app: &App, before: usize) -> usize {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let open = sockets(app);
        if open <= before + SPARE_SOCKETS || Instant::now() > until {
            return open;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
