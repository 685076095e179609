//! The Python environment with what is not ours.

use std::{path::Path, process::Stdio};

use tokio::process::Command;

/// A script of the tests, with its output piped and its input held open. It is killed when it is dropped.
pub(crate) fn python(script: &str) -> Command {
    let python = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-python/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/install-test-python", python.display());
    let mut command = Command::new(python);
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}
