//! A Redis server of the test's own, on a unix socket, gone with the test.

use std::{
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) struct PrivateRedis {
    folder: TempDir,
    process: Option<Child>,
}

impl PrivateRedis {
    /// Starts one that keeps nothing on disk. Without a `redis-server` to start, the test fails.
    pub(crate) fn start() -> Self {
        let mut redis = Self::not_started();
        redis.revive();
        redis
    }

    /// An address where no server is yet.
    pub(crate) fn not_started() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder"), process: None }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Starts a server, which knows nothing of an earlier one.
    pub(crate) fn revive(&mut self) {
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"])
            .args(["--unixsocket".as_ref(), self.socket().as_os_str()])
            .args(["--dir".as_ref(), self.folder.path().as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        self.process = Some(process);
        wait_until(Duration::from_secs(10), || UnixStream::connect(self.socket()).is_ok());
    }

    /// Ends the server as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the server was running");
            process.wait().expect("the server ended");
            let _ = std::fs::remove_file(self.socket());
        }
    }

    /// Lets the server accept connections and answer nothing.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().expect("the server is running").id();
        assert!(Command::new("kill").args([signal, &pid.to_string()]).status().expect("kill runs").success());
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("redis.sock")
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Polls until it holds, and fails the test if that takes too long.
pub(crate) fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}");
        sleep(Duration::from_millis(5));
    }
}
