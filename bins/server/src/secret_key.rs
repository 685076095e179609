//! The secret that access tokens are signed with: set by whoever runs the service, or made and kept beside SQLite.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process,
};

use anyhow::{Context, Result, bail};
use pulsestream_identity::SecretKey;

use crate::{compose::make_directory, settings::Settings, tenancy};

const FILE: &str = "auth.secret";

/// The secret of this installation.
///
/// # Errors
/// When there is none and it can't be made here: instances that share a PostgreSQL have to be given the same one.
pub(crate) fn secret_key(settings: &Settings) -> Result<SecretKey> {
    if let Some(secret) = settings.auth.secret_key.reveal() {
        return secret.parse().context("auth.secret_key");
    }
    if settings.database.url.reveal().is_some_and(|url| url.starts_with("postgres")) {
        bail!(
            "auth.secret_key is needed with PostgreSQL: set PULSESTREAM_AUTH__SECRET_KEY to the same 32 random \
             bytes or more on every instance, such as the output of `openssl rand -base64 32`"
        );
    }
    let directory = &settings.database.data_dir;
    make_directory(directory).context("database.data_dir")?;
    kept(&directory.join(FILE)).context("database.data_dir")
}

/// The secret in a file, which is made when it is missing. Of several processes at the same time one makes it, and
/// the others read the same.
fn kept(path: &Path) -> Result<SecretKey> {
    let unfinished = path.with_extension(format!("{}.new", process::id()));
    if !path.exists() {
        write_secret(&unfinished).with_context(|| format!("writing {}", unfinished.display()))?;
        let linked = fs::hard_link(&unfinished, path);
        fs::remove_file(&unfinished).with_context(|| format!("removing {}", unfinished.display()))?;
        match linked {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(error).with_context(|| format!("writing {}", path.display()));
            }
            _ => {}
        }
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    text.trim().parse().with_context(|| format!("{} is too short", path.display()))
}

fn write_secret(path: &Path) -> Result<()> {
    let secret: String =
        tenancy::entropy().context("making a secret")?.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all().context("flushing it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_for_this_user_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(FILE);
        kept(&path).expect("it is made");
        let text = fs::read_to_string(&path).expect("it is there");
        kept(&path).expect("it is read");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
        assert_eq!(text.trim().len(), 64);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1);
        fs::write(&path, "short").expect("it can be written");
        assert!(kept(&path).is_err());
    }
}
