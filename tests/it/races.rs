//! Many clients at once, over several processes: one row per id, no deadlock, never one event over a limit.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::{join, join_all};
use pulsestream_tests::{
    App, Client, Combination, Database, Limiter, StoredRow, TenantOptions, Trial, event, event_with_id,
    on_all_four, unique,
};
use sea_orm::sqlx::{self, Connection};
use serde_json::{Value, json};

/// Sixteen batches of 500 in a debug build on a busy machine.
const CAP: Duration = Duration::from_secs(120);

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four!(within CAP;
        a_hundred_sends_of_one_id_over_two_processes_store_one_row,
        writers_of_overlapping_batches_do_not_deadlock,
        no_window_ever_holds_one_event_over_the_limit,
    )
}

async fn a_hundred_sends_of_one_id_over_two_processes_store_one_row(combination: Combination) {
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.unlimited_tenant().await;
    let clients = [tenant.client.clone(), tenant.at(&other)];

    for id in ["first", "second", "third"] {
        let event = event_with_id(id);
        let answers = join_all((0..100).map(|sender| clients[sender % 2].send(&event))).await;

        let answers: Vec<Value> = answers.into_iter().map(|answer| answer.expect(200).json()).collect();
        let count = |status: &str| answers.iter().filter(|answer| answer["status"] == status).count();
        assert_eq!([count("accepted"), count("duplicate")], [1, 99]);
        let told: HashSet<String> = answers.iter().map(|answer| answer["ingested_at"].to_string()).collect();
        assert_eq!(told.len(), 1, "{told:?}");
    }
    assert_eq!(app.rows(&tenant).await.len(), 3);
}

async fn writers_of_overlapping_batches_do_not_deadlock(combination: Combination) {
    const WRITERS: usize = 16;
    const SIZE: usize = 500;
    // Its own, as inserts are held up for everybody.
    let app = App::start(combination).await;
    let other = app.another().await;
    let tenant = app.unlimited_tenant().await;
    let clients = [tenant.client.clone(), tenant.at(&other)];

    // Half of each is the writer's own; the other half is out of the same 500 for all, so any two share some.
    let batches: Vec<Vec<Value>> = (0..WRITERS)
        .map(|writer| {
            let mut ids: Vec<String> = (0..SIZE).map(|index| format!("common-{index}")).collect();
            shuffle(&mut ids, writer as u64 + 1);
            ids.truncate(SIZE / 2);
            ids.extend((0..SIZE / 2).map(|index| format!("own-{writer}-{index}")));
            shuffle(&mut ids, writer as u64 + 100);
            ids.iter().map(|id| event_with_id(id)).collect()
        })
        .collect();
    let distinct = batches.iter().flatten().map(|event| &event["event_id"]).collect::<HashSet<_>>().len();
    let send = |writer: usize| {
        tokio::spawn(send_until_answered(clients[writer % 2].clone(), batches[writer].clone()))
    };
    let sending = join_all((0..WRITERS).map(send));
    let sent = match combination.database {
        Database::Postgres => join(sending, let_inserts_begin_together(&app)).await.0,
        Database::Sqlite => sending.await,
    };

    let accepted: u64 = sent.into_iter().map(|accepted| accepted.expect("a writer never panics")).sum();
    assert_eq!(accepted, distinct as u64, "each event is accepted once, whoever offers it");
    assert_eq!(app.rows(&tenant).await.len(), distinct);
    if combination.database == Database::Postgres {
        // PostgreSQL's sessions report their counters at most once a second, and when they end.
        app.process().stop();
        other.process().stop();
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(app.ground().number(deadlocks).await, 0, "also those that were retried");
    }
}

/// Holds inserts up until several wait, for a second at most: the more of them run at once, the sooner two
/// would wait for each other.
async fn let_inserts_begin_together(app: &App) {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut gate = app.ground().postgres().await;
    let mut held = gate.begin().await.expect("the database works");
    let lock = sqlx::query("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE").execute(&mut *held).await;
    lock.expect("the table is there");
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until && app.ground().number(WAITING).await < 8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    held.commit().await.expect("the database works");
}

/// Sends a batch, again where the server was too busy, until each of its events is stored. Answers with how
/// many of them were new.
async fn send_until_answered(client: Client, batch: Vec<Value>) -> u64 {
    let mut accepted = 0;
    loop {
        let answer = client.send_batch(&batch).await;
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
        let answer = answer.json();
        let count = |name: &str| answer[name].as_u64().expect("a number");
        accepted += count("successful_count") - count("duplicate_count");
        if count("successful_count") == count("total_count") {
            return accepted;
        }
    }
}

/// Fisher–Yates with a small generator (xorshift), so that a run can be had again.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        items.swap(last, usize::try_from(seed % (last as u64 + 1)).expect("it is at most `last`"));
    }
}

async fn no_window_ever_holds_one_event_over_the_limit(combination: Combination) {
    const LIMIT: usize = 100;
    const CLIENTS: usize = 64;
    const SENDING: Duration = Duration::from_secs(4);
    let app = App::shared(combination).await;
    // Processes limit together if they share Redis.
    let other = if combination.limiter == Limiter::Redis { Some(app.another().await) } else { None };
    let options = TenantOptions::default().per_minute(1_000_000).burst(LIMIT as u64);
    let tenant = Arc::new(app.tenant_with(options).await);
    let second = other.as_ref().map_or_else(|| tenant.client.clone(), |other| tenant.at(other));

    let until = Instant::now() + SENDING;
    let senders = (0..CLIENTS).map(|sender| {
        let client = if sender % 2 == 0 { tenant.client.clone() } else { second.clone() };
        tokio::spawn(send_until(client, until, sender % 4))
    });
    let accepted: usize =
        join_all(senders).await.into_iter().map(|sent| sent.expect("a sender never panics")).sum();

    let rows = app.rows(&tenant).await;
    // One that was answered with 503 may be there as well.
    assert!(rows.len() >= accepted, "{} of {accepted} are there", rows.len());
    assert!(fullest_second(&rows) <= LIMIT, "{} events in one second", fullest_second(&rows));
    // Never closed either: at least every other second has its events.
    assert!(accepted >= LIMIT * 3 / 2, "only {accepted} events in {SENDING:?}");
}

/// Sends single events, or batches of `batch`. Answers with how many were accepted.
async fn send_until(client: Client, until: Instant, batch: usize) -> usize {
    let mut accepted = 0;
    while Instant::now() < until {
        if batch == 0 {
            let answer = client.send(&event(json!({"event_id": unique("window")}))).await;
            assert!([200, 429, 503].contains(&answer.status), "{}", answer.text());
            accepted += usize::from(answer.status == 200);
        } else {
            let events: Vec<Value> = (0..batch).map(|_| event_with_id(&unique("window"))).collect();
            let answer = client.send_batch(&events).await;
            assert!([200, 429, 503].contains(&answer.status), "{}", answer.text());
            accepted += answer.json()["successful_count"].as_u64().map_or(0, |count| count as usize);
        }
    }
    accepted
}

/// The most events that any window of one second holds.
fn fullest_second(rows: &[StoredRow]) -> usize {
    let times: Vec<i64> = rows.iter().map(|row| row.received_at).collect();
    let within = |first: usize| times[first..].partition_point(|time| *time < times[first] + 1_000_000);
    (0..times.len()).map(within).max().unwrap_or(0)
}
