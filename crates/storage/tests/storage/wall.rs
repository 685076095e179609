//! The wall between tenants that PostgreSQL itself keeps up.

use std::collections::BTreeSet;

use pulsestream_domain::{
    identity::Role,
    job::{JobId, JobKind, NewJob},
    ports::JobQueue as _,
    tenant::TenantId,
};
use pulsestream_migration::wall::OPEN_TO_THE_OWNER;
use pulsestream_storage::{OpenError, Settings, Store};
use pulsestream_testing::shared;
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait as _,
};
use uuid::Uuid;

use crate::{
    identity::user,
    support::{Fresh, NOW, OTHER, TENANT, event, origin},
    tenants::{key, tenant},
};

async fn rows<T: sea_orm::TryGetable>(db: &impl ConnectionTrait, sql: &str) -> Vec<T> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn number(db: &impl ConnectionTrait, sql: &str) -> i64 {
    rows(db, sql).await.remove(0)
}

/// Tables that say whose their rows are, and that of the tenants.
const TENANT_TABLES: &str = "
SELECT DISTINCT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND (a.attname = 'tenant_id' OR c.relname = 'tenants') ORDER BY 1";

async fn connect(url: &str) -> DatabaseConnection {
    Database::connect(url).await.unwrap()
}

/// The role of the policies.
async fn tenant_role(db: &impl ConnectionTrait) -> String {
    let sql = "SELECT DISTINCT polroles[1]::regrole::text FROM pg_policy WHERE polname = 'tenant_wall'";
    let mut roles = rows(db, sql).await;
    assert_eq!(roles.len(), 1, "{roles:?}");
    roles.remove(0)
}

/// A transaction as the store begins it for a tenant, or for nobody.
async fn behind_the_wall(db: &DatabaseConnection, tenant_id: Option<TenantId>) -> DatabaseTransaction {
    let role = tenant_role(db).await;
    let transaction = db.begin().await.unwrap();
    transaction.execute_unprepared(&format!("SET LOCAL ROLE {role}")).await.unwrap();
    if let Some(TenantId(id)) = tenant_id {
        let set = format!("SELECT set_config('app.tenant_id', '{id}', true)");
        transaction.execute_unprepared(&set).await.unwrap();
    }
    transaction
}

/// Two tenants, each with something in every table that is simple to fill.
async fn two_tenants(fresh: &Fresh) {
    for (number, id, slug) in [(1, TENANT, "one"), (2, OTHER, "two")] {
        fresh.store.create_tenant(&tenant(id, slug), Some(&key(id, number)), &origin()).await.unwrap();
        let person = user(id, u128::from(number), "owner@example.com", Role::Owner);
        fresh.store.create_user(&person, &origin()).await.unwrap();
        fresh.store.remember_message(id, &key(id, number).id, "m", NOW).await.unwrap();
        let job = NewJob::new(id, JobId(Uuid::from_u128(9)), JobKind::named("wall"), NOW);
        fresh.store.enqueue(&[job]).await.unwrap();
        fresh.put(&[event(id, "a"), event(id, "b")]).await;
    }
}

