//! T18. Backups while clients write: each restored one has everything that was acknowledged before it was begun, and
//! what is not whole is refused.

use std::{
    collections::HashSet,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Combination, Database,
    backup::{self, EmptyStore},
    ledger::Ledger,
    sandbox,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        timing::{Timing, seconds},
        traffic::{Traffic, resolve, wait_until_stored},
    },
};

const SENDERS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(wish: Wish, combination: Combination) -> Report {
    let mut report = Report::default();
    let mut rng = wish.rng();
    let cluster = Cluster::start(Plan::usual(combination)).await;
    let tenant = cluster.unlimited_tenant().await;
    let (ways, ledger) = (cluster.ways(&tenant), Arc::new(Ledger::default()));
    wait_until_stored(&ways[0], &ledger, PATIENCE).await;
    let traffic = Traffic::start(&ways, SENDERS, &ledger, rng.fork());

    let (mut making, mut restoring, mut marked, mut lost) = (Timing::default(), Timing::default(), 0, 0);
    let (mut cut, mut refused) = (0, 0);
    for _ in 0..wish.pick(2, 6) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (directory, mark) = (sandbox::directory().join("backup"), ledger.acknowledged_ids());
        let begun = Instant::now();
        let made = backup::make(&cluster.nodes[0].app, &directory).await;
        making.add(begun.elapsed());
        report.expect(made.status.success(), || String::from_utf8_lossy(&made.stderr).into_owned());

        let store = EmptyStore::new(combination);
        let file = if combination.database == Database::Sqlite { "store.db" } else { "store.dump" };
        let file = directory.join(file);
        let Ok(whole) = fs::read(&file) else { continue };
        for _ in 0..10 {
            let mut part = whole.clone();
            match rng.index(2) {
                0 => part.truncate(rng.index(whole.len())),
                _ => part[rng.index(whole.len())] ^= 1 << rng.index(8),
            }
            fs::write(&file, part).expect("it is ours");
            cut += 1;
            refused += usize::from(!store.restore(&directory).await.status.success());
        }
        fs::write(&file, whole).expect("it is ours");

        let begun = Instant::now();
        let restored = store.restore(&directory).await;
        restoring.add(begun.elapsed());
        report.expect(restored.status.success(), || String::from_utf8_lossy(&restored.stderr).into_owned());
        let rows = store.ground().rows(&tenant).await;
        let there: HashSet<&str> = rows.iter().filter_map(|row| row.external_id.as_deref()).collect();
        marked += mark.len();
        lost += mark.iter().filter(|id| !there.contains(id.as_str())).count();
        report.expect(there.len() == rows.len(), || "an event is in a restored store twice".to_owned());
        // Whatever is there beside was sent: the book has every try.
        let found = ledger.compare(&rows);
        report.expect(found.phantom.is_empty() && found.doubled.is_empty(), || format!("{found:?}"));
    }
    let heard = traffic.stop().await;
    resolve(&ways[0], &ledger, Duration::from_secs(60)).await;

    report.figure("backups, each restored", making.len());
    report.figure("acknowledged before a backup, lost in it", format!("{marked}, {lost}"));
    report.figure("damaged on purpose, refused", format!("{cut}, {refused}"));
    report.figure(
        "making and restoring took at most",
        format!("{}, {}", seconds(making.max()), seconds(restoring.max())),
    );
    report.expect(marked > 0 && lost == 0, || format!("{lost} of {marked} are lost"));
    report.expect(refused == cut, || format!("{refused} of {cut} damaged backups were refused"));
    report.expect(heard.statuses.keys().all(|status| [200, 409, 422].contains(status)), || {
        format!("clients noticed: {:?}", heard.statuses)
    });
    report.compare(&ledger, &cluster.rows(&tenant).await);
    report
}
