//! What a backup says about itself.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use pulsestream_storage::Inventory;
use serde::{Deserialize, Serialize};

const FILE: &str = "manifest.json";
/// The one form of backups so far.
const FORMAT: u32 = 1;

/// What is in a backup. Whatever of it is not so makes the backup unusable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// The version of the program that made it.
    pub(crate) version: String,
    /// `postgres` or `sqlite`; the one can't be restored into the other.
    pub(crate) database: String,
    /// What was acknowledged before this, in RFC 3339, is in it.
    pub(crate) began_at: String,
    /// The file beside this one that has everything.
    pub(crate) file: String,
    /// How long that is.
    pub(crate) bytes: u64,
    /// Its BLAKE3.
    pub(crate) blake3: String,
    /// What is in it.
    pub(crate) inventory: Inventory,
}

impl Manifest {
    /// That of a backup that this program makes.
    pub(crate) fn new(database: &str, began_at: String, file: &str, inventory: Inventory) -> Self {
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            database: database.to_owned(),
            began_at,
            file: file.to_owned(),
            bytes: 0,
            blake3: String::new(),
            inventory,
        }
    }

    /// How many events there are.
    pub(crate) fn events(&self) -> u64 {
        self.inventory.rows.get("events").copied().unwrap_or(0)
    }

    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing the manifest")?;
        super::files::write_new(&directory.join(FILE), text.as_bytes())
    }

    /// Reads it, and makes sure that it is one of this program's.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let is_a_part = || format!("{} is damaged, or of a later version", path.display());
        let manifest: Self = serde_json::from_str(&text).with_context(is_a_part)?;
        ensure!(manifest.format == FORMAT, "{} has the form {}", path.display(), manifest.format);
        // It names a file beside it and nothing else on this machine.
        ensure!(
            [super::SQLITE_FILE, super::POSTGRES_FILE].contains(&manifest.file.as_str()),
            "{} names an unknown file",
            path.display()
        );
        Ok(manifest)
    }
}