const FILLED: [&str; 7] = ["tenants", "api_keys", "users", "seen_messages", "jobs", "events", "audit_log"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_table_of_tenants_has_the_wall_and_its_role_has_no_way_around_it() {
    let fresh = Fresh::postgres().await;
    let db = connect(&fresh.settings.url).await;
    let tables: Vec<String> = rows(&db, TENANT_TABLES).await;
    assert!(tables.len() >= 18, "{tables:?}");

    let walled = "SELECT c.relname::text FROM pg_class c JOIN pg_policy p ON p.polrelid = c.oid
                  WHERE c.relrowsecurity AND p.polname = 'tenant_wall' ORDER BY 1";
    assert_eq!(rows::<String>(&db, walled).await, tables);
    let others = "SELECT c.relname::text FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
                  WHERE p.polname <> 'tenant_wall'
                    AND NOT (p.polname = 'whole_store' AND p.polroles = ARRAY[c.relowner] AND p.polcmd = 'r')";
    assert_eq!(rows::<String>(&db, others).await, [""; 0], "no other policy lets more through");
    let forced = "SELECT relname::text FROM pg_class WHERE relforcerowsecurity ORDER BY 1";
    let forced: BTreeSet<String> = rows(&db, forced).await.into_iter().collect();
    let expected = tables.iter().filter(|table| !OPEN_TO_THE_OWNER.contains(&table.as_str()));
    assert_eq!(forced, expected.cloned().collect());

    let role = tenant_role(&db).await;
    let powers = format!(
        "SELECT rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb
         FROM pg_roles WHERE rolname = '{role}'"
    );
    assert_eq!(rows::<bool>(&db, &powers).await, [false]);
    let owned = format!("SELECT count(*) FROM pg_class WHERE relowner = '{role}'::regrole");
    assert_eq!(number(&db, &owned).await, 0);
    let groups = format!("SELECT count(*) FROM pg_auth_members WHERE member = '{role}'::regrole");
    assert_eq!(number(&db, &groups).await, 0, "it has nobody else's rights");
    assert!(fresh.store.has_wall());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_forgets_its_tenant_finds_no_others() {
    let fresh = Fresh::postgres().await;
    two_tenants(&fresh).await;
    let db = connect(&fresh.settings.url).await;
    let tables: Vec<String> = rows(&db, TENANT_TABLES).await;
    let nobody = TenantId(Uuid::from_u128(0x7777));

    for who in [None, Some(nobody), Some(TENANT), Some(OTHER)] {
        let transaction = behind_the_wall(&db, who).await;
        for table in &tables {
            let of = if table == "tenants" { "id" } else { "tenant_id" };
            let found: Vec<Uuid> = rows(&transaction, &format!("SELECT DISTINCT {of} FROM {table}")).await;
            let own = who.filter(|who| *who != nobody && FILLED.contains(&table.as_str()));
            assert_eq!(found, own.map(|TenantId(id)| id).as_slice(), "{table} as {who:?}");
        }
        transaction.rollback().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_forgets_its_tenant_changes_no_others() {
    let fresh = Fresh::postgres().await;
    two_tenants(&fresh).await;
    let db = connect(&fresh.settings.url).await;

    for (who, expected) in [(None, 0), (Some(TENANT), 1)] {
        for statement in [
            "UPDATE tenants SET name = 'x'",
            "UPDATE users SET full_name = 'x'",
            "UPDATE api_keys SET revoked_at = 1",
            "DELETE FROM jobs",
            "DELETE FROM users",
            "DELETE FROM seen_messages",
        ] {
            let transaction = behind_the_wall(&db, who).await;
            let changed = transaction.execute_unprepared(statement).await.unwrap().rows_affected();
            assert_eq!(changed, expected, "{statement} as {who:?}");
            transaction.rollback().await.unwrap();
        }
    }
    // Nor does a row get into another tenant.
    for statement in [
        format!("UPDATE users SET tenant_id = '{}'", OTHER.0),
        format!("UPDATE events SET tenant_id = '{}'", OTHER.0),
        format!("INSERT INTO seen_messages SELECT '{}', key_id, 'n', expires_at FROM seen_messages", OTHER.0),
    ] {
        let transaction = behind_the_wall(&db, Some(TENANT)).await;
        let refused = transaction.execute_unprepared(&statement).await.expect_err(&statement).to_string();
        assert!(refused.contains("row-level security"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_may_add_to_the_audit_log_and_nothing_else() {
    let fresh = Fresh::postgres().await;
    two_tenants(&fresh).await;
    let db = connect(&fresh.settings.url).await;

    for statement in
        ["UPDATE audit_log SET actor = 'operator'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
    {
        let transaction = behind_the_wall(&db, Some(TENANT)).await;
        let refused = transaction.execute_unprepared(statement).await.expect_err(statement).to_string();
        assert!(refused.contains("permission denied for table audit_log"), "{statement}: {refused}");
    }
    for statement in ["SELECT * FROM secrets", "SELECT * FROM seaql_migrations", "CREATE TABLE t (a int)"] {
        let transaction = behind_the_wall(&db, Some(TENANT)).await;
        let refused = transaction.execute_unprepared(statement).await.expect_err(statement).to_string();
        assert!(refused.contains("permission denied"), "{statement}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_make_a_role_there_is_no_wall_until_somebody_puts_it_up() {
    let database = shared::databases().unwrap().fresh_with_owner().unwrap();
    let administrator = connect(&database.administrator_url()).await;
    let owner = format!("{}_owner", database.name());
    administrator.execute_unprepared(&format!("ALTER ROLE {owner} NOCREATEROLE")).await.unwrap();

    let settings = Settings::new(database.url());
    let store = Store::connect(&settings).await.unwrap();
    store.migrate().await.unwrap();
    assert!(!store.has_wall());
    store.create_tenant(&tenant(TENANT, "one"), None, &origin()).await.unwrap();
    store.close().await;

    let by_administrator = Store::connect(&Settings::new(database.administrator_url())).await.unwrap();
    by_administrator.migrate().await.unwrap();
    assert!(by_administrator.has_wall());
    by_administrator.close().await;

    let store = Store::connect(&settings).await.unwrap();
    assert!(store.has_wall());
    store.migrate().await.unwrap();
    assert_eq!(store.tenant(TENANT).await.unwrap(), Some(tenant(TENANT, "one")));
    store.close().await;

    // Who may not take on the role would find nothing, and is told so.
    administrator
        .execute_unprepared(&format!("REVOKE {0}_tenant FROM {owner}", database.name()))
        .await
        .unwrap();
    let barred = Store::connect(&settings).await;
    assert!(matches!(barred, Err(OpenError::NotOfTenantRole { .. })), "{barred:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wall_is_put_up_again_where_something_of_it_is_missing() {
    let fresh = Fresh::postgres().await;
    two_tenants(&fresh).await;
    let db = connect(&fresh.settings.url).await;
    let missing = "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
                   WHERE c.relkind = 'r' AND NOT c.relrowsecurity";
    for damage in [
        "DROP POLICY tenant_wall ON users",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE users NO FORCE ROW LEVEL SECURITY",
        "CREATE TABLE later (tenant_id uuid)",
    ] {
        db.execute_unprepared(damage).await.unwrap();
        fresh.store.migrate().await.unwrap();
        assert_eq!(number(&db, missing).await, 0, "{damage}");
        let transaction = behind_the_wall(&db, Some(TENANT)).await;
        assert_eq!(number(&transaction, "SELECT count(*) FROM users").await, 1, "{damage}");
        transaction.rollback().await.unwrap();
        let hidden = "SELECT count(*) FROM users";
        assert_eq!(number(&db, hidden).await, 0, "{damage}: the owner is held to it, too");
    }
}
