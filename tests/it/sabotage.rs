//! The hooks that break the service on purpose are in no build that ships.

use std::{
    fs,
    process::{Command, Stdio},
};

use pulsestream_tests::{Trial, binary, once};

pub(crate) fn trials() -> Vec<Trial> {
    once![the_product_has_no_hooks, the_product_does_not_depend_on_the_hooks]
}

async fn the_product_has_no_hooks() {
    let product = fs::read(binary::path()).expect("it is built");
    let product = String::from_utf8_lossy(&product);
    let holds = |text: &str| product.contains(text);
    assert!(holds("limiter_fallback_active"), "texts of the product can be found in it");
    assert!(!holds("is nothing to break"), "the crate of the hooks is in the product");
    // A hook of each of the crates that have them.
    for hook in ["answer_before_commit", "check_then_insert", "limiter_fails_open", "body_without_deadline"] {
        assert!(pulsestream_sabotage::MUTANTS.iter().any(|(mutant, _)| *mutant == hook), "{hook} is gone");
        assert!(!holds(hook), "{hook} is in the product");
    }
}

async fn the_product_does_not_depend_on_the_hooks() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "-p",
        "pulsestream-server",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--locked",
        "--offline",
    ]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    let output = cargo.output().expect("cargo runs, as it has built this");
    let tree = String::from_utf8(output.stdout).expect("cargo prints text");
    assert!(tree.contains("pulsestream-storage"), "{tree}");
    assert!(!tree.contains("pulsestream-sabotage"), "{tree}");
}
