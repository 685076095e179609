//! The server or its database dies while clients send: what was acknowledged is there, once, and what was
//! only refused is not.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pulsestream_testing::postgres::PostgresServer;
use pulsestream_tests::{
    App, Combination, TenantOptions, Trial, event_with_id, events,
    ledger::{Ledger, Outcome},
    load::{self, Load},
    on_some, trials,
};

const CAP: Duration = Duration::from_secs(180);
const KILLS: usize = 20;
const SENDERS: usize = 8;
/// How soon events are stored again once PostgreSQL is back.
const RECOVERY: Duration = Duration::from_secs(10);

pub(crate) fn trials() -> Vec<Trial> {
    let servers = [Combination::SQLITE, Combination::POSTGRES_REDIS];
    let mut all = on_some!(&servers, within CAP; a_server_that_is_killed_over_and_over_keeps_its_word);
    let postgres = [Combination::POSTGRES, Combination::POSTGRES_REDIS];
    all.extend(on_some!(
        &postgres, within trials::DEFAULT_CAP;
        a_postgres_that_crashes_is_an_answer_of_503_and_comes_back,
        a_postgres_that_is_away_at_once_refuses_politely,
    ));
    all
}

async fn a_server_that_is_killed_over_and_over_keeps_its_word(combination: Combination) {
    let mut app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;
    let limited = app.tenant_with(TenantOptions::default().per_minute(5)).await;
    let (ledger, limited_ledger) = (Arc::new(Ledger::default()), Ledger::default());

    for kill in 0..KILLS {
        let load = Load::start(&tenant.at(&app), SENDERS, &ledger);
        load.wait_for_success(Duration::from_secs(20)).await;
        offer_too_many(&limited.at(&app), &limited_ledger).await;
        // Some early, some late, so that groups are hit at every stage.
        tokio::time::sleep(Duration::from_millis(10 + kill as u64 * 13 % 120)).await;
        app.process().kill();
        load.stop().await;
        app = app.another().await;
    }

    load::resolve(&tenant.at(&app), &ledger, Duration::from_secs(30)).await;
    let rows = app.rows(&tenant).await;
    assert_eq!(ledger.violations(&rows), [""; 0]);
    assert_eq!(rows.len(), ledger.acknowledged(), "nothing is left unknown");
    assert!(ledger.acknowledged() > KILLS * 10, "only {} events in {KILLS} rounds", ledger.acknowledged());
    assert_eq!(limited_ledger.violations(&app.rows(&limited).await), [""; 0]);
}

/// Ten events for a tenant that may store five.
async fn offer_too_many(client: &pulsestream_tests::Client, ledger: &Ledger) {
    let batch = events(10);
    let ids = batch.iter().filter_map(|event| event["event_id"].as_str());
    ids.for_each(|id| ledger.sent(id));
    let answer = client.send_batch(&batch).await;
    answer.json()["results"].as_array().into_iter().flatten().for_each(|result| ledger.told_result(result));
}

/// A server on a PostgreSQL of the trial's own.
async fn on_own_postgres(combination: Combination) -> (PostgresServer, App) {
    let postgres = PostgresServer::start().unwrap_or_else(|missing| panic!("{missing:#}"));
    let url = postgres.create_database("events").unwrap_or_else(|error| panic!("{error:#}"));
    let app = App::builder(combination).postgres(url).start().await;
    (postgres, app)
}

async fn a_postgres_that_crashes_is_an_answer_of_503_and_comes_back(combination: Combination) {
    let (mut postgres, app) = on_own_postgres(combination).await;
    let tenant = app.unlimited_tenant().await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&tenant.client, SENDERS, &ledger);

    for _ in 0..3 {
        load.wait_for_success(RECOVERY).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        postgres.stop_immediate().expect("it can be signalled");
        tokio::time::sleep(Duration::from_millis(300)).await;
        postgres.restart().unwrap_or_else(|error| panic!("{error:#}"));
        load.wait_for_success(RECOVERY).await;
    }

    let statuses = load.stop().await;
    let unexpected: Vec<&u16> = statuses.keys().filter(|status| ![200, 503].contains(*status)).collect();
    assert_eq!(unexpected, [&0; 0], "{statuses:?}");
    load::resolve(&tenant.client, &ledger, Duration::from_secs(30)).await;
    let rows = app.rows(&tenant).await;
    assert_eq!(ledger.violations(&rows), [""; 0]);
    assert_eq!(rows.len(), ledger.acknowledged());
    drop(app);
}

async fn a_postgres_that_is_away_at_once_refuses_politely(combination: Combination) {
    let (mut postgres, app) = on_own_postgres(combination).await;
    let tenant = app.tenant().await;
    let ledger = Ledger::default();
    tenant.send(&event_with_id("before")).await.expect(200);
    postgres.stop_immediate().expect("it can be signalled");

    ledger.sent("during");
    let refused = tenant.send(&event_with_id("during")).await.expect(503);
    assert_eq!(refused.header("Content-Type"), "application/problem+json");
    assert!((1..=30).contains(&refused.number("Retry-After")), "{:?}", refused.headers);
    for word in ["postgres", "sql", "socket", "connection refused"] {
        assert!(!refused.text().to_lowercase().contains(word), "{word} is the inside: {}", refused.text());
    }
    tenant.search(&[]).await.expect(503);
    let batch = tenant.send_batch(&[event_with_id("during")]).await.expect(503);
    assert!(batch.number("Retry-After") >= 1);
    app.anonymous().get("/livez").await.expect(200);
    app.anonymous().get("/readyz").await.expect(503);

    postgres.restart().unwrap_or_else(|error| panic!("{error:#}"));
    load::resolve(&tenant.client, &ledger, RECOVERY).await;
    ledger.sent("before");
    ledger.told("before", Outcome::Acknowledged);
    assert_eq!(ledger.violations(&app.rows(&tenant).await), [""; 0]);
    // What was found out about the database is kept for a moment.
    let deadline = Instant::now() + RECOVERY;
    while app.anonymous().get("/readyz").await.status != 200 {
        assert!(Instant::now() < deadline, "still not ready after {RECOVERY:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
