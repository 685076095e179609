//! T16. The schema of the next release is made while servers of this one are under load: with a table that somebody has
//! locked, by several at a time, and killed half way. Servers of this release go on, and those of the next work beside them.

use std::{
    process::Output,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use sea_orm::sqlx::{Connection as _, Executor as _};

use crate::{
    Combination, command, event_with,
    ledger::Ledger,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        timing::{Timing, seconds},
        traffic::{Traffic, resolve, wait_until_stored},
    },
    unique,
};

const SENDERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a step may wait for a lock, and so everybody behind it; and what a busy machine adds.
const STALL: Duration = Duration::from_secs(2 + 1);
/// How long a migration that can't have its lock may take, all tries together.
const GIVEN_UP: Duration = Duration::from_secs(15);

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let mut rng = wish.rng();
    let cluster = Cluster::start(Plan::usual(Combination::POSTGRES)).await;
    let app = &cluster.nodes[0].app;
    let tenant = cluster.unlimited_tenant().await;
    let (mut ways, ledger) = (cluster.ways(&tenant), Arc::new(Ledger::default()));
    wait_until_stored(&ways[0], &ledger, PATIENCE).await;
    let traffic = Traffic::start(&ways, SENDERS, &ledger, rng.fork());
    let migrate = |sabotage: &str| {
        let mut migrate = command::program_doing(app.ground(), app.settings(), Some(sabotage));
        migrate.arg("migrate");
        command::output(migrate)
    };

    // The program may have to be built first, which is none of what is timed.
    drop(command::program_doing(app.ground(), app.settings(), Some("schema=next")));
    // A search that somebody forgot to end: it holds nothing that anybody but a migration waits for.
    let mut forgetful = app.ground().postgres().await;
    let mut forgotten = forgetful.begin().await.expect("the database works");
    forgotten.execute("SELECT 1 FROM events LIMIT 1").await.expect("the table is there");
    let begun = Instant::now();
    let stalls = stalls(&ways[0], &ledger);
    let (blocked, stalls) = tokio::join!(migrate("schema=next"), async {
        tokio::select! { timing = stalls => timing, () = tokio::time::sleep(GIVEN_UP) => unreachable!("it ends") }
    });
    let gave_up = begun.elapsed();
    forgotten.rollback().await.expect("the database works");
    let said = said(&blocked);
    report.figure("with a locked table it gave up after", seconds(gave_up));
    report.figure("longest insert meanwhile", seconds(stalls.max()));
    report.expect(!blocked.status.success() && said.contains("locked"), || format!("it said {said}"));
    report.expect(gave_up < GIVEN_UP, || format!("it took {gave_up:?} to give up"));
    report.expect(stalls.max() < STALL, || format!("an insert took {:?}", stalls.max()));

    // Killed when everything is done and nothing committed.
    let killed = migrate("schema=next,abort=schema_changed:1").await;
    report.expect(!killed.status.success(), || "it was to die".to_owned());
    report.expect(columns(app).await == 0, || "half a step is there".to_owned());

    // By several at a time.
    let begun = Instant::now();
    let all = join_all((0..3).map(|_| migrate("schema=next"))).await;
    report.figure("three at a time took", seconds(begun.elapsed()));
    for output in &all {
        report.expect(output.status.success(), || format!("a migration said {}", self::said(output)));
    }
    report.expect(columns(app).await == 3, || "the step was not done, or not once".to_owned());
    let invalid = app.ground().number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await;
    report.figure("invalid indexes", invalid);
    report.expect(invalid == 0, || format!("{invalid} indexes are invalid"));

    // This release on that schema, freshly started, and the next one beside it.
    let this = app.another().await;
    let next = app.another_with(&[], Some("schema=next")).await;
    for server in [&this, &next] {
        let ready = server.anonymous().get("/readyz").await.status;
        report.expect(ready == 200, || format!("/readyz says {ready} on the next schema"));
        let way = tenant.at(server);
        wait_until_stored(&way, &ledger, PATIENCE).await;
        ways.push(way);
    }
    let warned = this.process().log().contains("steps ahead of this version");
    report.expect(warned, || "a server on a later schema does not say so".to_owned());
    let beside = Traffic::start(&ways[ways.len() - 2..], SENDERS, &ledger, rng.fork());
    tokio::time::sleep(Duration::from_secs(wish.pick(2, 10))).await;
    let heard = [traffic.stop().await, beside.stop().await];
    let unknown = resolve(&ways[0], &ledger, Duration::from_secs(60)).await;

    for heard in heard {
        report.figure("answers by status", format!("{:?}", heard.statuses));
        report.expect(heard.unexpected().is_empty(), || format!("unexpected: {:?}", heard.unexpected()));
    }
    report.figure("unknown and resolved", unknown);
    report.compare(&ledger, &cluster.rows(&tenant).await);
    drop((this, next));
    report
}

/// How long single inserts take while somebody changes the schema, for as long as that gives up.
async fn stalls(way: &crate::Client, ledger: &Ledger) -> Timing {
    let (mut timing, until) = (Timing::default(), Instant::now() + Duration::from_secs(8));
    while Instant::now() < until {
        let id = unique("stall");
        let number = ledger.sent_with(&id, "stall");
        let begun = Instant::now();
        let answer = way.send(&event_with(&id, "stall")).await;
        timing.add(begun.elapsed());
        if answer.status == 200 {
            ledger.told_of(&id, number, crate::ledger::Outcome::Acknowledged);
        }
    }
    timing
}

/// In how many tables the step has added its column.
async fn columns(app: &crate::App) -> i64 {
    app.ground().number("SELECT count(*) FROM information_schema.columns WHERE column_name = 'next'").await
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}
