//! Whatever races, the database decides.

use std::{collections::BTreeMap, time::Duration};

use pulsestream_domain::{
    event::NewEvent,
    ports::{Appended, EventStore as _},
};
use pulsestream_storage::Database;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tokio::task::JoinSet;

use crate::support::{Fresh, NOW, TENANT, event, id, on_both};

on_both!(
    sixteen_writers_with_overlapping_batches_store_each_event_once,
    of_a_hundred_appends_of_one_id_one_is_stored,
    deleting_and_appending_one_id_at_once_never_fails,
    an_append_that_is_dropped_half_way_leaves_the_store_in_order,
);

/// The order of another seed: every writer meets the others' keys in an order of its own.
fn shuffled(mut numbers: Vec<u64>, seed: u64) -> Vec<u64> {
    numbers.sort_by_key(|n| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23));
    numbers
}

async fn sixteen_writers_with_overlapping_batches_store_each_event_once(fresh: &Fresh) {
    // Made before any is sent, so that they meet.
    let batch_of = |writer: u64| {
        let numbers = shuffled((writer * 250..writer * 250 + 500).collect(), writer);
        let batch: Vec<NewEvent> = numbers.iter().map(|n| event(TENANT, &format!("e{n}"))).collect();
        (numbers, batch)
    };
    let batches: Vec<_> = (0..16).map(batch_of).collect();
    let mut writers = JoinSet::new();
    for (numbers, batch) in batches {
        let store = fresh.store.clone();
        writers.spawn(async move {
            let outcomes = store.append(&batch).await.expect("no error surfaces");
            numbers.into_iter().zip(outcomes).collect::<Vec<_>>()
        });
    }

    let mut stored = BTreeMap::<u64, usize>::new();
    for (number, outcome) in writers.join_all().await.into_iter().flatten() {
        *stored.entry(number).or_default() += usize::from(outcome == Appended::Stored);
    }

    assert_eq!(stored.len(), 15 * 250 + 500);
    assert!(stored.values().all(|count| *count == 1));
    assert_eq!(fresh.store.stats(TENANT, NOW).await.unwrap().total_events, stored.len() as u64);
    if fresh.store.database() == Database::Postgres {
        assert_eq!(deadlocks(fresh).await, 0, "they are retried, so only the server knows");
    }
}

/// How many deadlocks the server broke up. A connection has told of its own for certain once it is gone.
async fn deadlocks(fresh: &Fresh) -> i64 {
    fresh.store.close().await;
    let db = sea_orm::Database::connect(fresh.settings.url.as_str()).await.unwrap();
    let figure = async |sql: &str| -> i64 {
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        db.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    let others = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND application_name = 'pulsestream'";
    while figure(others).await > 0 {
        tokio::task::yield_now().await;
    }
    figure("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").await
}

async fn of_a_hundred_appends_of_one_id_one_is_stored(fresh: &Fresh) {
    let mut writers = JoinSet::new();
    for _ in 0..100 {
        let store = fresh.store.clone();
        writers.spawn(async move { store.append(&[event(TENANT, "same")]).await.unwrap()[0] });
    }

    let outcomes = writers.join_all().await;

    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Appended::Stored).count(), 1);
    assert_eq!(fresh.found(&[]).await, ["same"]);
}

async fn deleting_and_appending_one_id_at_once_never_fails(fresh: &Fresh) {
    let mut work = JoinSet::new();
    for n in 0..40 {
        let store = fresh.store.clone();
        work.spawn(async move {
            for _ in 0..5 {
                if n % 4 == 0 {
                    store.delete_event(TENANT, &id("same")).await.unwrap();
                } else {
                    store.append(&[event(TENANT, "same")]).await.unwrap();
                }
            }
        });
    }
    work.join_all().await;

    assert!(fresh.found(&[]).await.len() <= 1);
}

async fn an_append_that_is_dropped_half_way_leaves_the_store_in_order(fresh: &Fresh) {
    for n in 0..30_u64 {
        let batch: Vec<NewEvent> = (0..100).map(|i| event(TENANT, &format!("{n}-{i}"))).collect();
        let append = fresh.store.append(&batch);
        drop(tokio::time::timeout(Duration::from_micros(n * 300), append).await);
        fresh.put(&[event(TENANT, &format!("after-{n}"))]).await;
    }

    // All of a batch, or nothing of it.
    assert_eq!((fresh.store.stats(TENANT, NOW).await.unwrap().total_events - 30) % 100, 0);
}
