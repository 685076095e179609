//! T1c. An acknowledged event is on the disk: databases that don't flush are refused, and flushes are counted.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sea_orm::sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::{
    App, Combination, command, event_with_id,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        timing::seconds,
    },
    unique,
};

/// How soon a server says that it will not start.
const REFUSAL: Duration = Duration::from_secs(5);
/// How far the log is written beyond what is flushed. Where a record ends with its page, the place of the next one is behind
/// the header of the next page, of 24 bytes or 40, which is not written yet.
const BEHIND: &str = "SELECT (CASE WHEN inserted % 8192 = inserted - flushed AND inserted - flushed IN (24, 40)
        THEN 0 ELSE inserted - flushed END)::bigint
    FROM (SELECT pg_current_wal_insert_lsn() - '0/0', pg_current_wal_flush_lsn() - '0/0') AS log (inserted, flushed)";
/// Requests, one after the other, of which each has to be flushed by itself.
const SERIAL: usize = 100;

/// PostgreSQL with each of the settings that lose what was acknowledged.
pub(super) async fn unsafe_databases(_: Wish) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan { nodes: 1, ..Plan::usual(Combination::POSTGRES) }).await;
    let postgres = cluster.postgres.as_ref().expect("it is one of PostgreSQL");
    let mut refused = 0;
    for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
        let mut administrator = PgConnection::connect(&postgres.url("postgres")).await.expect("it runs");
        let change = |value: &str| AssertSqlSafe(format!("ALTER SYSTEM SET {setting} = {value}"));
        administrator.execute(change("off")).await.expect("a superuser may");
        administrator.execute("SELECT pg_reload_conf()").await.expect("a superuser may");
        let value = postgres.databases();
        let deadline = Instant::now() + REFUSAL;
        while value.setting(setting).is_ok_and(|value| value != "off") && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        let begun = Instant::now();
        let app = &cluster.nodes[0].app;
        let output = command::output(command::serve(app.ground(), app.settings(), None)).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_refused = !output.status.success() && said.contains(setting) && begun.elapsed() < REFUSAL;
        report.expect(is_refused, || {
            format!("{setting} = off: {} after {:?}: {said}", output.status, begun.elapsed())
        });
        refused += usize::from(is_refused);

        administrator.execute(change("on")).await.expect("a superuser may");
        administrator.execute("SELECT pg_reload_conf()").await.expect("a superuser may");
    }
    report.figure("unsafe settings refused", format!("{refused} of 3"));
    report
}

/// Every acknowledgement of SQLite is behind a flush of the server's own.
pub(super) async fn flushes_of_sqlite(_: Wish) -> Report {
    let mut report = Report::default();
    let app = App::start(Combination::SQLITE).await;
    let tenant = app.unlimited_tenant().await;
    tenant.send(&event_with_id(&unique("flush"))).await.expect(200);

    let trace = app.ground().directory().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-e", "trace=fsync,fdatasync", "-o"]).arg(&trace);
    strace.args(["-p", &app.process().pid().to_string()]).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut strace = match strace.spawn() {
        Ok(strace) => strace,
        Err(error) => {
            report.expect(false, || format!("strace is needed to count flushes: {error}"));
            return report;
        }
    };
    wait_for_trace(app.process().pid()).await;
    let begun = Instant::now();
    for _ in 0..SERIAL {
        tenant.send(&event_with_id(&unique("flush"))).await.expect(200);
    }
    let took = begun.elapsed();
    // It lets go of the server and writes what it has.
    kill_process(Pid::from_child(&strace), Signal::INT).expect("it is a child");
    strace.wait().expect("it is a child");
    let file = std::fs::File::open(&trace).expect("strace wrote it");
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    let flushes = lines.filter(|line| line.contains("fdatasync(") || line.contains("fsync(")).count();
    report.figure("flushes for acknowledgements", format!("{flushes} for {SERIAL}, in {}", seconds(took)));
    report.expect(flushes >= SERIAL, || format!("{flushes} flushes for {SERIAL} acknowledgements"));
    report
}

/// Waits until a process is traced.
async fn wait_for_trace(pid: u32) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or("0");
        if tracer.trim() != "0" {
            return;
        }
        assert!(Instant::now() < deadline, "strace does not attach");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Every acknowledgement of PostgreSQL is behind a flush of its log.
pub(super) async fn flushes_of_postgres(_: Wish) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan { nodes: 1, ..Plan::usual(Combination::POSTGRES) }).await;
    let app = &cluster.nodes[0].app;
    let tenant = app.unlimited_tenant().await;
    tenant.send(&event_with_id(&unique("flush"))).await.expect(200);

    let before = flushed(app).await;
    for _ in 0..SERIAL {
        tenant.send(&event_with_id(&unique("flush"))).await.expect(200);
        // What is acknowledged is flushed: the log is on the disk up to where it was written.
        let behind = app.ground().number(BEHIND).await;
        report.expect(behind == 0, || format!("{behind} bytes of the log were acknowledged and not flushed"));
        if behind != 0 {
            break;
        }
    }
    report.figure(
        "bytes of the log flushed",
        format!("{} for {SERIAL} acknowledgements", flushed(app).await - before),
    );
    report
}

async fn flushed(app: &App) -> i64 {
    app.ground().number("SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint").await
}
