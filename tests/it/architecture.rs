//! The shape of the workspace: what may depend on what.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use pulsestream_tests::{Trial, once};
use serde_json::Value;

/// What each package may depend on, of this workspace. A new arrow is a decision: it is added here.
const ARROWS: [(&str, &[&str]); 16] = [
    ("domain", &[]),
    ("migration", &["sabotage"]),
    ("sabotage", &[]),
    ("notification", &["domain"]),
    ("jobs", &["domain"]),
    ("rate-limit", &["domain", "sabotage"]),
    ("identity", &["domain", "rate-limit"]),
    ("storage", &["domain", "migration", "sabotage"]),
    ("alerting", &["domain", "jobs", "notification"]),
    ("ingestion", &["domain", "rate-limit", "sabotage"]),
    (
        "api",
        &["alerting", "domain", "identity", "ingestion", "notification", "rate-limit", "sabotage", "storage"],
    ),
    (
        "server",
        &[
            "alerting",
            "api",
            "domain",
            "identity",
            "ingestion",
            "jobs",
            "migration",
            "notification",
            "rate-limit",
            "sabotage",
            "storage",
        ],
    ),
    ("example-embed", &["domain", "ingestion", "rate-limit", "storage"]),
    ("testing", &["domain"]),
    ("tests", &["sabotage", "testing"]),
    ("bench", &["alerting", "domain", "ingestion", "migration", "rate-limit", "storage", "testing"]),
];
/// What tests alone may use beside: what the queue and the alerts promise, only a real database can be held to.
const ARROWS_OF_TESTS: [(&str, &str); 2] = [("alerting", "storage"), ("jobs", "storage")];
/// Packages that never ship: anything may use them in its own tests, and they may use any driver.
const FOR_TESTS: [&str; 3] = ["testing", "tests", "bench"];

pub(crate) fn trials() -> Vec<Trial> {
    once![
        dependencies_point_down,
        only_storage_knows_sql_and_only_the_api_knows_http,
        ingestion_can_be_embedded_without_http_and_without_sql,
    ]
}

struct Package {
    name: String,
    /// Names of normal and build dependencies.
    dependencies: BTreeSet<String>,
    /// Names of dependencies of its tests.
    for_tests: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"]))
        .expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().expect("a name is a text").to_owned();
    let package = |package: &Value| {
        let (mut dependencies, mut for_tests) = (BTreeSet::new(), BTreeSet::new());
        for dependency in package["dependencies"].as_array().expect("an array") {
            let set = if dependency["kind"] == "dev" { &mut for_tests } else { &mut dependencies };
            set.insert(text(&dependency["name"]));
        }
        Package { name: short(&text(&package["name"])).to_owned(), dependencies, for_tests }
    };
    metadata["packages"].as_array().expect("an array").iter().map(package).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(arguments).args(["--locked", "--offline"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo runs, as it has built this");
    assert!(output.status.success(), "cargo {arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("cargo prints text")
}

fn short(name: &str) -> &str {
    name.strip_prefix("pulsestream-").unwrap_or(name)
}

async fn dependencies_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into();
    for package in packages() {
        let arrows = allowed.get(package.name.as_str());
        let arrows = arrows.unwrap_or_else(|| panic!("{} is new: say what it may depend on", package.name));
        let ours = |name: &&String| name.starts_with("pulsestream-");
        for dependency in package.dependencies.iter().filter(ours).map(|name| short(name)) {
            assert!(arrows.contains(&dependency), "{} must not depend on {dependency}", package.name);
        }
        for dependency in package.for_tests.iter().filter(ours).map(|name| short(name)) {
            let is_allowed = FOR_TESTS.contains(&dependency)
                || arrows.contains(&dependency)
                || ARROWS_OF_TESTS.contains(&(package.name.as_str(), dependency));
            assert!(is_allowed, "tests of {} must not depend on {dependency}", package.name);
        }
    }
}

async fn only_storage_knows_sql_and_only_the_api_knows_http() {
    for (library, owners) in [
        ("sea-orm", &["storage", "migration"][..]),
        ("sea-orm-migration", &["storage", "migration"]),
        ("sqlx", &[]),
        ("actix-web", &["api", "server"]),
        ("anyhow", &["server", "example-embed"]),
        ("figment", &["server"]),
        ("clap", &["server"]),
    ] {
        for package in packages().iter().filter(|package| !FOR_TESTS.contains(&package.name.as_str())) {
            let names_it = package.dependencies.contains(library);
            assert!(!names_it || owners.contains(&package.name.as_str()), "{} names {library}", package.name);
        }
    }
}

async fn ingestion_can_be_embedded_without_http_and_without_sql() {
    let tree = cargo(&["tree", "-p", "pulsestream-ingestion", "-e", "normal", "--prefix", "none"]);
    assert!(tree.contains("pulsestream-domain"), "{tree}");
    for library in ["actix", "sea-orm", "sqlx", "sea-query", "reqwest", "hyper", "redis", "deadpool"] {
        let found = tree.lines().find(|line| line.starts_with(library));
        assert_eq!(found, None, "{library} is below the ingestion service");
    }
}
