//! Every row of the tables of bad credentials (A) and bad settings (C) has something that proves it.

use std::{collections::BTreeSet, fs, path::Path};

use pulsestream_tests::{Trial, once};
use serde_json::Value;

/// A row, what it is about, and the trials and cases of `corpus/A.json` that prove it. A case stands for all whose
/// ids begin with it.
///
/// Where ours answers otherwise than one would expect of a service in general, `corpus/A.json` and the trials say so:
/// a password over 1,024 bytes is a 422 (A15); there is no public key that a token could be signed with (A9); bad
/// credentials of any kind are one and the same 401 `unauthenticated` (A4); a server without TLS on a public address
/// starts and warns, as it may be behind a proxy (C1).
const ROWS: [(&str, &str, &[&str]); 16] = [
    (
        "A1",
        "no credentials, an empty one, another scheme",
        &["A1", "credentials::strangers_all_get_the_same_answer"],
    ),
    (
        "A2",
        "a key with one character changed, without a query",
        &["A2", "corpus::a_key_that_can_be_none_is_refused_without_asking_the_database"],
    ),
    (
        "A3",
        "an unknown key with a good checksum, in similar time",
        &["A3", "credentials::how_long_a_refusal_takes_tells_nothing_of_a_key"],
    ),
    (
        "A4",
        "a revoked and an expired key",
        &[
            "A4",
            "credentials::strangers_all_get_the_same_answer",
            "matrix::no_credential_does_more_or_less_than_the_table_says",
        ],
    ),
    ("A5", "an Authorization of 1 MiB", &["A5"]),
    ("A6", "a key in the address or the body", &["A6"]),
    ("A7", "two credentials that differ", &["A7"]),
    (
        "A8",
        "a scope that is not enough",
        &["A8", "matrix::no_credential_does_more_or_less_than_the_table_says"],
    ),
    ("A9", "tokens with another header", &["identity::tokens_that_are_not_ours_open_nothing"]),
    (
        "A10",
        "tokens of another time, issuer, audience or kind",
        &[
            "identity::tokens_that_are_not_ours_open_nothing",
            "identity::a_token_is_good_from_a_minute_before_to_a_minute_after_its_time",
        ],
    ),
    (
        "A11",
        "tokens at the edge of their time, and without an end",
        &["identity::a_token_is_good_from_a_minute_before_to_a_minute_after_its_time"],
    ),
    ("A12", "a kid that is a path or an injection", &["identity::tokens_that_are_not_ours_open_nothing"]),
    (
        "A13",
        "another tenant's object, a missing one, a malformed id",
        &["matrix::no_credential_does_more_or_less_than_the_table_says"],
    ),
    (
        "A14",
        "many wrong logins at one account, and from one address",
        &[
            "identity::wrong_passwords_hold_an_account_up_on_every_instance_that_shares_a_limiter",
            "identity::many_accounts_from_one_address_are_held_up",
        ],
    ),
    (
        "A15",
        "a password of a mebibyte",
        &["identity::a_password_of_a_mebibyte_is_refused_before_it_is_hashed"],
    ),
    (
        "C1",
        "settings that no server should start with",
        &[
            "startup::bad_settings_are_refused_in_one_line",
            "startup::a_tenant_without_a_limit_is_refused",
            "startup::postgres_needs_a_secret_and_sqlite_keeps_its_own",
            "startup::databases_that_could_lose_events_are_refused",
        ],
    ),
];

/// `trials` are all others of the run.
pub(crate) fn trials(trials: &[Trial]) -> Vec<Trial> {
    let names: BTreeSet<String> = trials.iter().map(|trial| trial.name().to_owned()).collect();
    NAMES.set(names).expect("the trials are listed once");
    once![every_row_of_tables_a_and_c_is_proven]
}

static NAMES: std::sync::OnceLock<BTreeSet<String>> = std::sync::OnceLock::new();

async fn every_row_of_tables_a_and_c_is_proven() {
    let names = NAMES.get().expect("the trials are listed");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/A.json");
    let table: Value = serde_json::from_slice(&fs::read(file).expect("it is there")).expect("JSON");
    let cases: Vec<&str> =
        table["cases"].as_array().expect("cases").iter().filter_map(|case| case["id"].as_str()).collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|(row, ..)| *row).collect();
    let expected: BTreeSet<String> =
        (1..=15).map(|number| format!("A{number}")).chain(["C1".to_owned()]).collect();
    assert!(rows.iter().copied().eq(expected.iter().map(String::as_str)), "{rows:?}");
    for (row, about, proofs) in ROWS {
        assert!(!proofs.is_empty(), "{row}: {about}");
        for proof in proofs {
            let is_case = |id: &&str| {
                id.strip_prefix(proof).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            };
            let is_trial = |name: &String| *name == *proof || name.starts_with(&format!("{proof}::"));
            let found = cases.iter().filter(|id| is_case(id)).count()
                + names.iter().filter(|name| is_trial(name)).count();
            assert!(found > 0, "{row} ({about}): there is no {proof}");
        }
    }
}
