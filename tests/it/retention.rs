//! Events are kept for as long as their tenant says.

use std::time::{Duration, Instant};

use pulsestream_tests::{App, Combination, Person, Trial, event_with_id, on_all_four, person::with_token};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![events_past_their_retention_are_removed_and_no_others]
}

async fn events_past_their_retention_are_removed_and_no_others(combination: Combination) {
    let app = App::start(combination).await;
    let (tenant, keeper) = (app.tenant().await, app.tenant().await);
    let owner = with_token(&app, &Person::create(&app, &tenant, "owner").await.tokens(&app).await);
    owner.put("/api/v1/auth/tenant/profile", &json!({"retention_days": 1})).await.expect(200);
    for id in ["old-1", "old-2", "new"] {
        for of in [&tenant, &keeper] {
            of.at(&app).send(&event_with_id(id)).await.expect(200);
        }
    }
    // As if they had been taken in long ago: row ids begin with the time.
    let id = if app.ground().database_url().starts_with("sqlite:") {
        "unhex('00000000' || substr(hex(id), 9))"
    } else {
        "('00000000' || substr(id::text, 9))::uuid"
    };
    let aged = format!("UPDATE events SET id = {id}, received_at = 0 WHERE external_id LIKE 'old-%'");
    app.ground().try_execute(&aged).await.expect("the database can be changed");

    // Each start has a look; after that there is one every hour.
    let other = app.another().await;

    let deadline = Instant::now() + PATIENCE;
    while app.rows(&tenant).await.len() > 1 {
        assert!(Instant::now() < deadline, "{:?}", app.rows(&tenant).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(tenant.at(&app).found(&[]).await, ["new"]);
    assert_eq!(app.rows(&keeper).await.len(), 3, "this one keeps events for ever");
    let mut counted = 0;
    for instance in [&app, &other] {
        let metrics = instance.anonymous().get("/metrics").await.expect(200).text();
        let count = metrics.lines().find_map(|line| line.strip_prefix("events_expired_total "));
        counted += count.map_or(0, |count| count.parse::<u64>().expect("a counter is a number"));
    }
    assert_eq!(counted, 2);
    let is_told = |line: &Value| line["retention_days"] == 1 && line["events"] == 2;
    let told = || [&app, &other].iter().flat_map(|app| app.log_lines()).filter(is_told).count();
    while told() == 0 {
        assert!(Instant::now() < deadline, "the log has nothing of it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told(), 1);
}
