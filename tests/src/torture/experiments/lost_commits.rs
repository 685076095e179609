//! T1d. PostgreSQL commits and the news gets lost: such an event is never answered with a 4xx or 500, and
//! sent again it is a duplicate.

use std::{sync::Arc, time::Duration};

use crate::{
    Combination,
    ledger::Ledger,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        proxy::Mode,
        report::Report,
        traffic::{Traffic, resolve},
    },
};

const SENDERS: usize = 16;
/// So that an insert without an answer is given up before the client gives up.
const SETTINGS: [(&str, &str); 1] = [("database.ingest_timeout", "500ms")];

pub(super) async fn run(wish: Wish, is_silent: bool) -> Report {
    let mut report = Report::default();
    let cluster =
        Cluster::start(Plan { settings: &SETTINGS, ..Plan::usual(Combination::POSTGRES_REDIS) }).await;
    let tenant = cluster.unlimited_tenant().await;
    let ledger = Arc::new(Ledger::default());
    let ways = cluster.ways(&tenant);
    for node in &cluster.nodes {
        let one_in = if is_silent { 10 } else { 3 };
        node.database.as_ref().expect("it is PostgreSQL").set(Mode::LoseCommits { one_in, is_silent });
    }

    let traffic = Traffic::start(&ways, SENDERS, &ledger, wish.rng());
    tokio::time::sleep(Duration::from_secs(wish.pick(8, 30))).await;
    let heard = traffic.stop().await;
    let lost: u64 =
        cluster.nodes.iter().filter_map(|node| node.database.as_ref()).map(|link| link.commits_lost()).sum();
    cluster.mend_links();
    let unknown = resolve(&ways[0], &ledger, Duration::from_secs(60)).await;

    report.figure("commits whose news was lost", lost);
    report.figure("answers by status (0: none)", format!("{:?}", heard.statuses));
    report.figure("codes of errors", format!("{:?}", heard.codes));
    report.figure("unknown and resolved", unknown);
    report.expect(lost > 0, || "no news was lost: this proves nothing".to_owned());
    // With a connection that ends, the server tries again and finds its own rows: nobody has to be told.
    let is_told = heard.codes.contains_key("outcome_unknown");
    report.expect(is_told == is_silent, || format!("answered as unknown: {is_told}"));
    report.expect(heard.unexpected().is_empty(), || format!("unexpected statuses {:?}", heard.unexpected()));
    report.compare(&ledger, &cluster.rows(&tenant).await);
    report
}
