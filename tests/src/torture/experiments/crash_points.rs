//! T1a. The server dies at each step between a request and its answer, for each size of request. Sent again,
//! every event is stored, once.

use pulsestream_sabotage::STEPS;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    App, Combination, Database, Tenant, event_with,
    ledger::{Ledger, outcome_of},
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
    },
    unique,
};

/// A large one is a group of its own and takes another way.
const SIZES: [usize; 2] = [1, 60];

pub(super) async fn run(wish: Wish, combination: Combination) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan { nodes: 1, ..Plan::usual(combination) }).await;
    let tenant = cluster.unlimited_tenant().await;
    let ledger = Ledger::default();
    let sizes = wish.pick(&SIZES[..], &[1, 2, 60, 500]);
    let steps: Vec<&str> = STEPS
        .into_iter()
        .filter(|step| combination.database == Database::Sqlite || *step != "before_commit")
        .collect();

    let mut waiting: Option<Vec<Value>> = None;
    let mut stored_before_answer = 0;
    for &size in sizes {
        for step in &steps {
            // The first to pass is what the last death left open.
            let plan = format!("abort={step}:2");
            let app = cluster.nodes[0].app.another_with(&[], Some(&plan)).await;
            let earlier = waiting.take().unwrap_or_else(|| batch(1));
            stored_before_answer += settle(&app, &tenant, &ledger, &earlier, &mut report).await;

            let next = batch(size);
            let answer = send(&app, &tenant, &ledger, &next).await;
            report.expect(answer.is_none(), || format!("{step}, {size} events: it answered {answer:?}"));
            let died = app.process().wait().is_some_and(|status| !status.success());
            report.expect(died, || format!("{step}, {size} events: it did not die"));
            waiting = Some(next);
        }
    }
    let last = waiting.expect("there are steps");
    stored_before_answer += settle(&cluster.nodes[0].app, &tenant, &ledger, &last, &mut report).await;
    report.figure("steps x sizes", format!("{} x {}", steps.len(), sizes.len()));
    report.figure("requests stored although nobody was told", stored_before_answer);
    report.expect(stored_before_answer > 0, || "no death came between commit and answer".to_owned());
    report.compare(&ledger, &cluster.rows(&tenant).await);
    report
}

fn batch(size: usize) -> Vec<Value> {
    (0..size).map(|_| event_with(&unique("crash"), &unique("content"))).collect()
}

/// Sends again what a death left open; every event has to be stored now. Answers 1 if they were before.
async fn settle(app: &App, tenant: &Tenant, ledger: &Ledger, batch: &[Value], report: &mut Report) -> usize {
    let answer = send(app, tenant, ledger, batch).await.unwrap_or_default();
    let stored = answer["successful_count"].as_u64().unwrap_or(0);
    report.expect(stored == batch.len() as u64, || format!("sent again, not all is stored: {answer}"));
    usize::from(answer["duplicate_count"].as_u64() == Some(batch.len() as u64))
}

/// Sends a batch and keeps book.
async fn send(app: &App, tenant: &Tenant, ledger: &Ledger, batch: &[Value]) -> Option<Value> {
    let text = |value: &Value| value.as_str().expect("it was made with one").to_owned();
    for event in batch {
        ledger.sent_with(&text(&event["event_id"]), &text(&event["payload"]["content"]));
    }
    let client = tenant.at(app);
    let request =
        client.request(Method::POST, "/api/v1/ingestion/events/batch").json(&json!({"events": batch}));
    let answer = client.try_execute(request).await.ok()?.json();
    for result in answer["results"].as_array().into_iter().flatten() {
        ledger.told(&text(&result["event_id"]), outcome_of(result));
    }
    Some(answer)
}
