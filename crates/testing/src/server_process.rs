//! A server and its directory, neither of which outlives the tests.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::watchdog::Watchdog;

/// How long a server may take to answer. Crash recovery on a busy disk is the slowest case.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a server may take to end before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// At most one running server in a directory of its own. Dropping it ends both.
pub(crate) struct ServerProcess {
    child: Option<Child>,
    stop: Signal,
    directory: PathBuf,
    // Last, so that it finds the server ended.
    watchdog: Watchdog,
}

impl ServerProcess {
    /// A new, empty directory, and no server yet. `stop` is the signal that ends it.
    pub(crate) fn new(stop: Signal) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("pulse-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(temporary_root())
            .context("making a temporary directory")?;
        let watchdog = Watchdog::over_server(stop, directory.path().as_os_str())?;
        // From here on the watchdog removes it. Canonical, because servers say where they are that way.
        let directory = fs::canonicalize(directory.keep()).context("finding the temporary directory")?;
        Ok(Self { child: None, stop, directory, watchdog })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Runs a program that ends by itself.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        self.spawn(command)?;
        let status = self.child.as_mut().expect("it was spawned just now").wait().context("waiting")?;
        self.forget()?;
        if !status.success() {
            bail!("{} ended with {status}:\n{}", command.get_program().display(), self.log());
        }
        Ok(())
    }

    /// Starts the server, and ends the one before if there is one. Its output goes to the file `log`.
    pub(crate) fn spawn(&mut self, command: &mut Command) -> Result<()> {
        self.stop()?;
        let log = self.open_log()?;
        command.current_dir(&self.directory).stdin(Stdio::null()).process_group(0);
        command.stdout(log.try_clone().context("sharing the log file")?).stderr(log);
        let program = command.get_program().to_owned();
        let child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let pid = child.id();
        self.child = Some(child);
        self.watchdog.watch(Some(pid))
    }

    /// Asks until the server answers.
    ///
    /// # Errors
    /// When it ends instead, or takes too long. The text has what it logged.
    pub(crate) fn wait_until_ready<T>(&mut self, ask: impl Fn() -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let error = match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let Some(status) = self.ended()? {
                self.forget()?;
                bail!("the server ended with {status}:\n{}", self.log());
            }
            if Instant::now() > deadline {
                return Err(error.context(format!("the server does not answer:\n{}", self.log())));
            }
            thread::sleep(POLL);
        }
    }

    /// Sends a signal to the running server.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        // A child that was not waited for keeps its pid, so this can't reach a stranger.
        let child = self.child.as_ref().context("the server is not running")?;
        kill_process(Pid::from_child(child), signal).context("sending a signal")
    }

    /// Ends the server, if it runs, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if self.child.is_none() {
            return Ok(());
        }
        self.signal(self.stop)?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.ended()?.is_none() {
            if Instant::now() > deadline {
                self.signal(Signal::KILL)?;
            }
            thread::sleep(POLL);
        }
        self.forget()
    }

    /// How the server ended, if it has. Reaps it.
    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.as_mut().map_or(Ok(None), Child::try_wait).context("asking whether the server runs")
    }

    fn forget(&mut self) -> Result<()> {
        self.child = None;
        self.watchdog.watch(None)
    }

    fn open_log(&self) -> Result<File> {
        let path = self.directory.join("log");
        OpenOptions::new().create(true).append(true).open(path).context("opening the log file")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("a server of the tests did not stop: {error:#}");
        }
    }
}

/// Where temporary directories go. A socket's path has 107 bytes at most (103 on some systems), and a path
/// of plain characters needs no escaping in a URL; else `/tmp`.
fn temporary_root() -> PathBuf {
    let root = std::env::temp_dir();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let path = root.as_os_str().as_encoded_bytes();
    if path.len() <= 70 && path.iter().copied().all(is_plain) { root } else { PathBuf::from("/tmp") }
}
