//! T1b and T22. Random faults, one or two at a time, under load; after each, everything has to work again.
//! In the end nothing is lost, doubled, changed or made up.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Combination, Database,
    ledger::Ledger,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        disk::Disk,
        fault::{Fault, RECOVERY},
        report::Report,
        schedule::{Schedule, Shape},
        timing::{Timing, seconds},
        traffic::{Traffic, resolve, try_until_stored, wait_until_stored},
    },
};

const SENDERS: usize = 16;
/// Room for what is stored in half an hour.
const DISK_BYTES: u64 = 16 * 1024 * 1024 * 1024;

pub(super) async fn run(wish: Wish, combination: Combination) -> Report {
    let mut report = Report::default();
    // A short run leaves the full disk to T1f.
    let has_disk = combination.database == Database::Sqlite && !wish.is_short;
    let disk = has_disk.then(|| Disk::mount(DISK_BYTES)).transpose();
    if let Err(why) = &disk {
        report.figure("the disk was never full", why);
    }
    let mut cluster = Cluster::start_on(Plan::usual(combination), disk.unwrap_or_default()).await;
    let tenant = cluster.unlimited_tenant().await;
    let ledger = Arc::new(Ledger::default());
    let ways = cluster.ways(&tenant);
    let shape = Shape {
        nodes: cluster.nodes.len(),
        postgres: cluster.postgres.is_some(),
        redis: cluster.redis.is_some(),
        disk: cluster.disk.is_some(),
    };
    let length = wish.random_faults.unwrap_or(Duration::from_secs(wish.pick(25, 90)));
    let traffic = Traffic::start(&ways, SENDERS, &ledger, wish.rng());
    for way in &ways {
        wait_until_stored(way, &ledger, RECOVERY).await;
    }

    let (mut counted, mut recoveries) = (BTreeMap::<String, usize>::new(), Timing::default());
    let mut slowest = (Duration::ZERO, String::new());
    let mut broken = Duration::ZERO;
    let end = Instant::now() + length;
    for round in Schedule::new(wish.seed, shape) {
        if Instant::now() > end {
            break;
        }
        if wish.is_verbose {
            println!("      {:?} left: {round:?}", end.saturating_duration_since(Instant::now()));
        }
        tokio::time::sleep(round.quiet).await;
        for fault in &round.faults {
            *counted.entry(fault.kind()).or_default() += 1;
            fault.inject(&mut cluster).await;
        }
        tokio::time::sleep(round.lasting).await;
        broken += round.lasting * round.faults.len() as u32;
        // What servers stand on first: they don't start without it.
        let (below, above): (Vec<Fault>, Vec<Fault>) =
            round.faults.iter().partition(|fault| fault.is_below_servers());
        for fault in below {
            fault.mend(&mut cluster).await;
        }
        cluster.wait_for_store().await;
        for fault in above {
            fault.mend(&mut cluster).await;
        }
        for way in &ways {
            let took = match try_until_stored(way, &ledger, RECOVERY).await {
                Ok(took) => took,
                Err(failure) => {
                    report.expect(false, || format!("after {:?}: {failure}", round.faults));
                    // What comes after is to be seen as well, if anything does.
                    wait_until_stored(way, &ledger, 4 * RECOVERY).await
                }
            };
            recoveries.add(took);
            if took > slowest.0 {
                slowest = (took, format!("{:?}", round.faults));
            }
        }
    }

    let heard = traffic.stop().await;
    let unknown = resolve(&ways[0], &ledger, Duration::from_secs(60)).await;
    let faults: Vec<String> = counted.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    report.figure("faults", format!("{}: {}", counted.values().sum::<usize>(), faults.join(", ")));
    report.figure("time with a fault", seconds(broken));
    report.figure("answers by status (0: none)", format!("{:?}", heard.statuses));
    report.figure("codes of errors", format!("{:?}", heard.codes));
    report.figure("sent again although stored", heard.resent);
    report.figure("unknown and resolved", unknown);
    report.figure(
        "recovery p50 and max",
        format!("{}, {} ({})", seconds(recoveries.quantile(0.5)), seconds(slowest.0), slowest.1),
    );
    report.expect(heard.unexpected().is_empty(), || format!("unexpected statuses {:?}", heard.unexpected()));
    report.compare(&ledger, &cluster.rows(&tenant).await);
    report
}
