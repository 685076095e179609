//! Black-box tests of the whole product. Each trial is named `module::what_holds::database+limiter`.

use libtest_mimic::{Arguments, Trial};
use pulsestream_tests::trials;

mod access_log;
mod alerting;
mod architecture;
mod backup;
mod batches;
mod corpus;
mod crashes;
mod credentials;
mod edge;
mod idempotency;
mod identity;
mod limits;
mod load;
mod mail_server;
mod mails;
mod matrix;
mod overload;
mod races;
mod redis_away;
mod reports;
mod retention;
mod sabotage;
mod scenarios;
mod search;
mod secrets;
mod shutdown;
mod startup;
mod tables;
mod text_index;
mod upgrade;

/// Trials wait more than they compute.
const TRIALS_PER_CORE: usize = 2;

fn main() {
    let mut arguments = Arguments::from_args();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    arguments.test_threads = arguments.test_threads.or(Some(cores * TRIALS_PER_CORE));
    trials::record_panics();
    trials::watch();

    let conclusion = libtest_mimic::run(&arguments, all());
    if !arguments.list {
        trials::finish();
    }
    conclusion.exit();
}

fn all() -> Vec<Trial> {
    let modules = [
        scenarios::trials(),
        batches::trials(),
        idempotency::trials(),
        limits::trials(),
        load::trials(),
        credentials::trials(),
        identity::trials(),
        matrix::trials(),
        search::trials(),
        text_index::trials(),
        reports::trials(),
        retention::trials(),
        races::trials(),
        crashes::trials(),
        redis_away::trials(),
        overload::trials(),
        edge::trials(),
        secrets::trials(),
        shutdown::trials(),
        startup::trials(),
        backup::trials(),
        upgrade::trials(),
        access_log::trials(),
        alerting::trials(),
        mails::trials(),
        architecture::trials(),
        sabotage::trials(),
        corpus::trials(),
    ];
    let mut all: Vec<Trial> = modules.into_iter().flatten().collect();
    let tables = tables::trials(&all);
    all.extend(tables);
    all
}
