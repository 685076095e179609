//! Which requests never come near the database, and how long others wait for it. Both are seen by locking
//! tables: whoever asks for them waits.

use std::time::{Duration, Instant};

use pulsestream_tests::{App, Combination, Tenant};
use sea_orm::sqlx::{Connection, PgConnection, PgTransaction, query, query_scalar};
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
    assert!(early.is_err(), "answered without a query: {early:?}");
    locked.rollback().await.expect("the database can be reached");
    // It may have waited as long as it may for a lock.
    let answer = asking.await;
    assert!(matches!(answer.status, 401 | 503), "{}", answer.text());
    forged.get(STATS).await.expect(401);
}

/// Case Q8: the client is told, and the database does not work on for nobody.
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
