//! Cleaning up after a test process that could not.
//!
//! `Drop` does not run for statics, nor after a panic in a panic, nor after SIGKILL. So a shell waits on a
//! pipe that only this process can write to. However this process ends, the kernel closes the pipe, the
//! shell reads its end and cleans up. It sits in a process group of its own, so that a Ctrl-C for the
//! tests does not reach it.

use std::{
    ffi::OsStr,
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::Signal;

/// Runs when the pipe ends; `$pid` is what was written last. Arguments: the signal's number, the directory.
///
/// The wait has an end because a killed process may stay a zombie where nobody collects orphans.
const END_SERVER: &str = r#"
alive() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }
if alive; then
    kill "-$1" "$pid"
    tries=0
    while alive && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    if alive; then kill -9 "$pid"; fi
fi
rm -rf "$2"
"#;

/// A shell that ends a server and removes its directory once this value, or this process, is gone.
pub(crate) struct Watchdog {
    shell: Child,
    /// Taken by `drop`, which is what closes it.
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Looks after a directory, and after the server whose pid [`watch`](Self::watch) is told.
    pub(crate) fn over_server(signal: Signal, directory: &OsStr) -> Result<Self> {
        Self::start(END_SERVER, &[OsStr::new(&signal.as_raw().to_string()), directory])
    }

    /// Looks after a container.
    #[cfg(feature = "docker")]
    pub(crate) fn over_container(id: &str) -> Result<Self> {
        Self::start(r#"docker rm --force --volumes "$1""#, &[OsStr::new(id)])
    }

    fn start(last: &str, arguments: &[&OsStr]) -> Result<Self> {
        let script = format!("pid=\nwhile read -r line; do pid=$line; done\n{last}");
        let mut shell = Command::new("sh")
            .args(["-c", &script, "watchdog"])
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            // An inherited pipe would keep whoever reads the output of the tests waiting.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting a shell")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Tells which process to end; `None` after it has ended, as its pid may then belong to another.
    pub(crate) fn watch(&mut self, pid: Option<u32>) -> Result<()> {
        let pipe = self.pipe.as_mut().expect("only `drop` takes the pipe");
        let line = pid.map_or_else(|| "\n".to_owned(), |pid| format!("{pid}\n"));
        pipe.write_all(line.as_bytes()).context("the watchdog has ended")
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The clean-up is over when this returns. A shell that is gone has nothing left to wait for.
        _ = self.shell.wait();
    }
}
