//! The program under test.

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    sync::{LazyLock, OnceLock},
};

use pulsestream_sabotage::VARIABLE;

/// Names the binary to test; without it, one is built next to the tests.
pub const BINARY: &str = "PULSESTREAM_TEST_BIN";

/// Names one that can be broken on purpose; without it, one is built next to the tests.
pub const SABOTAGED_BINARY: &str = "PULSESTREAM_TEST_SABOTAGED_BIN";

static PATH: LazyLock<PathBuf> = LazyLock::new(|| named(BINARY).unwrap_or_else(|| build(&[])));

static SABOTAGED: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(path) = named(SABOTAGED_BINARY) {
        return path;
    }
    let built = build(&["--features", "sabotage"]);
    let path = built.with_file_name("pulsestream-sabotaged");
    // A copy beside, renamed into place: another process may be running the one before.
    let new = built.with_file_name(crate::unique("pulsestream-new"));
    fs::copy(&built, &new).expect("it was built just now");
    fs::rename(&new, &path).expect("it was copied just now");
    // What bears the product's name is the product.
    build(&[]);
    path
});

static MUTANT: OnceLock<String> = OnceLock::new();

/// Where it is. Builds it the first time, if none is named.
pub fn path() -> &'static PathBuf {
    &PATH
}

/// From now on every program of this process is this mutant.
pub fn be_mutant(name: &str) {
    MUTANT.set(name.to_owned()).expect("one process tests one mutant");
}

/// The program, seeing nothing of the environment but the search path, and doing wrong what `sabotage` says,
/// in the words of the crate of that name.
pub(crate) fn command(sabotage: Option<&str>) -> Command {
    let mutant = MUTANT.get().map(|name| format!("mutant={name}"));
    let plan: Vec<&str> = mutant.as_deref().into_iter().chain(sabotage).collect();
    let mut command = Command::new(if plan.is_empty() { &*PATH } else { &*SABOTAGED });
    command.env_clear();
    #[expect(clippy::disallowed_methods, reason = "what the program starts is found as ever")]
    command.env("PATH", env::var("PATH").unwrap_or_default());
    if !plan.is_empty() {
        command.env(VARIABLE, plan.join(","));
    }
    command
}

fn named(variable: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests have no settings file to name a program in")]
    let path = env::var(variable).ok().filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

fn build(arguments: &[&str]) -> PathBuf {
    // The one that a shell would find: it knows which toolchain goes with this workspace, also when this program
    // was not started by cargo.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "-p", "pulsestream-server"]).args(arguments);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    // `<target>/<profile>/deps/<this program>`, or without `deps` for one that is no test.
    let tests = env::current_exe().expect("a program has a path");
    let mut directory = tests.parent().expect("a program is in a folder");
    if directory.ends_with("deps") {
        directory = directory.parent().expect("cargo puts tests two folders deep");
    }
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo is on the PATH");
    assert!(status.success(), "the server does not build");
    directory.join("pulsestream")
}
