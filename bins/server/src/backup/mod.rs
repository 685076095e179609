//! Backups: a directory with a copy of the store, and a manifest that says what is in it.
//!
//! A backup is of one moment, while servers go on reading and writing. It appears under its name only when it is whole and on
//! the disk. Restoring compares everything with the manifest, and only ever fills a store that is empty.

mod files;
mod manifest;
mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use pulsestream_storage::{Database, Inventory, Store, examine_copy, sqlite_file};

use crate::{compose, settings::Settings};
use files::Unfinished;
pub(crate) use manifest::Manifest;
use programs::Programs;

const SQLITE_FILE: &str = "store.db";
const POSTGRES_FILE: &str = "store.dump";

/// Makes a backup of the store that the settings name. Everything acknowledged before this is called is in it.
///
/// # Errors
/// When it can't be made; then nothing of it is left.
pub(crate) async fn make(settings: &Settings, directory: &Path) -> Result<Manifest> {
    ensure!(!directory.exists(), "{} is there already", directory.display());
    let unfinished = Unfinished::beside(directory)?;
    let began_at = compose::clock().now().to_string();
    let store = compose::connect(settings).await?;
    let database = store.database();
    let file = file_of(database);
    let path = unfinished.path().join(file);
    let inventory = match database {
        Database::Sqlite => copy_sqlite(&store, &path).await?,
        Database::Postgres => dump_postgres(&store, settings, &path).await?,
    };
    store.close().await;
    ensure!(!inventory.schema.is_empty(), "there is nothing to back up: no server has used this store yet");
    files::flush(&path)?;
    let mut manifest = Manifest::new(database.as_str(), began_at, file, inventory);
    (manifest.bytes, manifest.blake3) = files::digest(&path)?;
    manifest.write(unfinished.path())?;
    unfinished.finish()?;
    Ok(manifest)
}

/// Makes sure that a backup is as it was made.
///
/// # Errors
/// When it is not; the text says in what.
pub(crate) async fn verify(directory: &Path) -> Result<Manifest> {
    let manifest = Manifest::read(directory)?;
    let file = directory.join(&manifest.file);
    is_unchanged(&manifest, files::digest(&file)?)?;
    if manifest.database == Database::Sqlite.as_str() {
        is_complete(&manifest, &examine(&file).await?)?;
    }
    Ok(manifest)
}

/// Fills the empty store that the settings name from a backup.
///
/// # Errors
/// When the backup is not as it was made, or is of a later release; when the store is of another kind, or not empty. The store
/// is as it was then.
pub(crate) async fn restore(settings: &Settings, directory: &Path) -> Result<Manifest> {
    let manifest = verify(directory).await?;
    let unknown = manifest.inventory.unknown_steps();
    ensure!(
        unknown.is_empty(),
        "the backup was made by version {}, whose schema this one does not know: use that one, or a later one",
        manifest.version
    );
    let url = compose::database_url(&settings.database)?;
    let database = if url.starts_with("sqlite:") { Database::Sqlite } else { Database::Postgres };
    ensure!(
        manifest.database == database.as_str(),
        "the backup is of a {} and database.url names a {}",
        manifest.database,
        database.as_str()
    );
    let file = directory.join(&manifest.file);
    match database {
        Database::Sqlite => {
            restore_sqlite(&manifest, &file, &sqlite_file(&url).context("database.url")?).await?
        }
        Database::Postgres => restore_postgres(&manifest, settings, &url, &file).await?,
    }
    Ok(manifest)
}

fn file_of(database: Database) -> &'static str {
    match database {
        Database::Sqlite => SQLITE_FILE,
        Database::Postgres => POSTGRES_FILE,
    }
}

async fn copy_sqlite(store: &Store, path: &Path) -> Result<Inventory> {
    // For this user alone, before there is anything to see.
    files::write_new(path, &[])?;
    store.copy_to(path).await.context("copying the store")?;
    examine(path).await.context("the store")
}

async fn dump_postgres(store: &Store, settings: &Settings, path: &Path) -> Result<Inventory> {
    let url = compose::database_url(&settings.database)?;
    let programs = Programs::of(settings.database.programs.as_deref(), &url).context("database.url")?;
    files::write_new(path, &[])?;
    let moment = store.hold().await.context("counting what is there")?;
    programs.dump(&moment, path).await?;
    let inventory = moment.inventory().clone();
    moment.release().await.context("the moment of the backup was lost")?;
    Ok(inventory)
}

async fn restore_sqlite(manifest: &Manifest, file: &Path, target: &Path) -> Result<()> {
    compose::make_directory(&files::parent(target)).context("database.data_dir")?;
    let beside = |suffix: &str| {
        let mut name = target.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    // What is left of an earlier store would be taken for a part of this one.
    for path in [target.to_owned(), beside("-wal"), beside("-shm"), beside("-journal")] {
        ensure!(!path.exists(), "{} is there already: only an empty store is restored into", path.display());
    }
    let unfinished = beside(&format!(".{}.unfinished", std::process::id()));
    let restored = async {
        is_unchanged(manifest, files::copy_new(file, &unfinished)?)?;
        is_complete(manifest, &examine(&unfinished).await?)?;
        // Unlike a rename it fails when somebody was faster.
        fs::hard_link(&unfinished, target).with_context(|| format!("making {}", target.display()))
    };
    let restored = restored.await;
    // It may not have been made; what matters was told.
    drop(fs::remove_file(&unfinished));
    restored?;
    files::flush(&files::parent(target))
}

async fn restore_postgres(manifest: &Manifest, settings: &Settings, url: &str, file: &Path) -> Result<()> {
    let programs = Programs::of(settings.database.programs.as_deref(), url).context("database.url")?;
    let store = compose::connect(settings).await?;
    let before = store.inventory().await.context("looking at the store")?;
    ensure!(before.is_empty(), "the database has tables already: only an empty store is restored into");
    programs.restore(file).await?;
    is_complete(manifest, &store.inventory().await.context("counting what is there")?)?;
    store.analyze().await.context("looking at what was restored")?;
    store.close().await;
    Ok(())
}

async fn examine(file: &Path) -> Result<Inventory> {
    examine_copy(file).await.with_context(|| file.display().to_string())
}

fn is_unchanged(manifest: &Manifest, (bytes, blake3): (u64, String)) -> Result<()> {
    #[cfg(feature = "sabotage")]
    if pulsestream_sabotage::is_broken("backup_unchecked") {
        return Ok(());
    }
    if bytes != manifest.bytes {
        bail!("{} has {bytes} bytes, and had {} when it was made", manifest.file, manifest.bytes);
    }
    ensure!(blake3 == manifest.blake3, "{} was changed after it was made", manifest.file);
    Ok(())
}

fn is_complete(manifest: &Manifest, found: &Inventory) -> Result<()> {
    ensure!(found.schema == manifest.inventory.schema, "the schema is not that of the manifest");
    for (table, rows) in &manifest.inventory.rows {
        let found = found.rows.get(table).copied().unwrap_or(0);
        ensure!(found == *rows, "{table} has {found} rows, and had {rows} when the backup was made");
    }
    Ok(())
}
