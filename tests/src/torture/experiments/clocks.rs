//! T20. One of two servers has a wrong clock: limits stay exact, ids stay unique, and stored times are right,
//! because the clock that counts is Redis'.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::future::join_all;
use serde_json::json;

use super::limits::fullest_window;
use crate::{
    Client, Combination, TenantOptions, event, event_with,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
    },
    unique,
};

const LIMIT: usize = 50;
/// How far a stored time may be from the real one.
const TOLERANCE_MICROS: i64 = 5_000_000;

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    for lead in ["-3600", "-600", "3600"] {
        let sabotage = format!("clock={lead}");
        let plan = Plan { sabotage: Some(&sabotage), ..Plan::usual(Combination::POSTGRES_REDIS) };
        let cluster = Cluster::start(plan).await;
        let options = TenantOptions::default().per_minute(1_000_000).burst(LIMIT as u64);
        let tenant = cluster.tenant(options).await;
        let ways = cluster.ways(&tenant);
        let from = now_micros();
        let length = Duration::from_secs(wish.pick(3, 10));
        join_all((0..16).map(|client| send_until(ways[client % 2].clone(), Instant::now() + length))).await;
        let rows = cluster.rows(&tenant).await;
        let fullest = fullest_window(&rows, 1_000_000);
        let wrong = |time: i64| time < from - TOLERANCE_MICROS || time > now_micros() + TOLERANCE_MICROS;
        let wrong = rows.iter().filter(|row| wrong(row.received_at)).count();
        report.figure(
            &format!("one clock {lead} s ahead"),
            format!(
                "{} events, {wrong} with a wrong time, {fullest} of {LIMIT} in the fullest second",
                rows.len()
            ),
        );
        report.expect(fullest <= LIMIT, || format!("{fullest} events in a second of {LIMIT}"));
        report.expect(wrong == 0, || format!("{wrong} of {} events have a wrong time", rows.len()));
        report.expect(rows.len() > LIMIT, || "next to nothing was stored".to_owned());

        // The same id over both is one event.
        let id = unique("clock");
        let both = [&ways[0], &ways[1], &ways[0]];
        let mut told = Vec::new();
        for way in both {
            told.push(until_not_throttled(way, &id).await);
        }
        report.expect(told == ["accepted", "duplicate", "duplicate"], || {
            format!("one id was answered {told:?}")
        });
    }
    report
}

async fn send_until(way: Client, until: Instant) {
    while Instant::now() < until {
        let status = way.send(&event(json!({"event_id": unique("clock")}))).await.status;
        assert!([200, 429].contains(&status), "{status}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_not_throttled(way: &Client, id: &str) -> String {
    loop {
        let answer = way.send(&event_with(id, "one").clone()).await;
        if answer.status != 429 {
            return answer.json()["status"].to_string().trim_matches('"').to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "servers under test are to tell times by the real clock")]
fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_micros()).expect("it is not yet the year 292277")
}
