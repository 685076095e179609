//! The schema goes up and down, and keeps its rules.

use std::time::{Duration, Instant};

use pulsestream_storage::{Database, OpenError, Store};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait as _};
use tokio::task::JoinSet;

use crate::support::{Fresh, on_both};

on_both!(
    steps_go_up_down_and_up_again,
    several_instances_may_migrate_at_once,
    every_key_of_a_tenant_owned_table_starts_with_the_tenant,
    a_newer_schema_is_worked_on,
    steps_of_something_else_are_refused,
);

fn steps() -> u32 {
    pulsestream_migration::steps().try_into().unwrap()
}

async fn connect(fresh: &Fresh) -> DatabaseConnection {
    sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap()
}

async fn strings(db: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn steps_go_up_down_and_up_again(fresh: &Fresh) {
    let db = connect(fresh).await;
    let tables = match fresh.store.database() {
        Database::Postgres => "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
        Database::Sqlite => "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'",
    };
    let before = strings(&db, tables).await;
    assert_eq!(fresh.store.pending_migrations().await.unwrap(), 0);

    pulsestream_migration::down(&db, steps()).await.unwrap();

    assert_eq!(strings(&db, tables).await, ["seaql_migrations"]);
    assert_eq!(fresh.store.pending_migrations().await.unwrap(), steps() as usize);
    fresh.store.migrate().await.unwrap();
    fresh.store.migrate().await.unwrap();
    let (mut before, mut after) = (before, strings(&db, tables).await);
    before.sort();
    after.sort();
    assert_eq!(after, before);
}

async fn several_instances_may_migrate_at_once(fresh: &Fresh) {
    pulsestream_migration::down(&connect(fresh).await, steps()).await.unwrap();
    let mut instances = JoinSet::new();
    for _ in 0..8 {
        let settings = fresh.settings.clone();
        instances.spawn(async move { Store::connect(&settings).await.unwrap().migrate().await });
    }

    for migrated in instances.join_all().await {
        migrated.unwrap();
    }
    assert_eq!(fresh.store.pending_migrations().await.unwrap(), 0);
}

/// First columns of keys, as `table.index: column`.
const POSTGRES_KEYS: &str = "
SELECT format('%s.%s: %s', c.relname, i.relname, a.attname)
FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]
WHERE n.nspname = 'public' AND x.indisunique
  AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')
UNION ALL
SELECT format('%s.%s: %s', c.relname, k.conname, a.attname)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
WHERE k.contype = 'f'
  AND EXISTS (SELECT FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attname = 'tenant_id')
ORDER BY 1";

const SQLITE_KEYS: &str = "
SELECT t.name || '.' || i.name || ': ' || (SELECT c.name FROM pragma_index_info(i.name) c WHERE c.seqno = 0)
FROM sqlite_schema t JOIN pragma_index_list(t.name) i
WHERE t.type = 'table' AND i.\"unique\"
  AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) c WHERE c.name = 'tenant_id')
UNION ALL
SELECT t.name || '.foreign_key: ' || f.\"from\"
FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f
WHERE t.type = 'table' AND f.seq = 0
  AND EXISTS (SELECT 1 FROM pragma_table_info(t.name) c WHERE c.name = 'tenant_id')
ORDER BY 1";

async fn every_key_of_a_tenant_owned_table_starts_with_the_tenant(fresh: &Fresh) {
    let sql = match fresh.store.database() {
        Database::Postgres => POSTGRES_KEYS,
        Database::Sqlite => SQLITE_KEYS,
    };
    let keys = strings(&connect(fresh).await, sql).await;

    let exceptions: Vec<&String> = keys.iter().filter(|key| !key.ends_with(": tenant_id")).collect();

    assert!(keys.len() > 10, "{keys:?}");
    // A request presents a key id before anybody knows whose it is.
    assert_eq!(exceptions, ["api_keys.api_keys_id: id"]);
}

async fn note_step(fresh: &Fresh, name: &str) {
    let step = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
    connect(fresh).await.execute_unprepared(&step).await.unwrap();
}

async fn a_newer_schema_is_worked_on(fresh: &Fresh) {
    note_step(fresh, "m29991231_000001_later").await;

    fresh.store.migrate().await.unwrap();

    assert_eq!(fresh.store.pending_migrations().await.unwrap(), 0);
    assert_eq!(fresh.store.steps_ahead().await.unwrap(), ["m29991231_000001_later"]);
}

async fn steps_of_something_else_are_refused(fresh: &Fresh) {
    note_step(fresh, "m20200101_000001_earlier").await;

    assert!(matches!(fresh.store.migrate().await, Err(OpenError::Migration(_))));
    assert!(fresh.store.pending_migrations().await.is_err());
}

#[tokio::test]
async fn a_step_that_meets_a_lock_gives_up_and_can_be_done_again() {
    let fresh = Fresh::postgres().await;
    let db = connect(&fresh).await;
    // The step after these changes a table that is there.
    let pending = steps() - 12;
    pulsestream_migration::down(&db, pending).await.unwrap();
    // A look that somebody forgot to end.
    let forgotten = db.begin().await.unwrap();
    forgotten.execute_unprepared("SELECT 1 FROM api_keys").await.unwrap();
    let begun = Instant::now();

    let refused = fresh.store.migrate().await;

    assert!(matches!(refused, Err(OpenError::SchemaLocked(_))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(fresh.store.pending_migrations().await.unwrap(), pending as usize);
    forgotten.rollback().await.unwrap();
    fresh.store.migrate().await.unwrap();
    assert_eq!(fresh.store.pending_migrations().await.unwrap(), 0);
}
