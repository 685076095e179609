//! What evaluates rules and tells people, put together.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use pulsestream_alerting::{Deliverer, Evaluator, deliver_settings, job_settings};
use pulsestream_api::Alerting;
use pulsestream_domain::ports::JobQueue;
use pulsestream_jobs::{Handler, KindSettings, Workers};
use pulsestream_notification::{Mailer, Notifier, NotifierSettings, OutboundPolicy, SystemResolver};
use pulsestream_storage::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    compose::{clock, ids},
    retention::ExpireEvents,
    sealing_key,
    settings::Settings,
    tenancy,
};

/// How long jobs that run when the server ends may go on.
const PATIENCE: Duration = Duration::from_secs(3);
/// Rules under way at a time for each worker. The store answers rules of one tenant together, so that many
/// cost little more than one, and lets only a few questions work at a time.
const RULES_PER_WORKER: u32 = 500;
/// Notices under way at a time for each worker.
const NOTICES_PER_WORKER: u32 = 4;

/// What works on rules and notices, for requests and in the background.
///
/// # Errors
/// When there is no key to seal secrets with.
pub(crate) fn parts(settings: &Settings, store: &Store, mailer: Option<Arc<Mailer>>) -> Result<Alerting> {
    let policy = settings.outbound_policy();
    let evaluator = Evaluator::new(Arc::new(store.clone()), clock(), ids(), settings.alerting.evaluator());
    Ok(Alerting {
        evaluator: Arc::new(evaluator),
        notifier: Arc::new(notifier(policy.clone(), mailer)?),
        policy,
        keyring: sealing_key::keyring(settings)?,
        randomness: Arc::new(|| Ok(tenancy::entropy()?)),
        max_rules: settings.alerting.max_rules,
    })
}

fn notifier(policy: OutboundPolicy, mailer: Option<Arc<Mailer>>) -> Result<Notifier> {
    let settings = NotifierSettings { policy, ..NotifierSettings::default() };
    Notifier::new(settings, Arc::new(SystemResolver), mailer).context("preparing to send notices")
}

/// Starts to evaluate rules, to send notices, and to remove what was kept long enough.
pub(crate) fn start(settings: &Settings, store: &Store, alerting: &Alerting) -> Workers {
    let (store, jobs) = (Arc::new(store.clone()), &settings.jobs);
    // It only spreads retries, so that a number that is no surprise is good enough when there is no other.
    let entropy = Arc::new(|| getrandom::u64().unwrap_or_default());
    let deliverer = Deliverer::new(
        Arc::clone(&store) as _,
        Arc::clone(&alerting.notifier) as _,
        alerting.keyring.clone(),
        clock(),
        ids(),
        entropy.clone(),
        settings.deliverer(),
    );
    let evaluating = KindSettings { concurrency: jobs.workers * RULES_PER_WORKER, ..job_settings() };
    let delivering = KindSettings { concurrency: jobs.workers * NOTICES_PER_WORKER, ..deliver_settings() };
    let expire = ExpireEvents::new((*store).clone(), clock());
    let handlers: [(Arc<dyn Handler>, KindSettings); 3] = [
        (Arc::clone(&alerting.evaluator) as _, evaluating),
        (Arc::new(deliverer), delivering),
        (Arc::new(expire), ExpireEvents::settings()),
    ];
    Workers::start(store as Arc<dyn JobQueue>, handlers, clock(), entropy, jobs.service())
}

/// Works until told to stop, and then brings to an end what was begun.
pub(crate) async fn work(workers: Workers, stop: CancellationToken) {
    stop.cancelled().await;
    let drained = workers.drain(PATIENCE).await;
    tracing::info!(
        jobs.finished = drained.finished,
        jobs.released = drained.released,
        jobs.abandoned = drained.abandoned,
        "no more rules are evaluated and no more notices are sent here"
    );
}
