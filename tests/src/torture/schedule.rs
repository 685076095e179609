//! What breaks when. A schedule follows from its seed and the shape of the cluster alone.

use std::{collections::HashSet, time::Duration};

use super::{
    fault::{Fault, LASTING_MILLIS, Link},
    proxy::Mode,
    rng::Rng,
};

/// Faults that are there at the same time, and how long.
#[derive(Clone, PartialEq, Debug)]
pub struct Round {
    /// How long all is well before it.
    pub quiet: Duration,
    /// At most one for each thing that can break.
    pub faults: Vec<Fault>,
    /// How long they last.
    pub lasting: Duration,
}

/// What there is to break.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many servers.
    pub nodes: usize,
    /// Whether there is a PostgreSQL.
    pub postgres: bool,
    /// Whether there is a Redis.
    pub redis: bool,
    /// Whether the store has a disk of its own.
    pub disk: bool,
}

/// An endless schedule.
pub struct Schedule {
    rng: Rng,
    shape: Shape,
    /// Kinds that were not had yet come first, so that a short run has each once.
    deck: Vec<Fault>,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn new(seed: u64, shape: Shape) -> Self {
        Self { rng: Rng::new(seed), shape, deck: Vec::new() }
    }

    fn draw(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck = all(self.shape, &mut self.rng);
            self.rng.shuffle(&mut self.deck);
        }
        self.deck.pop().expect("there is always something to break")
    }
}

impl Iterator for Schedule {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let wanted = if self.rng.percent(40) { 2 } else { 1 };
        let mut faults: Vec<Fault> = Vec::new();
        let mut targets = HashSet::new();
        for _ in 0..wanted {
            let fault = self.draw();
            if targets.insert(fault.target()) {
                faults.push(fault);
            }
        }
        // What needs another to be well comes before that breaks.
        faults.sort_by_key(|fault| *fault != Fault::TerminateBackends);
        Some(Round { quiet: self.rng.duration(200..900), faults, lasting: self.rng.duration(LASTING_MILLIS) })
    }
}

/// Every kind of fault once, on a server of the generator's choice.
fn all(shape: Shape, rng: &mut Rng) -> Vec<Fault> {
    let modes = |rng: &mut Rng| {
        [
            Mode::Delay(rng.duration(20..400)),
            Mode::Hold,
            Mode::HoldAnswers,
            Mode::Reset,
            Mode::CutAfter(rng.number(0..2_000)),
            Mode::Trickle(rng.duration(1..20)),
        ]
    };
    let mut faults = Vec::new();
    // Twice: it is what happens most.
    for _ in 0..2 {
        faults.push(Fault::KillServer(rng.index(shape.nodes)));
    }
    faults.push(Fault::PauseServer(rng.index(shape.nodes)));
    for mode in modes(rng) {
        faults.push(Fault::Spoil(Link::Front(rng.index(shape.nodes)), mode));
    }
    if shape.postgres {
        faults.extend([
            Fault::CrashPostgres,
            Fault::PausePostgres,
            Fault::KillBackend(rng.index(100)),
            Fault::TerminateBackends,
        ]);
        for mode in modes(rng) {
            faults.push(Fault::Spoil(Link::Database(rng.index(shape.nodes)), mode));
        }
        for is_silent in [false, true] {
            let mode = Mode::LoseCommits { one_in: rng.number(1..6), is_silent };
            faults.push(Fault::Spoil(Link::Database(rng.index(shape.nodes)), mode));
        }
    }
    if shape.disk {
        faults.push(Fault::FillDisk);
    }
    if shape.redis {
        faults.extend([Fault::KillRedis, Fault::PauseRedis]);
        for mode in modes(rng) {
            faults.push(Fault::Spoil(Link::Limiter(rng.index(shape.nodes)), mode));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { nodes: 2, postgres: true, redis: true, disk: true };

    #[test]
    fn the_same_seed_is_the_same_schedule() {
        let rounds = |seed| Schedule::new(seed, SHAPE).take(200).collect::<Vec<Round>>();
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
    }

    #[test]
    fn every_kind_of_fault_comes_and_none_twice_on_the_same_thing() {
        let rounds: Vec<Round> = Schedule::new(1, SHAPE).take(60).collect();
        let kinds: HashSet<String> =
            rounds.iter().flat_map(|round| &round.faults).map(|fault| fault.kind()).collect();
        assert_eq!(kinds.len(), 2 + 6 + 4 + 6 + 2 + 1 + 2 + 6, "{kinds:?}");
        for round in rounds {
            let targets: HashSet<String> = round.faults.iter().map(|fault| fault.target()).collect();
            assert_eq!(targets.len(), round.faults.len(), "{round:?}");
        }
    }
}
