//! Who a server runs as.

use std::{fs, os::unix::fs::chown, os::unix::process::CommandExt, path::Path, process::Command};

use anyhow::{Context, Result};

/// A user and its main group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    user: u32,
    group: u32,
}

impl Account {
    /// The account to become when this process is root, which PostgreSQL refuses to run as: `postgres`, or
    /// else `nobody`. `None` when this process is an ordinary user already.
    pub(crate) fn instead_of_root() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        Self::find(&accounts, "postgres")
            .or_else(|| Self::find(&accounts, "nobody"))
            .context("PostgreSQL does not run as root, and there is no account `postgres` or `nobody`")
            .map(Some)
    }

    /// The account of this name in the text of passwd(5).
    fn find(accounts: &str, name: &str) -> Option<Self> {
        let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
        fields.filter(|fields| fields.first() == Some(&name)).find_map(|fields| {
            let id = |index: usize| fields.get(index)?.parse().ok();
            Some(Self { user: id(2)?, group: id(3)? })
        })
    }

    /// Gives a directory to this account.
    pub(crate) fn own(self, directory: &Path) -> Result<()> {
        chown(directory, Some(self.user), Some(self.group))
            .with_context(|| format!("changing the owner of {}", directory.display()))
    }

    /// Makes a command run as this account.
    pub(crate) fn run(self, command: &mut Command) {
        command.uid(self.user).gid(self.group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\n\nnot:enough\nnobody2:x:9:9::/:/bin/false\n\
                        nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\nbad:x:one:2::/:\n";
        for (name, expected) in [
            ("nobody", Some(Account { user: 65_534, group: 65_533 })),
            ("root", Some(Account { user: 0, group: 0 })),
            ("bad", None),
            ("not", None),
            ("postgres", None),
        ] {
            assert_eq!(Account::find(accounts, name), expected, "{name}");
        }
    }
}
