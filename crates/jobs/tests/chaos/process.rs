//! A worker process: started, hit, drained.

use std::{
    io::Read as _,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::worker;

/// A process of four workers. It is killed when this is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts one under a name that none had before, and waits until it works.
    pub(crate) fn start(url: &str) -> Result<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let name = format!("worker-{}", STARTED.fetch_add(1, Relaxed));
        let program = std::env::current_exe().context("finding this program")?;
        let mut child = Command::new(program)
            .args([worker::MODE, url, &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a worker")?;
        let mut ready = [0];
        let stdout = child.stdout.as_mut().expect("it is piped");
        let read = stdout.read(&mut ready).context("waiting for a worker")?;
        let process = Self { child, name };
        ensure!(read == 1, "{} ended at once", process.name);
        Ok(process)
    }

    /// What its connections are called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill().context("killing a worker")?;
        self.child.wait().context("waiting for a worker")?;
        Ok(())
    }

    pub(crate) fn stop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    pub(crate) fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Lets it end: it drains when its input does.
    pub(crate) fn drain(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().context("waiting for a worker")?;
        ensure!(status.success(), "a worker ended with {status}");
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("sending a signal")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when it has ended, which is as well.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
