//! Which requests never come near the database, and how long others wait for it. Both are seen by locking
//! tables: whoever asks for them waits.

use std::time::{Duration, Instant};

use pulsestream_tests::{App, Combination, Database, Tenant, event_with_id};
use sea_orm::{
    ConnectionTrait as _,
    sqlx::{Connection, PgConnection, PgTransaction, query, query_scalar},
};
use tokio::time::{sleep, timeout};

use super::names::Names;

const STATS: &str = "/api/v1/ingestion/stats";
/// Far less than any time limit of the server, far more than an answer without a query takes.
const AT_ONCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(10);

async fn lock<'a>(connection: &'a mut PgConnection, statement: &'static str) -> PgTransaction<'a> {
    let mut transaction = connection.begin().await.expect("the database can be reached");
    query(statement).execute(&mut *transaction).await.expect("the tables can be locked");
    transaction
}

async fn connect(app: &App) -> PgConnection {
    PgConnection::connect(app.ground().database_url()).await.expect("the database can be reached")
}

fn key_variant(tenant: &Tenant, kind: &str) -> String {
    let mut names = Names::default();
    names.set("key", &tenant.key);
    names.fill_in(&format!("${{{kind}:key}}")).into_owned()
}

/// Case A2: a wrong checksum is noticed without a query.
pub(super) async fn mistyped_keys_need_no_database(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.tenant().await;
    let mut connection = connect(&app).await;
    let locked = lock(&mut connection, "LOCK TABLE api_keys, tenants IN ACCESS EXCLUSIVE MODE").await;

    let mistyped = app.anonymous().with_key(&key_variant(&tenant, "flip"));
    let answer = timeout(AT_ONCE, mistyped.get(STATS)).await.expect("no query is waited for");
    answer.expect(401);

    // The lock does hold up a key that only the database can tell is wrong.
    let forged = app.anonymous().with_key(&key_variant(&tenant, "forge"));
    let mut asking = Box::pin(forged.get(STATS));
    let early = timeout(AT_ONCE, &mut asking).await;
    locked.rollback().await.expect("the database can be reached");
    // It may have waited as long as it may for a lock.
    match early {
        Ok(answer) => assert_eq!(answer.status, 503, "answered without a query"),
        Err(_) => {
            let answer = asking.await;
            assert!(matches!(answer.status, 401 | 503), "{}", answer.text());
        }
    }
    forged.get(STATS).await.expect(401);
}

/// A table `events` that never ends, and the real one back in its place.
const ENDLESS: [&str; 2] = [
    "ALTER TABLE events RENAME TO kept_events",
    "CREATE VIEW events AS SELECT kept_events.* FROM kept_events, (
         WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n FROM endless) SELECT count(*) AS n FROM endless
     ) AS never WHERE never.n > 0",
];
const AS_BEFORE: [&str; 2] = ["DROP VIEW events", "ALTER TABLE kept_events RENAME TO events"];

/// Case Q8: the client is told, and the database does not work on for nobody.
pub(super) async fn a_search_without_end_is_cancelled(combination: Combination) {
    let settings = App::builder(combination).set("database.query_timeout", "1s");
    // The only connection: it has to be free again for the next search.
    let app = settings.set("database.query_connections", 1).start().await;
    let tenant = app.tenant().await;
    tenant.send(&event_with_id("a")).await.expect(200);
    let database = sea_orm::Database::connect(app.ground().database_url()).await.expect("it can be reached");
    for statement in ENDLESS {
        database.execute_unprepared(statement).await.expect("the schema is ours");
    }

    for path in ["search", "histogram", "facets?field=service", "export"] {
        let started = Instant::now();
        let answer = tenant.get(&format!("/api/v1/ingestion/events/{path}")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (504, "query_timeout"),
            "{path}: {}",
            answer.text()
        );
        assert!(started.elapsed() < Duration::from_secs(5), "{path}: it took {:?}", started.elapsed());
    }
    if combination.database == Database::Postgres {
        let (mut watcher, deadline) = (connect(&app).await, Instant::now() + AT_ONCE);
        // The error is on its way before everything behind it is put away.
        while let [query, ..] = working(&mut watcher).await.as_slice() {
            assert!(Instant::now() < deadline, "a query goes on: {query}");
            sleep(POLL).await;
        }
    }

    for statement in AS_BEFORE {
        database.execute_unprepared(statement).await.expect("the schema is ours");
    }
    assert_eq!(tenant.found(&[]).await, ["a"]);
}

/// Waiting for somebody's lock is no fault of the search: the client is told to come back.
pub(super) async fn a_blocked_search_is_given_up(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.tenant().await;
    let mut connection = connect(&app).await;
    let _locked = lock(&mut connection, "LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await;

    let started = Instant::now();
    let searching = tokio::spawn({
        let client = tenant.client.clone();
        async move { client.search(&[]).await }
    });
    let mut watcher = connect(&app).await;
    while waiting(&mut watcher).await == 0 {
        assert!(!searching.is_finished(), "the search does not wait");
        sleep(POLL).await;
    }
    let answer = searching.await.expect("it does not panic");
    assert!(started.elapsed() < Duration::from_secs(15), "it took {:?}", started.elapsed());
    assert_eq!((answer.status, answer.code().as_str()), (503, "busy"), "{}", answer.text());
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(waiting(&mut watcher).await, 0, "a query waits on");
}

/// How many queries wait for a lock, but for those that the server makes by itself.
async fn waiting(connection: &mut PgConnection) -> i64 {
    let waiting = query_scalar(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock' AND query NOT LIKE '%''pending''%'",
    );
    waiting.fetch_one(connection).await.expect("the view can be read")
}

/// The queries that are under way, but for those that the server makes by itself.
async fn working(connection: &mut PgConnection) -> Vec<String> {
    let working = query_scalar(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' \
         AND query NOT LIKE '%''pending''%' AND pid <> pg_backend_pid()",
    );
    working.fetch_all(connection).await.expect("the view can be read")
}
