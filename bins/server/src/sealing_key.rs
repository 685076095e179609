//! The key that the secrets of channels are sealed with: set by whoever runs the service, or made and kept beside
//! SQLite.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    process,
};

use anyhow::{Context, Result, bail, ensure};
use pulsestream_notification::{Keyring, SealingKey};

use crate::{settings::Settings, tenancy};

const FILE: &str = "alerting.secret";
const MIN_BYTES: usize = 32;

/// The key of this installation.
///
/// # Errors
/// When there is none and it can't be made here: instances that share a PostgreSQL have to be given the same one.
pub(crate) fn keyring(settings: &Settings) -> Result<Keyring> {
    if let Some(secret) = settings.alerting.secret_key.reveal() {
        return Ok(Keyring::new(sealing_key(secret)));
    }
    if settings.database.url.reveal().is_some_and(|url| url.starts_with("postgres")) {
        bail!(
            "alerting.secret_key is needed with PostgreSQL: set PULSESTREAM_ALERTING__SECRET_KEY to the same 32 \
             random bytes or more on every instance, such as the output of `openssl rand -base64 32`"
        );
    }
    let directory = &settings.database.data_dir;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("database.data_dir: making the directory {}", directory.display()))?;
    let secret = kept(&directory.join(FILE)).context("database.data_dir")?;
    Ok(Keyring::new(sealing_key(&secret)))
}

/// The key that a text stands for. Its id tells it apart from others, and says nothing about it.
fn sealing_key(secret: &str) -> SealingKey {
    let derive = |context| blake3::derive_key(context, secret.as_bytes());
    let id = blake3::Hash::from_bytes(derive("pulsestream 2026 id of a sealing key")).to_hex();
    SealingKey::new(&id[..16], derive("pulsestream 2026 sealing key")).expect("hexadecimal digits are an id")
}

/// The secret in a file, which is made when it is missing. Of several processes at the same time one makes it, and
/// the others read the same.
fn kept(path: &Path) -> Result<String> {
    if !path.exists() {
        let unfinished = path.with_extension(format!("{}.new", process::id()));
        write_secret(&unfinished).with_context(|| format!("writing {}", unfinished.display()))?;
        let linked = fs::hard_link(&unfinished, path);
        fs::remove_file(&unfinished).with_context(|| format!("removing {}", unfinished.display()))?;
        if let Err(error) = linked
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(error).with_context(|| format!("writing {}", path.display()));
        }
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let secret = text.trim();
    ensure!(secret.len() >= MIN_BYTES, "{} is too short", path.display());
    Ok(secret.to_owned())
}

fn write_secret(path: &Path) -> Result<()> {
    let secret = blake3::Hash::from_bytes(tenancy::entropy().context("making a secret")?).to_hex();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all().context("flushing it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::settings::load;

    #[test]
    fn a_secret_is_made_once_for_this_user_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(FILE);
        let first = kept(&path).expect("it is made");
        assert_eq!(kept(&path).expect("it is read"), first);
        assert_eq!(first.len(), 64);
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1);
        fs::write(&path, "short").expect("it can be written");
        assert!(kept(&path).is_err());
    }

    #[test]
    fn a_shared_store_needs_a_secret_that_was_set() {
        let with = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            keyring(&load(None, pairs).expect("the settings are good"))
        };
        let url = ("DATABASE_URL", "postgres://h/d");
        let refused = with(&[url]).expect_err("there is none").to_string();
        assert!(refused.starts_with("alerting.secret_key is needed"), "{refused}");
        let secret = ("PULSESTREAM_ALERTING__SECRET_KEY", "0123456789 0123456789 0123456789");
        assert!(with(&[url, secret]).is_ok());
    }
}
