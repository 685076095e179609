//! What is said when PostgreSQL is in trouble, and that all is well again after it.

use std::{future::poll_fn, task::Poll, time::Duration};

use pulsestream_domain::{
    event::{Document, NewEvent},
    job::{Enqueued, JobId, JobKind, NewJob},
    ports::{Appended, EventStore as _, JobQueue as _, StoreError},
    tenant::Tenant,
};
use pulsestream_storage::{Settings, Store};
use pulsestream_testing::{builders, postgres::PostgresServer};
use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use uuid::Uuid;

use crate::support::{Fresh, NOW, TENANT, event, origin, query};

/// Short limits, so that the tests are short.
fn impatient(url: &str) -> Settings {
    Settings {
        acquire_timeout: Duration::from_millis(300),
        ingest_timeout: Duration::from_millis(300),
        query_timeout: Duration::from_millis(300),
        ..Settings::new(url)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_restarts_is_found_again() {
    let mut server = PostgresServer::start().unwrap();
    let store = Store::connect(&Settings::new(server.url("postgres"))).await.unwrap();
    store.migrate().await.unwrap();
    store.append(&[event(TENANT, "before")]).await.unwrap();

    server.stop_immediate().unwrap();
    let down = store.append(&[event(TENANT, "during")]).await;
    let search = store.search(TENANT, &query(&[])).await;
    let ping = store.ping().await;
    server.restart().unwrap();

    // The connection broke under the first try, so nobody may say that nothing was stored.
    assert!(matches!(down, Err(StoreError::OutcomeUnknown(_))), "{down:?}");
    assert!(matches!(search, Err(StoreError::Unavailable(_))), "{search:?}");
    assert!(matches!(ping, Err(StoreError::Unavailable(_))), "{ping:?}");
    assert_eq!(store.append(&[event(TENANT, "after")]).await.unwrap(), [Appended::Stored]);
    assert_eq!(store.search(TENANT, &query(&[])).await.unwrap().total_count, 2);
}

/// With one connection, so that what comes next meets what was left behind.
#[tokio::test]
async fn a_call_that_is_dropped_anywhere_leaves_no_transaction_open() {
    let fresh = Fresh::postgres().await;
    let settings = Settings { bookkeeping_connections: 1, ..fresh.settings.clone() };
    let store = Store::connect(&settings).await.unwrap();
    for waits in 0..24 {
        let tenant = Tenant { slug: format!("dropped-{waits}").parse().unwrap(), ..builders::tenant(waits) };
        let origin = origin();
        let mut call = Box::pin(store.create_tenant(&tenant, None, &origin));
        let mut left = waits;
        poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Pending if left > 0 => {
                left -= 1;
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
        drop(call);

        let id = JobId(Uuid::from_u128(waits));
        let job = NewJob::new(builders::tenant(1).id, id, JobKind::named("test"), NOW);
        assert_eq!(store.enqueue(&[job]).await.unwrap(), [Enqueued::New]);

        let seen = fresh.store.figures(NOW).await.unwrap();
        assert_eq!(
            seen[0].due,
            waits as u64 + 1,
            "dropped after {waits} waits: a job that is enqueued is there"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_were_ended_are_replaced_unnoticed() {
    let fresh = Fresh::postgres().await;
    fresh.put(&[event(TENANT, "a")]).await;
    fresh.store.ping().await.unwrap();
    let other = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    other.execute_unprepared(end).await.unwrap();

    fresh.put(&[event(TENANT, "b")]).await;
    other.execute_unprepared(end).await.unwrap();

    assert!(fresh.store.existing(TENANT, &[event(TENANT, "b").event_id]).await.unwrap()[0].is_some());
    assert_eq!(fresh.found(&[]).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_is_given_up_and_leaves_no_broken_connection() {
    let server = PostgresServer::start().unwrap();
    let store = Store::connect(&impatient(&server.url("postgres"))).await.unwrap();
    store.migrate().await.unwrap();
    store.append(&[event(TENANT, "before")]).await.unwrap();
    store.ping().await.unwrap();
    let pids = backends(&server).await;

    for pid in &pids {
        signal("-STOP", pid);
    }
    let silent = store.append(&[event(TENANT, "during")]).await;
    let ping = store.ping().await;
    for pid in &pids {
        signal("-CONT", pid);
    }

    assert!(matches!(silent, Err(StoreError::OutcomeUnknown(_))), "{silent:?}");
    assert!(matches!(ping, Err(StoreError::Unavailable(_)) | Ok(())), "{ping:?}");
    let tries = store.append(&[event(TENANT, "during")]).await.unwrap();
    assert_eq!(tries.len(), 1);
    assert_eq!(store.search(TENANT, &query(&[])).await.unwrap().total_count, 2);
}

/// The process ids of the store's own connections.
async fn backends(server: &PostgresServer) -> Vec<String> {
    let db = sea_orm::Database::connect(server.url("postgres")).await.unwrap();
    let sql = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'pulsestream'";
    let rows =
        db.query_all_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

fn signal(signal: &str, pid: &str) {
    assert!(std::process::Command::new("kill").args([signal, pid]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_in_the_way_is_busy_and_nothing_is_stored() {
    let fresh = Fresh::postgres().await;
    // A search may take longer than it may wait for a lock.
    let patient = Settings { query_timeout: Duration::from_secs(10), ..impatient(&fresh.settings.url) };
    let store = Store::connect(&patient).await.unwrap();
    let other = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    let transaction = other.begin().await.unwrap();
    transaction.execute_unprepared("LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let refused = store.append(&[event(TENANT, "a")]).await;
    let search = store.search(TENANT, &query(&[])).await;
    transaction.rollback().await.unwrap();

    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    assert!(matches!(search, Err(StoreError::Busy(_))), "{search:?}");
    assert_eq!(store.stats(TENANT, NOW).await.unwrap().total_events, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_lock_again_and_again_stays_within_the_time_of_one_insert() {
    let fresh = Fresh::postgres().await;
    let settings = Settings { ingest_timeout: Duration::from_secs(3), ..Settings::new(&fresh.settings.url) };
    let store = Store::connect(&settings).await.unwrap();
    let other = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    let transaction = other.begin().await.unwrap();
    transaction.execute_unprepared("LOCK TABLE events IN EXCLUSIVE MODE").await.unwrap();

    let started = std::time::Instant::now();
    let refused = store.append(&[event(TENANT, "a")]).await;
    let waited = started.elapsed();
    transaction.rollback().await.unwrap();

    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    assert!(waited < settings.ingest_timeout + Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_slipped_through_is_unstorable_and_nothing_is_stored() {
    let fresh = Fresh::postgres().await;
    let bad = NewEvent { document: Document::from_stored("\0".to_owned()), ..event(TENANT, "bad") };

    let refused = fresh.store.append(&[event(TENANT, "good"), bad]).await;

    assert!(matches!(refused, Err(StoreError::Unstorable(_))), "{refused:?}");
    assert!(fresh.found(&[]).await.is_empty());
    fresh.put(&[event(TENANT, "good")]).await;
}
