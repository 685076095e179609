//! PostgreSQL's own tools.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use percent_encoding::percent_decode_str;
use pulsestream_storage::Snapshot;
use tempfile::NamedTempFile;
use tokio::process::Command;
use url::Url;

/// `pg_dump` and `pg_restore` for one database.
pub(super) struct Programs {
    directory: Option<PathBuf>,
    /// How to reach the database, as variables: other users of this host can see the arguments of commands.
    variables: Vec<(&'static str, String)>,
}

impl Programs {
    /// Those in a directory, or else on the `PATH`.
    pub(super) fn of(directory: Option<&Path>, url: &str) -> Result<Self> {
        Ok(Self { directory: directory.map(Path::to_owned), variables: variables(url)? })
    }

    /// Copies the database, as it is at the moment of a snapshot, to a file.
    pub(super) async fn dump(&self, moment: &Snapshot, file: &Path) -> Result<()> {
        let mut command = self.command("pg_dump");
        command.args(["--format=custom", "--no-owner", "--no-privileges", "--lock-wait-timeout=30s"]);
        // The owner of the tables, too, sees what policies let through.
        command.arg("--enable-row-security").env("PGOPTIONS", moment.options());
        command.arg(format!("--snapshot={}", moment.name())).arg("--file").arg(file);
        run("pg_dump", command).await.map(|_| ())
    }

    /// Copies a file of [`dump`](Self::dump) into the database, wholly or not at all.
    ///
    /// Without what names a role: there may be none of that name. Migrating puts the wall between tenants up again.
    pub(super) async fn restore(&self, file: &Path) -> Result<()> {
        let mut command = self.command("pg_restore");
        command.arg("--list").arg(file);
        let listed = run("pg_restore", command).await?;
        let mut chosen = NamedTempFile::new().context("making a list of what to restore")?;
        for line in String::from_utf8_lossy(&listed).lines().filter(|line| !names_a_role(line)) {
            writeln!(chosen, "{line}").context("writing a list of what to restore")?;
        }

        let mut command = self.command("pg_restore");
        command.args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]);
        command.arg("--use-list").arg(chosen.path());
        // Without a name it writes SQL to its output; an empty one is that of the variables.
        command.args(["--dbname", ""]).arg(file);
        run("pg_restore", command).await.map(|_| ())
    }

    fn command(&self, name: &str) -> Command {
        let program = match &self.directory {
            Some(directory) => directory.join(name),
            None => PathBuf::from(name),
        };
        let mut command = Command::new(program);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.arg("--no-password").stdin(Stdio::null()).kill_on_drop(true);
        command
    }
}

/// What the variables of libpq have to be to reach what the URL names.
fn variables(url: &str) -> Result<Vec<(&'static str, String)>> {
    let url = Url::parse(url).context("the URL can't be read")?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut variables = vec![
        ("PGHOST", url.host_str().map(decoded).unwrap_or_default()),
        ("PGPORT", url.port().map(|port| port.to_string()).unwrap_or_default()),
        ("PGUSER", decoded(url.username())),
        ("PGPASSWORD", url.password().map(decoded).unwrap_or_default()),
        ("PGDATABASE", decoded(url.path().trim_start_matches('/'))),
    ];
    for (name, value) in url.query_pairs() {
        let variable = match &*name {
            "host" | "hostaddr" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "dbname" => "PGDATABASE",
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => "PGSSLROOTCERT",
            "sslcert" | "ssl-cert" => "PGSSLCERT",
            "sslkey" | "ssl-key" => "PGSSLKEY",
            // What a server is to do for its own connections.
            _ => continue,
        };
        variables.push((variable, value.into_owned()));
    }
    // An empty one would stand before what is in the environment or in a password file.
    variables.retain(|(_, value)| !value.is_empty());
    Ok(variables)
}

/// Whether a line of a list of contents is about a policy, or about policies being on.
///
/// It is `<number>; <catalogue> <object> <kind> <schema> <name> <owner>`; some kinds are two words.
fn names_a_role(line: &str) -> bool {
    let kind = line.splitn(4, ' ').nth(3).unwrap_or_default();
    kind.starts_with("POLICY ") || kind.starts_with("ROW SECURITY ")
}

/// Runs a tool to its end. Answers with what it wrote to its output.
async fn run(name: &'static str, mut command: Command) -> Result<Vec<u8>> {
    let output = command.output().await;
    let setting = "database.programs has to be where it is, or the PATH";
    let output = output.with_context(|| format!("{name} can't be run: {setting}"))?;
    ensure!(output.status.success(), "{name} failed: {}", last_words(&output.stderr));
    Ok(output.stdout)
}

/// What a tool said last, on one line.
fn last_words(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_url_becomes_the_variables_of_libpq() {
        let url =
            "postgres://an%40n:p%26w+d@db.example:5433/my%20events?sslmode=verify-full&application_name=x";
        let expected = [
            ("PGHOST", "db.example"),
            ("PGPORT", "5433"),
            ("PGUSER", "an@n"),
            ("PGPASSWORD", "p&w+d"),
            ("PGDATABASE", "my events"),
            ("PGSSLMODE", "verify-full"),
        ];
        assert_eq!(variables(url).expect("a URL"), expected.map(|(name, value)| (name, value.to_owned())));
        let socket =
            variables("postgres://postgres@localhost:5432/events?host=/run/postgresql").expect("a URL");
        assert_eq!(socket.last(), Some(&("PGHOST", "/run/postgresql".to_owned())));
        assert!(socket.iter().all(|(name, _)| *name != "PGPASSWORD"));
    }

    #[test]
    fn policies_are_told_from_what_is_called_like_one() {
        assert!(names_a_role("3450; 3256 16456 POLICY public events tenant_wall postgres"));
        assert!(names_a_role("3440; 0 16400 ROW SECURITY public events postgres"));
        assert!(!names_a_role("3310; 1259 16400 TABLE public POLICY postgres"));
        assert!(!names_a_role("; Archive created at 2026-11-22 07:41:39 UTC"));
    }

    #[test]
    fn no_argument_says_how_to_log_in() {
        let programs = Programs::of(None, "postgres://ann:hunter2secret@h/d").expect("a URL");
        let command =
            format!("{:?}", programs.command("pg_dump").as_std().get_args().collect::<Vec<&OsStr>>());
        assert!(!command.contains("hunter2secret"), "{command}");
    }
}
