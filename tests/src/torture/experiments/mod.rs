//! The experiments, by the names they have in `docs/dependability.md`.

mod alert_steps;
mod backups;
mod bombs;
mod clocks;
mod crash_points;
mod deadlocks;
mod disk_full;
mod durability;
mod limits;
mod locked_table;
mod lost_commits;
mod overload;
mod random_faults;
mod redis_away;
mod same_id;
mod search_model;
mod shutdown;
mod slow_readers;
mod stalled_clients;
mod upgrades;

use std::future::Future;

use futures_util::future::{BoxFuture, FutureExt};

use super::{Wish, report::Report};
use crate::Combination;

/// One experiment.
pub struct Experiment {
    /// Its name, such as `T1a/sqlite`.
    pub name: &'static str,
    /// What is broken, in a few words.
    pub about: &'static str,
    run: Box<dyn Fn(Wish) -> BoxFuture<'static, Report> + Send + Sync>,
}

impl Experiment {
    fn new<F, Found>(name: &'static str, about: &'static str, run: F) -> Self
    where
        F: Fn(Wish) -> Found + Send + Sync + 'static,
        Found: Future<Output = Report> + Send + 'static,
    {
        Self { name, about, run: Box::new(move |wish| run(wish).boxed()) }
    }

    /// Runs it.
    pub fn run(&self, wish: Wish) -> BoxFuture<'static, Report> {
        (self.run)(wish)
    }
}

/// All of them, in the order they run.
pub fn all() -> Vec<Experiment> {
    const SQLITE: Combination = Combination::SQLITE;
    const POSTGRES: Combination = Combination::POSTGRES_REDIS;
    vec![
        Experiment::new("T1a/sqlite", "the server dies at each step of a request", |wish| {
            crash_points::run(wish, SQLITE)
        }),
        Experiment::new("T1a/postgres", "the server dies at each step of a request", |wish| {
            crash_points::run(wish, POSTGRES)
        }),
        Experiment::new("T1b/sqlite", "random faults, then all is compared", |wish| {
            random_faults::run(wish, SQLITE)
        }),
        Experiment::new("T1b/postgres", "random faults, then all is compared", |wish| {
            random_faults::run(wish, POSTGRES)
        }),
        Experiment::new("T1c/refusal", "databases that could lose events", durability::unsafe_databases),
        Experiment::new("T1c/sqlite", "flushes are counted", durability::flushes_of_sqlite),
        Experiment::new("T1c/postgres", "flushes are counted", durability::flushes_of_postgres),
        Experiment::new("T1d/closed", "the news of commits is lost with the connection", |wish| {
            lost_commits::run(wish, false)
        }),
        Experiment::new("T1d/silent", "the news of commits never comes", |wish| {
            lost_commits::run(wish, true)
        }),
        Experiment::new("T1f/sqlite", "the disk is full", disk_full::sqlite),
        Experiment::new("T1f/postgres", "the disk of the tables is full", disk_full::postgres),
        Experiment::new("T2a", "a hundred clients send the same event", same_id::same_event),
        Experiment::new("T2b", "batches overlap in any order", deadlocks::run),
        Experiment::new("T2c", "the same id with other content", same_id::other_content),
        Experiment::new("T3a", "many clients at the limit, on two servers", limits::exact),
        Experiment::new("T3b", "Redis is away in every way", redis_away::run),
        Experiment::new("T3d", "one tenant floods, another does not", limits::noisy_neighbour),
        Experiment::new("T5/sqlite", "searches against a model, while others write", |wish| {
            search_model::run(wish, SQLITE)
        }),
        Experiment::new("T5/postgres", "searches against a model, while others write", |wish| {
            search_model::run(wish, POSTGRES)
        }),
        Experiment::new("T6a", "the table is locked", locked_table::run),
        Experiment::new("T6b", "clients that stall", stalled_clients::run),
        Experiment::new("T6c", "exports that nobody reads", slow_readers::run),
        Experiment::new("T6d", "twice as much as it can take", overload::run),
        Experiment::new("T6e", "bodies made to fill the memory", bombs::run),
        Experiment::new("T9/sqlite", "the server dies at each step of an alert and its notice", |wish| {
            alert_steps::run(wish, Combination::SQLITE)
        }),
        Experiment::new("T9/postgres", "the server dies at each step of an alert and its notice", |wish| {
            alert_steps::run(wish, Combination::POSTGRES)
        }),
        Experiment::new("T16", "the schema changes under load", upgrades::run),
        Experiment::new("T17", "the server is told to end under load", shutdown::run),
        Experiment::new("T18/sqlite", "backups under load", |wish| backups::run(wish, SQLITE)),
        Experiment::new("T18/postgres", "backups under load", |wish| backups::run(wish, POSTGRES)),
        Experiment::new("T20", "a server with a wrong clock", clocks::run),
    ]
}
