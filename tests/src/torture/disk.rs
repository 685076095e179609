//! A disk of its own, which can be full.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use rustix::{fs::statvfs, process::geteuid};

use crate::sandbox;

/// How often it is made smaller, while somebody goes on writing.
const ATTEMPTS: usize = 100;

/// A disk in memory; gone when dropped.
pub struct Disk {
    /// Where it is.
    pub directory: PathBuf,
    bytes: u64,
}

impl Disk {
    /// Mounts one of so many bytes.
    ///
    /// # Errors
    /// When it may not, as nobody but root may.
    ///
    /// # Panics
    /// When root may not: it was robbed of that on purpose, and nothing is to be left out unnoticed.
    pub fn mount(bytes: u64) -> Result<Self, String> {
        let disk = Self { directory: sandbox::directory(), bytes };
        let size = format!("size={bytes}");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&disk.directory).status();
        if status.as_ref().is_ok_and(ExitStatus::success) {
            return Ok(disk);
        }
        let why = format!("a disk of its own needs the right to mount: {status:?}");
        assert!(!geteuid().is_root(), "{why}");
        Err(why)
    }

    /// Leaves no byte.
    ///
    /// # Panics
    /// When the disk can't be changed.
    pub fn fill(&self) {
        for _ in 0..ATTEMPTS {
            let usage = statvfs(&self.directory).expect("it is mounted");
            let used = (usage.f_blocks - usage.f_bfree) * usage.f_frsize;
            // One that grew meanwhile can't be made so small.
            if self.resize(used) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("{} can't be filled", self.directory.display());
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When the disk can't be changed.
    pub fn free(&self) {
        assert!(self.resize(self.bytes), "{} can't be freed", self.directory.display());
    }

    fn resize(&self, bytes: u64) -> bool {
        let options = format!("remount,size={bytes}");
        let output = Command::new("mount").args(["-o", &options]).arg(&self.directory).output();
        output.expect("it was mounted with it").status.success()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.directory);
    }
}

fn unmount(directory: &Path) {
    // Lazily: a server that is about to end may still have a file open.
    _ = Command::new("umount").arg("-l").arg(directory).status();
}
