//! T6a. Somebody locks the table: inserts end in 503 in bounded time, reading and probes go on, and all is
//! well again when the lock is gone.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::sqlx::{Connection as _, Executor as _};

use tokio::task::JoinHandle;

use crate::{
    Combination, Tenant, event_with_id,
    ledger::{Ledger, Outcome},
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        timing::{Timing, seconds},
        traffic::{Traffic, resolve, wait_until_stored},
    },
    unique,
};

const SENDERS: usize = 32;
/// Longer than any time limit of an insert.
const LOCKED: Duration = Duration::from_secs(14);
/// `database.ingest_timeout`, a wait for a connection, and what a busy machine adds.
const INSERT: Duration = Duration::from_secs(5 + 2 + 1);
/// How long a probe may take on a busy machine.
const PROBE: Duration = Duration::from_millis(500);
/// How soon it is well again.
const RECOVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan { nodes: 1, ..Plan::usual(Combination::POSTGRES) }).await;
    let app = &cluster.nodes[0].app;
    let tenant = app.unlimited_tenant().await;
    let (ways, ledger) = (cluster.ways(&tenant), Arc::new(Ledger::default()));
    wait_until_stored(&ways[0], &ledger, RECOVERY).await;
    let traffic = Traffic::start(&ways, SENDERS, &ledger, wish.rng());

    let mut locker = app.ground().postgres().await;
    let mut lock = locker.begin().await.expect("the database works");
    // Writing waits, reading does not.
    lock.execute("LOCK TABLE events IN EXCLUSIVE MODE").await.expect("the table is there");
    let patient = patient_client(tenant.clone(), Arc::clone(&ledger));
    let until = Instant::now() + LOCKED;
    let (mut probes, mut searches) = (Timing::default(), Timing::default());
    while Instant::now() < until {
        let begun = Instant::now();
        app.anonymous().get("/livez").await.expect(200);
        probes.add(begun.elapsed());
        let begun = Instant::now();
        let status = tenant.search(&[("limit", "1")]).await.status;
        report.expect(status == 200, || format!("a search says {status} while inserts wait"));
        searches.add(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    lock.rollback().await.expect("the database works");
    let (status, waited) = patient.await.expect("a client never panics");
    let recovery = wait_until_stored(&ways[0], &ledger, RECOVERY).await;
    let heard = traffic.stop().await;
    let unknown = resolve(&ways[0], &ledger, Duration::from_secs(60)).await;

    report.figure("answers by status (0: none within 4 s)", format!("{:?}", heard.statuses));
    report.figure("codes of errors", format!("{:?}", heard.codes));
    report.figure(
        "probe and search p99",
        format!("{}, {}", seconds(probes.quantile(0.99)), seconds(searches.quantile(0.99))),
    );
    report.figure("a client that waits is answered", format!("{status} after {}", seconds(waited)));
    report.expect(status == 503 && waited < INSERT, || {
        format!(
            "a client that waits was answered {status} after {waited:?}, and an insert may take {INSERT:?}"
        )
    });
    report.figure("recovery", seconds(recovery));
    report.figure("unknown and resolved", unknown);
    report.expect(probes.quantile(0.99) < PROBE, || format!("a probe took {:?}", probes.quantile(0.99)));
    report.expect(heard.unexpected().is_empty(), || format!("unexpected statuses {:?}", heard.unexpected()));
    report.compare(&ledger, &cluster.rows(&tenant).await);
    report
}

/// Sends one event and waits as long as it takes. Answers with the status and how long that was.
fn patient_client(tenant: Tenant, ledger: Arc<Ledger>) -> JoinHandle<(u16, Duration)> {
    tokio::spawn(async move {
        let (id, begun) = (unique("patient"), Instant::now());
        ledger.sent(&id);
        let status = tenant.send(&event_with_id(&id)).await.status;
        if status == 200 {
            ledger.told(&id, Outcome::Acknowledged);
        }
        (status, begun.elapsed())
    })
}
