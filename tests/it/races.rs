//! Many clients at once, over several processes: one row per id, no deadlock, never one event over a limit.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use pulsestream_tests::{
    App, Client, Combination, Database, Limiter, StoredRow, TenantOptions, Trial, event, event_with_id, on_all_four,
    unique,
};
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
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.unlimited_tenant().await;
    let clients = [tenant.client.clone(), tenant.at(&other)];

    // Each writer shares half of its events with the one before and half with the one after.
    let batch = |writer: usize| {
        let ids = (0..SIZE).map(|index| format!("e{}", (writer * SIZE / 2 + index) % (WRITERS * SIZE / 2)));
        let mut events: Vec<Value> = ids.map(|id| event_with_id(&id)).collect();
        shuffle(&mut events, writer as u64 + 1);
        events
    };
    let batches: Vec<Vec<Value>> = (0..WRITERS).map(batch).collect();
    let send = |writer: usize| clients[writer % 2].send_batch(&batches[writer]);
    let answers = join_all((0..WRITERS).map(send)).await;

    let count = |name: &str| answers.iter().map(|answer| answer.json()[name].as_u64().unwrap_or(0)).sum::<u64>();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(count("failed_count"), 0);
    assert_eq!(count("duplicate_count"), (WRITERS * SIZE / 2) as u64, "each event was offered twice");
    assert_eq!(app.rows(&tenant).await.len(), WRITERS * SIZE / 2);
    if combination.database == Database::Postgres {
        // PostgreSQL's sessions report their counters at most once a second.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(app.ground().number(deadlocks).await, 0, "also those that were retried");
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
    assert_eq!(rows.len(), accepted);
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
            assert!([200, 429].contains(&answer.status), "{}", answer.text());
            accepted += usize::from(answer.status == 200);
        } else {
            let events: Vec<Value> = (0..batch).map(|_| event_with_id(&unique("window"))).collect();
            let answer = client.send_batch(&events).await;
            assert!([200, 429].contains(&answer.status), "{}", answer.text());
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
