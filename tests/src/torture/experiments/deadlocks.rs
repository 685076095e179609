//! T2b. Writers whose batches overlap, each in an order of its own, never wait for each other in a circle.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sea_orm::sqlx::{Connection as _, Executor as _};
use serde_json::Value;

use crate::{
    Client, Combination, event_with,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        rng::Rng,
    },
};

const WRITERS: usize = 16;
const SIZE: usize = 500;
/// Fewer than the two servers have connections for inserts, which look up ids as well.
const TOGETHER: i64 = 6;
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

pub(super) async fn run(wish: Wish) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan::usual(Combination::POSTGRES_REDIS)).await;
    let tenant = cluster.unlimited_tenant().await;
    let (ways, mut rng) = (cluster.ways(&tenant), wish.rng());
    let rounds = wish.pick(6, 20);
    let mut refused = 0;
    for round in 0..rounds {
        let writers = (0..WRITERS).map(|writer| {
            let batch = overlapping(round, writer, &mut rng);
            write(ways[writer % ways.len()].clone(), batch)
        });
        let (refusals, ()) = tokio::join!(join_all(writers), begin_together(&cluster));
        refused += refusals.into_iter().sum::<usize>();
    }
    let expected = rounds * (SIZE / 2) * (WRITERS + 1);
    let rows = cluster.rows(&tenant).await.len();
    // Sessions report their counters when they end, at the latest.
    cluster.nodes.iter().for_each(|node| _ = node.app.process().stop());
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks = cluster.nodes[0].app.ground().number(deadlocks).await;
    report.figure("writers x batches x events", format!("{WRITERS} x {rounds} x {SIZE}"));
    report.figure("deadlocks, and batches to be sent again", format!("{deadlocks}, {refused}"));
    report.expect(deadlocks == 0, || format!("{deadlocks} deadlocks"));
    report.expect(rows == expected, || format!("{rows} rows instead of {expected}"));
    report
}

/// Holds inserts up until several wait: the more of them run at once, the sooner two would wait for each other. For a
/// second at most: who waits for two gives up, and comes back at a time of its own.
async fn begin_together(cluster: &Cluster) {
    let ground = cluster.nodes[0].app.ground();
    let mut gate = ground.postgres().await;
    let mut held = gate.begin().await.expect("the database works");
    held.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE").await.expect("the table is there");
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until && ground.number(WAITING).await < TOGETHER {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    held.commit().await.expect("the database works");
}

/// Half of it is common to all writers of the round.
fn overlapping(round: usize, writer: usize, rng: &mut Rng) -> Vec<Value> {
    let common = (0..SIZE / 2).map(|number| format!("{round}-common-{number}"));
    let own = (0..SIZE / 2).map(|number| format!("{round}-{writer}-{number}"));
    let mut ids: Vec<String> = common.chain(own).collect();
    rng.shuffle(&mut ids);
    ids.iter().map(|id| event_with(id, "one")).collect()
}

/// Sends until all is stored. Answers with how often it had to be sent again.
async fn write(way: Client, batch: Vec<Value>) -> usize {
    for refused in 0..20 {
        let answer = way.send_batch(&batch).await;
        if answer.status == 200 && answer.json()["failed_count"] == 0 {
            return refused;
        }
        assert!([200, 503].contains(&answer.status), "{}", answer.text());
    }
    panic!("a batch was refused twenty times");
}
