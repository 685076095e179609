//! A server that a run starts and ends.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// Files and connections that a part may have open at a time.
const FILES: u64 = 4_096;

/// Lets this process, and those that it starts from now on, have as many files open as are needed.
///
/// # Errors
/// When the system allows fewer.
pub(crate) fn allow_many_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= FILES) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(FILES), ..limit })
        .with_context(|| format!("allowing {FILES} open files: see `ulimit -Hn`"))
}

/// A running server. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts a server and waits for the file in which it says where it listens.
    ///
    /// # Errors
    /// When it does not come to listen.
    pub(crate) fn start(command: &mut Command, address_file: &Path) -> Result<Self> {
        // The one that a server before has left.
        _ = fs::remove_file(address_file);
        let child =
            command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        let mut process = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(text) = fs::read_to_string(address_file) {
                let address = text.trim().trim_start_matches("http://");
                process.address = address.parse().with_context(|| format!("{text:?} is no address"))?;
                return Ok(process);
            }
            let ended = process.child.try_wait().context("asking whether the server runs")?;
            ensure!(ended.is_none(), "the server ended at once: {}", ended.unwrap_or_default());
            ensure!(Instant::now() < deadline, "the server does not listen");
            thread::sleep(POLL);
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to finish what it has begun and waits until it has ended.
    ///
    /// # Errors
    /// When it takes too long, or ends with an error.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("ending the server")?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                ensure!(status.success(), "the server ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the server does not end");
            thread::sleep(POLL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After `stop` both do nothing.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
