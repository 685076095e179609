//! The program under test.

use std::{env, path::PathBuf, process::Command, sync::LazyLock};

/// Names the binary to test; without it, one is built next to the tests.
pub const BINARY: &str = "PULSESTREAM_TEST_BIN";

static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings file to name a program in")]
    let named = env::var(BINARY).ok().filter(|path| !path.is_empty());
    named.map_or_else(build, PathBuf::from)
});

/// Where it is. Builds it the first time, if none is named.
pub fn path() -> &'static PathBuf {
    &PATH
}

fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "pulsestream-server"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // `<target>/<profile>/deps/<this program>`
    let tests = env::current_exe().expect("a program has a path");
    let directory = tests.ancestors().nth(2).expect("cargo puts tests two folders deep");
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs, as it has built this");
    assert!(status.success(), "the server does not build");
    directory.join("pulsestream")
}
