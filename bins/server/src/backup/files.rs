//! Files that are whole and on the disk, or not there.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::compose::make_directory;

/// How much is read at a time.
const PART: usize = 1 << 20;

/// A directory that is still being filled, beside the place where it will be. It is removed when dropped.
pub(super) struct Unfinished {
    path: PathBuf,
    target: PathBuf,
}

impl Unfinished {
    /// Makes one, for this user alone.
    pub(super) fn beside(target: &Path) -> Result<Self> {
        let mut name = target.file_name().context("the backup needs a name")?.to_owned();
        name.push(format!(".{}.unfinished", std::process::id()));
        let path = target.with_file_name(name);
        make_directory(&path)?;
        Ok(Self { path, target: target.to_owned() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in its place, all at once.
    pub(super) fn finish(self) -> Result<()> {
        flush(&self.path)?;
        fs::rename(&self.path, &self.target)
            .with_context(|| format!("renaming {} to {}", self.path.display(), self.target.display()))?;
        flush(&parent(&self.target))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing of this name.
        drop(fs::remove_dir_all(&self.path));
    }
}

/// The directory that a path is in.
pub(super) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Has everything of a file, or the names in a directory, on the disk.
pub(super) fn flush(path: &Path) -> Result<()> {
    let flushed = File::open(path).and_then(|file| file.sync_all());
    flushed.with_context(|| format!("flushing {}", path.display()))
}

/// Writes a file that is not there yet, for this user alone.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.with_context(|| format!("writing {}", path.display()))
}

/// The length and the BLAKE3 of a file.
pub(super) fn digest(path: &Path) -> Result<(u64, String)> {
    copy(path, &mut io::sink()).with_context(|| format!("reading {}", path.display()))
}

/// Copies a file to one that is not there yet, and flushes it. Answers with the length and the BLAKE3 of what was copied.
pub(super) fn copy_new(from: &Path, to: &Path) -> Result<(u64, String)> {
    let mut copied = create(to).with_context(|| format!("writing {}", to.display()))?;
    let digest = copy(from, &mut copied).with_context(|| format!("copying to {}", to.display()))?;
    copied.sync_all().with_context(|| format!("flushing {}", to.display()))?;
    Ok(digest)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn copy(from: &Path, to: &mut impl Write) -> io::Result<(u64, String)> {
    let (mut from, mut hasher, mut bytes) = (File::open(from)?, blake3::Hasher::new(), 0);
    let mut part = vec![0; PART];
    loop {
        let length = from.read(&mut part)?;
        if length == 0 {
            return Ok((bytes, hasher.finalize().to_hex().to_string()));
        }
        hasher.update(&part[..length]);
        to.write_all(&part[..length])?;
        bytes += length as u64;
    }
}
