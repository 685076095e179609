//! T2a and T2c. Many clients, one id: one row, and the first content stays.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    Combination, StoredRow, event, event_with,
    ledger::{Ledger, Outcome, outcome_of},
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
    },
    unique,
};

const CLIENTS: usize = 100;

/// T2a.
pub(super) async fn same_event(wish: Wish) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let tenant = cluster.unlimited_tenant().await;
    let (ways, ids) = (cluster.ways(&tenant), wish.pick(40, 200));
    let (mut worst, mut answers) = (0, 0);
    for _ in 0..ids {
        let event = event_with(&unique("same"), "one");
        let sent = join_all((0..CLIENTS).map(|client| ways[client % ways.len()].try_send(&event))).await;
        let told: Vec<Value> = sent
            .into_iter()
            .flatten()
            .filter(|answer| answer.status == 200)
            .map(|answer| answer.json())
            .collect();
        answers += told.len();
        let accepted = told.iter().filter(|answer| answer["status"] == "accepted").count();
        worst = worst.max(accepted);
        report.expect(accepted == 1, || format!("{accepted} of {} were told accepted", told.len()));
        let first = told.first().map(|answer| answer["ingested_at"].clone());
        let is_one = told.iter().all(|answer| Some(&answer["ingested_at"]) == first.as_ref());
        report.expect(is_one, || "not all were told the same time".to_owned());
    }
    let rows = cluster.rows(&tenant).await;
    report.figure("clients x ids", format!("{CLIENTS} x {ids}, {answers} answers"));
    report.figure("rows, and most accepted for one id", format!("{} for {ids} ids, {worst}", rows.len()));
    report.expect(rows.len() == ids, || format!("{} rows for {ids} ids", rows.len()));
    report
}

/// T2c.
pub(super) async fn other_content(wish: Wish) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let tenant = cluster.unlimited_tenant().await;
    let (ways, ledger) = (cluster.ways(&tenant), Ledger::default());
    let ids = wish.pick(60, 400);
    let mut conflicts = 0;
    for _ in 0..ids {
        let id = unique("other");
        // Composed and decomposed: equal to a reader, different content.
        let contents = ["one", "two", "caf\u{e9}", "cafe\u{301}"];
        let sends = (0..8).map(|client| {
            let (way, content, id, ledger) = (&ways[client % ways.len()], contents[client % 4], &id, &ledger);
            async move {
                let number = ledger.sent_with(id, content);
                let answer = way.send(&event_with(id, content)).await;
                let outcome = match answer.status {
                    200 => Outcome::Acknowledged,
                    409 => Outcome::Refused,
                    status => panic!("{status}: {}", answer.text()),
                };
                ledger.told_of(id, number, outcome);
                usize::from(answer.status == 409)
            }
        });
        conflicts += join_all(sends).await.into_iter().sum::<usize>();
    }
    twice_in_one_batch(&ways[0], &ledger, &mut report).await;
    days_apart(&ways, &ledger, &mut report).await;
    report.figure("ids with four contents each, and conflicts told", format!("{ids}, {conflicts}"));
    report.compare(&ledger, &cluster.rows(&tenant).await);
    let rows: Vec<StoredRow> = cluster.rows(&tenant).await;
    let mut copies: HashMap<&str, usize> = HashMap::new();
    rows.iter()
        .filter_map(|row| row.external_id.as_deref())
        .for_each(|id| *copies.entry(id).or_default() += 1);
    report.expect(copies.values().all(|copies| *copies == 1), || "an id has several rows".to_owned());
    report
}

/// The later one of a batch is judged by the earlier one.
async fn twice_in_one_batch(way: &crate::Client, ledger: &Ledger, report: &mut Report) {
    let id = unique("twice");
    let contents = ["one", "one", "two"];
    let events: Vec<Value> = contents.iter().map(|content| event_with(&id, content)).collect();
    let numbers: Vec<usize> = contents.iter().map(|content| ledger.sent_with(&id, content)).collect();
    let answer = way.send_batch(&events).await.json();
    for (number, result) in numbers.iter().zip(answer["results"].as_array().into_iter().flatten()) {
        ledger.told_of(&id, *number, outcome_of(result));
    }
    let told: Vec<&Value> = (0..3).map(|index| &answer["results"][index]["status"]).collect();
    report.expect(told == ["accepted", "duplicate", "rejected"], || format!("twice in one batch: {told:?}"));
}

/// An id is one event, whatever day it says it is from.
async fn days_apart(ways: &[crate::Client], ledger: &Ledger, report: &mut Report) {
    let id = unique("days");
    for (way, (day, status)) in ways.iter().cycle().zip([("2024-01-01", 200), ("2024-06-01", 409)]) {
        let number = ledger.sent_with(&id, "");
        let timestamp = format!("{day}T00:00:00Z");
        let answer = way.send(&event(json!({"event_id": id, "timestamp": timestamp}))).await;
        ledger.told_of(
            &id,
            number,
            if answer.status == 200 { Outcome::Acknowledged } else { Outcome::Refused },
        );
        report.expect(answer.status == status, || format!("{day}: {} instead of {status}", answer.status));
    }
}
