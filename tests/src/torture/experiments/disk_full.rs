//! T1f. The disk fills up under load and is freed again: 503 meanwhile, nothing lost, and back by itself.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
    sync::Arc,
    time::{Duration, Instant},
};

use pulsestream_testing::postgres::PostgresServer;
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{
    App, Combination,
    ledger::Ledger,
    torture::{
        Wish,
        disk::Disk,
        report::Report,
        timing::seconds,
        traffic::{Traffic, resolve, wait_until_stored},
    },
};

const SENDERS: usize = 8;
/// Room for an empty database of PostgreSQL and some thousand events.
const DISK_BYTES: u64 = 64 * 1024 * 1024;
/// How soon a full disk has to show, and how soon a freed one.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn sqlite(wish: Wish) -> Report {
    let mut report = Report::default();
    let Some(disk) = small_disk(&mut report) else { return report };
    let app = App::builder(Combination::SQLITE).sqlite(&disk.directory.join("events.db")).start().await;
    fill_and_free(wish, &app, &disk, &mut report).await;
    report
}

pub(super) async fn postgres(wish: Wish) -> Report {
    let mut report = Report::default();
    let Some(disk) = small_disk(&mut report) else { return report };
    let postgres = PostgresServer::start().unwrap_or_else(|missing| panic!("{missing:#}"));
    let owner = fs::metadata(postgres.data_directory()).expect("it runs").uid();
    let tables = disk.directory.join("tables");
    fs::create_dir(&tables).expect("the disk is empty");
    chown(&tables, Some(owner), Some(owner)).expect("who may mount may do that");
    let mut administrator = PgConnection::connect(&postgres.url("postgres")).await.expect("it runs");
    for statement in [
        format!("CREATE TABLESPACE small LOCATION '{}'", tables.display()),
        "CREATE DATABASE events TABLESPACE small".to_owned(),
    ] {
        administrator.execute(AssertSqlSafe(statement)).await.expect("a superuser may");
    }
    let app = App::builder(Combination::POSTGRES).postgres(postgres.url("events")).start().await;
    fill_and_free(wish, &app, &disk, &mut report).await;
    drop(app);
    report
}

/// A disk that is soon full, or the report has why nothing was tried.
fn small_disk(report: &mut Report) -> Option<Disk> {
    Disk::mount(DISK_BYTES).map_err(|why| report.leave_out(why)).ok()
}

async fn fill_and_free(wish: Wish, app: &App, disk: &Disk, report: &mut Report) {
    let tenant = app.unlimited_tenant().await;
    let way = tenant.client.clone();
    let ledger = Arc::new(Ledger::default());
    let (mut to_full, mut to_well) = (Duration::ZERO, Duration::ZERO);
    let mut codes = std::collections::BTreeMap::<String, usize>::new();
    for round in 0..wish.pick(2, 5) {
        wait_until_stored(&way, &ledger, PATIENCE).await;
        let traffic = Traffic::start(std::slice::from_ref(&way), SENDERS, &ledger, wish.rng());
        tokio::time::sleep(Duration::from_millis(500)).await;
        disk.fill();
        let full = Instant::now();
        let mut before = traffic.successes();
        // Full is when nothing was stored for half a second.
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let now = traffic.successes();
            if now == before {
                break;
            }
            if full.elapsed() > 3 * PATIENCE {
                report.expect(false, || format!("round {round}: the disk never ran full"));
                break;
            }
            before = now;
        }
        to_full = to_full.max(full.elapsed());
        let livez = app.anonymous().get("/livez").await.status;
        report.expect(livez == 200, || format!("/livez says {livez} with a full disk"));
        // Reading goes on.
        let search = way.search(&[("limit", "1")]).await.status;
        report.expect(search == 200, || format!("a search says {search} with a full disk"));
        disk.free();
        to_well = to_well.max(wait_until_stored(&way, &ledger, PATIENCE).await);
        let heard = traffic.stop().await;
        report.expect(heard.unexpected().is_empty(), || format!("unexpected statuses {:?}", heard.statuses));
        heard.codes.into_iter().for_each(|(code, count)| *codes.entry(code).or_default() += count);
    }
    let unknown = resolve(&way, &ledger, Duration::from_secs(60)).await;
    report.figure("codes of errors", format!("{codes:?}"));
    report.figure(
        "until full, and from free until stored",
        format!("{}, {}", seconds(to_full), seconds(to_well)),
    );
    report.figure("unknown and resolved", unknown);
    report.expect(codes.contains_key("store_full"), || format!("nobody was told store_full: {codes:?}"));
    report.compare(&ledger, &app.rows(&tenant).await);
}
