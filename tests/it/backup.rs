//! Backups, made while others write: what was acknowledged before is in them, and what is not whole is refused.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pulsestream_tests::{
    App, Combination, Database, Trial,
    backup::{self, EmptyStore, expect_done, refusal},
    command, event_with_id,
    ledger::Ledger,
    load::Load,
    on_some, once, sandbox,
    trials::DEFAULT_CAP,
    unique,
};

/// Limits have no part in it.
const STORES: [Combination; 2] = [Combination::SQLITE, Combination::POSTGRES];

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_some![
        &STORES, within DEFAULT_CAP;
        a_backup_made_under_load_has_all_that_was_acknowledged_before_it,
        a_backup_that_is_not_as_it_was_made_is_refused,
        only_an_empty_store_is_restored_into,
    ];
    all.extend(once![a_store_that_nobody_has_used_has_no_backup, nobody_sees_how_to_log_in]);
    all
}

fn new_path() -> PathBuf {
    sandbox::directory().join("backup")
}

async fn a_backup_made_under_load_has_all_that_was_acknowledged_before_it(combination: Combination) {
    let app = App::start(combination).await;
    let (tenant, ledger) = (app.unlimited_tenant().await, Arc::new(Ledger::default()));
    let load = Load::start(&tenant.client, 4, &ledger);
    for _ in 0..20 {
        load.wait_for_success(Duration::from_secs(5)).await;
    }
    let (directory, mark) = (new_path(), ledger.acknowledged_ids());
    expect_done(&backup::make(&app, &directory).await);
    load.wait_for_success(Duration::from_secs(5)).await;
    load.stop().await;
    expect_done(&backup::verify(&directory).await);

    let store = EmptyStore::new(combination);
    expect_done(&store.restore(&directory).await);
    let restored = store.start().await;

    let rows = restored.rows(&tenant).await;
    let stored: Vec<&str> = rows.iter().filter_map(|row| row.external_id.as_deref()).collect();
    let lost: Vec<&String> = mark.iter().filter(|id| !stored.contains(&id.as_str())).collect();
    assert!(mark.len() >= 20 && lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), mark.len());
    // The key works, what is there is found, what was sent is a duplicate, and what is new is stored.
    let there = tenant.at(&restored);
    assert_eq!(there.search(&[]).await.expect(200).json()["total_count"], rows.len());
    let resent = there.send(&event_with_id(&mark[0])).await.expect(200).json();
    assert_eq!(resent["status"], "duplicate", "{resent}");
    there.send(&event_with_id(&unique("later"))).await.expect(200);
    for (path, mode) in [(directory.clone(), 0o700), (directory.join("manifest.json"), 0o600)] {
        assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, mode);
    }
}

async fn a_backup_that_is_not_as_it_was_made_is_refused(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;
    tenant.send(&event_with_id(&unique("event"))).await.expect(200);
    let directory = new_path();
    expect_done(&backup::make(&app, &directory).await);
    let name = if combination.database == Database::Sqlite { "store.db" } else { "store.dump" };
    let (file, manifest) = (directory.join(name), directory.join("manifest.json"));
    let (whole, said) = (read(&file), read(&manifest));
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    let fewer = String::from_utf8_lossy(&said).replace("\"events\": 1", "\"events\": 2").into_bytes();
    assert_ne!(fewer, said, "the manifest counts events");

    let store = EmptyStore::new(combination);
    for (case, path, bytes) in [
        ("cut in half", &file, &whole[..whole.len() / 2]),
        ("the last byte is missing", &file, &whole[..whole.len() - 1]),
        ("empty", &file, &[]),
        ("one bit is another", &file, &changed),
        ("the manifest is cut", &manifest, &said[..said.len() / 2]),
        ("it is nothing", &manifest, b"{}"),
    ] {
        let before = read(path);
        fs::write(path, bytes).expect("it is ours");
        for output in [backup::verify(&directory).await, store.restore(&directory).await] {
            let why = refusal(&output);
            let names = path.file_name().and_then(|name| name.to_str()).expect("it has a name");
            assert!(why.contains(names), "{case}: {why}");
        }
        fs::write(path, before).expect("it is ours");
    }
    if combination.database == Database::Sqlite {
        // Of a dump that shows when it has been restored.
        fs::write(&manifest, fewer).expect("it is ours");
        refusal(&backup::verify(&directory).await);
        refusal(&store.restore(&directory).await);
        fs::write(&manifest, &said).expect("it is ours");
    }
    // Nothing of all that has left anything behind.
    expect_done(&store.restore(&directory).await);
    assert_eq!(store.start().await.rows(&tenant).await.len(), 1);
}

async fn only_an_empty_store_is_restored_into(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;
    tenant.send(&event_with_id(&unique("before"))).await.expect(200);
    let directory = new_path();
    expect_done(&backup::make(&app, &directory).await);
    let again = refusal(&backup::make(&app, &directory).await);
    assert!(again.contains("is there already"), "{again}");
    tenant.send(&event_with_id(&unique("after"))).await.expect(200);

    let mut restore = command::program(app.ground(), app.settings());
    restore.arg("restore").arg(&directory);
    let why = refusal(&command::output(restore).await);

    assert!(why.contains("only an empty store"), "{why}");
    assert_eq!(app.rows(&tenant).await.len(), 2);
    tenant.send(&event_with_id(&unique("later"))).await.expect(200);
    let other = STORES.into_iter().find(|other| *other != combination).expect("there are two");
    let why = refusal(&EmptyStore::new(other).restore(&directory).await);
    assert!(why.contains("database.url"), "{why}");
}

async fn a_store_that_nobody_has_used_has_no_backup() {
    let directory = sandbox::directory();
    let mut make = command::bare();
    make.current_dir(&directory).args(["backup", "made"]);
    let why = refusal(&command::output(make).await);
    assert!(why.contains("nothing to back up"), "{why}");
    let left: Vec<_> = fs::read_dir(&directory)
        .expect("it is there")
        .map(|entry| entry.expect("it is").file_name())
        .collect();
    assert_eq!(left, ["data"]);
}

/// Other users of a host see the arguments of commands.
async fn nobody_sees_how_to_log_in() {
    let app = App::start(Combination::POSTGRES).await;
    let programs = sandbox::directory();
    let (seen, fake) = (programs.join("seen"), programs.join("pg_dump"));
    let script =
        format!("#!/bin/sh\necho \"$@\" > {}\necho \"$PGPASSWORD\" >> {0}\nexit 1\n", seen.display());
    fs::write(&fake, script).expect("it is ours");
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o700)).expect("it is ours");
    let url = app.ground().database_url();
    let (start, place) = url.split_once('@').expect("it names a user");
    let user = start.trim_start_matches("postgres://").split(':').next().expect("it names a user");
    let url = format!("postgres://{user}:hunter2secret@{place}");
    let mut make = command::program(app.ground(), app.settings());
    command::set(&mut make, "database.url", &url);
    command::set(&mut make, "database.programs", programs.to_str().expect("it is text"));
    let target = new_path();
    make.arg("backup").arg(&target);

    let why = refusal(&command::output(make).await);

    let seen = String::from_utf8(read(&seen)).expect("it is text");
    assert_eq!(seen.matches("hunter2secret").count(), 1, "{seen}");
    assert!(seen.ends_with("\nhunter2secret\n"), "it is given the password, and not by arguments: {seen}");
    assert!(why.contains("pg_dump failed") && !why.contains("hunter2secret"), "{why}");
    assert!(!target.exists());
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("it can be read")
}
