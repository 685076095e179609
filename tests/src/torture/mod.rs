//! Everything broken on purpose, and what was lost counted.
//!
//! An experiment starts a [cluster] of its own, lets [clients](traffic) send and keep book, breaks
//! things, mends them, has everything sent again of which nobody knows, and compares the store with the book.
//! What breaks when follows from a seed, so that a run can be had again.
//!
//! | module | holds |
//! |---|---|
//! | [`cluster`] | a private PostgreSQL and Redis, servers on them, and a [proxy] on every link |
//! | [`commits`] | where in PostgreSQL's answers a commit is told, so that exactly that can be lost |
//! | [`disk`] | a disk that can be full |
//! | [`fault`], [`schedule`] | what can break, and when it does |
//! | [`resources`] | what a server holds of the machine |
//! | [`traffic`] | clients that send all the time |
//! | [`wire`] | a client that costs next to nothing |
//! | [`good_clients`] | clients that mean well beside those that don't |
//! | [`report`], [`figures`] | figures and failures of an experiment, and those of a run as a table |
//! | [`experiments`] | the experiments, each with the name it has in `docs/dependability.md` |
//! | [`mutants`] | servers that do one thing wrong, which have to be caught |

pub mod cluster;
pub mod commits;
pub mod disk;
pub mod experiments;
pub mod fault;
pub mod figures;
pub mod good_clients;
pub mod mutants;
pub mod proxy;
pub mod report;
pub mod resources;
pub mod rng;
pub mod schedule;
pub mod timing;
pub mod traffic;
pub mod wire;

use std::time::Duration;

use good_clients::Pace;
use rng::Rng;

/// What a run was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// What every choice of the run follows from.
    pub seed: u64,
    /// Whether it should be over soon.
    pub is_short: bool,
    /// Whether to say what breaks when it does.
    pub is_verbose: bool,
    /// How long the random faults go on, when that was said.
    pub random_faults: Option<Duration>,
}

impl Wish {
    /// The generator of an experiment.
    pub fn rng(&self) -> Rng {
        Rng::new(self.seed)
    }

    /// How much those send who mean well, beside those who mean ill.
    fn paces(&self) -> &'static [Pace] {
        self.pick(&[Pace::Usual], &[Pace::Usual, Pace::Full])
    }

    /// One of two lengths.
    pub fn pick<T>(&self, short: T, long: T) -> T {
        if self.is_short { short } else { long }
    }
}
