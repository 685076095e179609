//! A private Redis.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use deadpool_redis::redis::{Client, InfoDict, cmd};
use rustix::process::Signal;

use crate::server_process::ServerProcess;

/// A Redis that belongs to one test.
///
/// It takes connections on a Unix socket in a temporary directory only and keeps nothing on disk: what it
/// held is lost when it ends. Dropping it kills the server and removes the directory.
pub struct RedisServer {
    process: ServerProcess,
}

impl RedisServer {
    /// Starts an empty server.
    ///
    /// # Errors
    /// When `redis-server` is not on the `PATH`, or does not run here.
    pub fn start() -> Result<Self> {
        let mut server = Self { process: ServerProcess::new(Signal::KILL)? };
        server.restart()?;
        Ok(server)
    }

    /// Where to connect: `redis+unix://<path of the socket>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// The process id of the server, or `None` while it is killed.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Ends the server without warning. Connections break; new ones are refused.
    ///
    /// # Errors
    /// When the process can't be signalled.
    pub fn kill(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// Starts the server empty at the same URL, after [`kill`](Self::kill) if it still runs. Returns when
    /// it answers.
    ///
    /// # Errors
    /// When it does not come up; the text has what it logged.
    pub fn restart(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.arg("--unixsocket").arg(self.socket()).arg("--dir").arg(self.process.directory());
        self.process.spawn(&mut command)?;
        let url = self.url();
        let answered = self.process.wait_until_ready(|| answering_pid(&url))?;
        ensure!(Some(answered) == self.pid(), "another server answers, with process id {answered}");
        Ok(())
    }

    /// Stops the server in the middle of whatever it does (SIGSTOP): connections stay open, new ones are
    /// accepted by the kernel, and nothing is answered until [`resume`](Self::resume).
    ///
    /// # Errors
    /// When the server does not run.
    pub fn pause(&self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// Lets a paused server go on, with what was sent to it meanwhile. No effect on one that runs.
    ///
    /// # Errors
    /// When the server does not run.
    pub fn resume(&self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    fn socket(&self) -> PathBuf {
        self.process.directory().join("redis.sock")
    }
}

/// The process id of the server at `url`.
fn answering_pid(url: &str) -> Result<u32> {
    let mut connection = Client::open(url)?.get_connection()?;
    let server: InfoDict = cmd("INFO").arg("server").query(&mut connection)?;
    server.get("process_id").ok_or_else(|| anyhow::anyhow!("INFO has no process_id"))
}
