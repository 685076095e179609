//! Backups, made and restored with the command line.

use std::{path::Path, process::Output, sync::Arc};

use crate::{App, Combination, command, ground::Ground, process::Process};

/// Makes a backup of a server's store, with the server running or not.
pub async fn make(app: &App, directory: &Path) -> Output {
    let mut backup = command::program(app.ground(), app.settings());
    backup.arg("backup").arg(directory);
    command::output(backup).await
}

/// Makes sure that a backup is whole.
pub async fn verify(directory: &Path) -> Output {
    let mut verify = command::bare();
    verify.current_dir(directory).args(["backup", "verify", "."]);
    command::output(verify).await
}

/// A store that nobody has used yet.
pub struct EmptyStore {
    combination: Combination,
    ground: Arc<Ground>,
    settings: Vec<(String, String)>,
}

impl EmptyStore {
    /// Makes one.
    pub fn new(combination: Combination) -> Self {
        let (ground, settings) = App::builder(combination).ground();
        Self { combination, ground, settings }
    }

    /// What it is.
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// Fills it from a backup.
    pub async fn restore(&self, backup: &Path) -> Output {
        let mut restore = command::program(&self.ground, &self.settings);
        restore.arg("restore").arg(backup);
        command::output(restore).await
    }

    /// Starts a server on it.
    pub async fn start(&self) -> App {
        let command = command::serve(&self.ground, &self.settings, None);
        let process = Process::start(command, self.ground.directory()).await;
        App::new(self.combination, Arc::clone(&self.ground), self.settings.clone(), process)
    }
}

/// What a command said that was refused.
///
/// # Panics
/// When it was not, or said more than a line.
#[track_caller]
pub fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "it was not refused");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.trim_end().lines().count(), 1, "not one line: {said}");
    said
}

/// Makes sure that a command worked.
///
/// # Panics
/// When it did not.
#[track_caller]
pub fn expect_done(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
