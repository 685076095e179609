//! A private PostgreSQL.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::{account::Account, databases::Databases, server_process::ServerProcess};

/// What every server gets unless a test says otherwise.
///
/// Durability is left as PostgreSQL ships it, on: the product refuses a server where it is off, and tests
/// of what survives a crash would prove nothing.
pub(crate) const SETTINGS: [(&str, &str); 3] =
    [("max_connections", "200"), ("shared_buffers", "128MB"), ("log_min_messages", "warning")];

/// A PostgreSQL that belongs to one test, with its data in a temporary directory.
///
/// It takes connections on a Unix socket in that directory only, from the superuser `postgres`, without a
/// password. Encoding is UTF-8, collation and character classes `C.UTF-8`. Dropping it ends the server at
/// once, as a crash would, and removes the directory.
pub struct PostgresServer {
    process: ServerProcess,
    program: PathBuf,
    account: Option<Account>,
    settings: Vec<(String, String)>,
    databases: Databases,
}

impl PostgresServer {
    /// Starts a server with durable settings.
    ///
    /// # Errors
    /// When the programs of PostgreSQL are not installed, or do not run here.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with these settings of `postgresql.conf` in addition, such as `("fsync", "off")`.
    ///
    /// # Errors
    /// As [`start`](Self::start), and when the server refuses a setting.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let programs = programs()?;
        let account = Account::instead_of_root()?;
        // SIGQUIT is an immediate shutdown: the server ends its own children, then itself.
        let process = ServerProcess::new(Signal::QUIT)?;
        if let Some(account) = account {
            account.own(process.directory())?;
        }
        let socket = process.directory().display();
        let databases = Databases::at(&format!("postgres://postgres@localhost:5432/postgres?host={socket}"))?;
        let settings = SETTINGS.iter().chain(settings);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let program = programs.join("postgres");
        let mut server = Self { process, program, account, settings, databases };
        server.initialise(&programs.join("initdb"))?;
        server.restart()?;
        Ok(server)
    }

    /// Where to connect to the database `name`: `postgres://…?host=<directory of the socket>`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        self.databases.url(name)
    }

    /// All that can be done with the databases of this server.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Makes an empty database and answers with its URL.
    ///
    /// # Errors
    /// See [`Databases::create`].
    pub fn create_database(&self, name: &str) -> Result<String> {
        self.databases.create(name)?;
        Ok(self.url(name))
    }

    /// Makes a copy of the database `template` and answers with its URL.
    ///
    /// # Errors
    /// See [`Databases::create_from`].
    pub fn create_database_from(&self, name: &str, template: &str) -> Result<String> {
        self.databases.create_from(name, template)?;
        Ok(self.url(name))
    }

    /// Removes a database, also while it is in use.
    ///
    /// # Errors
    /// See [`Databases::drop`].
    pub fn drop_database(&self, name: &str) -> Result<()> {
        self.databases.drop(name)
    }

    /// The process id of the postmaster, or `None` while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Where the data is. The directory above it has the socket and the file `log`.
    #[must_use]
    pub fn data_directory(&self) -> PathBuf {
        self.process.directory().join("data")
    }

    /// Ends the server as a crash would: connections break and nothing is flushed. Returns when it has ended.
    ///
    /// # Errors
    /// When the process can't be signalled.
    pub fn stop_immediate(&mut self) -> Result<()> {
        self.process.stop()
    }

    /// Starts the server on its data again, after [`stop_immediate`](Self::stop_immediate) if it still
    /// runs. Returns when it has recovered and answers, at the same URLs.
    ///
    /// # Errors
    /// When it does not come up; the text has what it logged.
    pub fn restart(&mut self) -> Result<()> {
        let mut command = self.command(&self.program);
        command.arg("-D").arg(self.data_directory());
        command.arg("-k").arg(self.process.directory());
        command.args(["-p", "5432", "-c", "listen_addresses="]);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        self.process.spawn(&mut command)?;
        let databases = &self.databases;
        let answered = self.process.wait_until_ready(|| databases.setting("data_directory"))?;
        ensure!(
            Path::new(&answered) == self.data_directory(),
            "another server answers, with its data in {answered}"
        );
        Ok(())
    }

    fn initialise(&mut self, program: &Path) -> Result<()> {
        let mut command = self.command(program);
        command.arg("--pgdata").arg(self.data_directory());
        command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]);
        // Only the empty cluster is not flushed; the server itself flushes as ever.
        command.args(["--no-sync", "--no-instructions"]);
        self.process.run(&mut command)
    }

    /// A program that runs as the right account and sees nothing of the caller's `PG…` variables.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("TZ", "UTC");
        if let Some(account) = self.account {
            account.run(&mut command);
        }
        command
    }
}

/// The directory of the programs: on the `PATH`, or else the newest of the system's packages, which keep
/// them off the `PATH`.
fn programs() -> Result<PathBuf> {
    let is_complete =
        |directory: &PathBuf| ["initdb", "postgres"].iter().all(|p| directory.join(p).is_file());
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path).find(is_complete);
    on_path.or_else(|| newest(Path::new("/usr/lib/postgresql"), is_complete)).context(
        "PostgreSQL is not installed: no `initdb` and `postgres` on the PATH or in /usr/lib/postgresql",
    )
}

/// `<root>/<highest version>/bin`, of those that fit.
fn newest(root: &Path, fits: impl Fn(&PathBuf) -> bool) -> Option<PathBuf> {
    let versions =
        fs::read_dir(root).ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let candidates = versions.map(|version: u32| (version, root.join(version.to_string()).join("bin")));
    candidates.filter(|(_, directory)| fits(directory)).max().map(|(_, directory)| directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_highest_number() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9", "15", "17", "common"] {
            fs::create_dir_all(root.path().join(name).join("bin")).unwrap();
        }
        let bin = |version: &str| Some(root.path().join(version).join("bin"));

        assert_eq!(newest(root.path(), |_| true), bin("17"));
        assert_eq!(newest(root.path(), |directory| !directory.ends_with("17/bin")), bin("15"));
        assert_eq!(newest(root.path(), |_| false), None);
        assert_eq!(newest(&root.path().join("none"), |_| true), None);
    }
}
