//! One running server.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::sandbox;

/// Debug builds on a busy machine, with every migration to run, need a while.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Longer than the server gives itself to finish what it has begun.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(5);

/// A server that was started. Dropping it stops it and checks what it logged.
pub struct Process {
    child: Mutex<Option<Child>>,
    pid: u32,
    address: SocketAddr,
    files: Files,
}

/// Where its output goes.
#[derive(Clone)]
struct Files {
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a server and waits until it listens.
    ///
    /// # Panics
    /// When it does not come to listen; the text has what it said.
    pub async fn start(mut command: Command, directory: &Path) -> Self {
        let name = crate::unique("server");
        let file = |suffix: &str| directory.join(format!("{name}.{suffix}"));
        let files = Files { stdout: file("out"), stderr: file("log") };
        let address_file = file("address");
        command.env("PULSESTREAM_SERVER__ADDRESS_FILE", &address_file);
        command.stdin(Stdio::null());
        command.stdout(File::create_new(&files.stdout).expect("the name is new"));
        command.stderr(File::create_new(&files.stderr).expect("the name is new"));
        let mut child = command.spawn().expect("the binary runs");
        let pid = child.id();
        sandbox::add_process(pid);

        let deadline = Instant::now() + START_PATIENCE;
        let address = loop {
            if let Some(address) = listening(&address_file) {
                break address;
            }
            let ended = child.try_wait().expect("it is a child");
            if ended.is_some() || Instant::now() > deadline {
                _ = child.kill();
                sandbox::remove_process(pid);
                panic!("the server does not start ({ended:?}):\n{}", files.text());
            }
            tokio::time::sleep(POLL).await;
        };
        Self { child: Mutex::new(Some(child)), pid, address, files }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id, also after it has ended.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has not ended yet.
    pub fn is_running(&self) -> bool {
        self.child().as_mut().is_some_and(|child| child.try_wait().expect("it is a child").is_none())
    }

    /// What it printed for people.
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.files.stdout).expect("the file was made at the start")
    }

    /// What it logged, as text.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.files.stderr).expect("the file was made at the start")
    }

    /// What it logged, each line read as JSON.
    ///
    /// # Panics
    /// When a line is not one JSON object.
    pub fn log_lines(&self) -> Vec<Value> {
        parse_log(&self.log()).unwrap_or_else(|broken| panic!("a log line is not one JSON object: {broken}"))
    }

    /// Sends it a signal. Nothing happens when it was stopped or killed before.
    pub fn signal(&self, signal: Signal) {
        // A child that was not waited for keeps its pid, so this can't reach a stranger.
        if let Some(child) = self.child().as_ref() {
            kill_process(Pid::from_child(child), signal).expect("it is a child");
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Asks it to end and waits until it has.
    pub fn stop(&self) -> Option<ExitStatus> {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until it has ended. `None` when somebody did so before.
    pub fn wait(&self) -> Option<ExitStatus> {
        let mut guard = self.child();
        let child = guard.as_mut()?;
        let deadline = Instant::now() + STOP_PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("it is a child") {
                break status;
            }
            if Instant::now() > deadline {
                _ = child.kill();
            }
            thread::sleep(POLL);
        };
        *guard = None;
        sandbox::remove_process(self.pid);
        Some(status)
    }

    /// The memory it has resident, in bytes.
    pub fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kib * 1024
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().expect("no holder panics")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let status = self.stop();
        if thread::panicking() {
            eprintln!("a server of the failed trial logged:\n{}", troubles(&self.log()));
            return;
        }
        let text = self.files.text();
        // No status: the trial ended it itself and has looked at how that went.
        assert!(status.is_none_or(|status| status.success()), "the server ended with {status:?}:\n{text}");
        assert!(!text.contains("panicked at"), "the server panicked:\n{text}");
        let log = self.log();
        assert!(!log.contains("ps_live_"), "the server logged an API key");
        // A killed server may have been in the middle of its last line.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        if let Err(broken) = parse_log(whole) {
            panic!("a log line is not one JSON object: {broken}");
        }
    }
}

impl Files {
    fn text(&self) -> String {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        format!("{}{}", read(&self.stdout), read(&self.stderr))
    }
}

/// The address in the file that a server writes once it listens.
fn listening(file: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(file).ok()?;
    let (_scheme, address) = text.trim().split_once("://")?;
    address.parse().ok()
}

fn parse_log(text: &str) -> Result<Vec<Value>, &str> {
    let line = |line| serde_json::from_str(line).ok().filter(Value::is_object).ok_or(line);
    text.lines().map(line).collect()
}

/// The last lines that are about more than requests that were answered.
fn troubles(log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains(r#""level":"INFO""#)).collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
