//! What one run of something gave, and what it cost.

use std::{
    process,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::cpu;

/// What one run did, as told by whoever drove it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Events that were acknowledged.
    pub(crate) events: u64,
    /// How long that took, without the time to connect.
    pub(crate) elapsed: Duration,
    /// Events that may have been on their way when the time was up: stored perhaps, not acknowledged.
    pub(crate) in_flight: u64,
    /// Of all events that were sent: those that had been sent before.
    pub(crate) repeated: u64,
    /// Of requests; `None` where the driver does not know.
    pub(crate) latency: Option<Latency>,
}

/// How long requests took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// The 99.9th percentile.
    pub(crate) p999: Duration,
}

/// Whose processor time is counted, by process id. Everything that these started counts with them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    /// Those of the product, or the one of a yardstick that serves HTTP.
    pub(crate) servers: Vec<u32>,
    pub(crate) database: Option<u32>,
    pub(crate) redis: Option<u32>,
}

/// Processor time, each in total or for one event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Costs {
    pub(crate) server: Option<Duration>,
    pub(crate) database: Option<Duration>,
    pub(crate) redis: Option<Duration>,
}

/// What one run gave and cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measurement {
    pub(crate) tally: Tally,
    costs: Costs,
    /// The share of all cores that went to others meanwhile, 0 to 1.
    pub(crate) foreign: f64,
    /// What was not read off the processors; whoever ran it fills it in.
    pub(crate) traces: Traces,
}

/// What a run left behind. Each is `None` where it was not looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traces {
    /// Bytes of write-ahead log.
    pub(crate) wal_bytes: Option<u64>,
    /// Bytes of the table and its indexes.
    pub(crate) stored_bytes: Option<u64>,
    /// Requests to Redis.
    pub(crate) redis_calls: Option<u64>,
    /// What the servers take in memory before they have any connection, in bytes.
    pub(crate) memory_at_rest: Option<u64>,
    /// The most they have taken, each at its own time.
    pub(crate) memory_at_peak: Option<u64>,
}

impl Watched {
    fn costs(&self) -> Result<Costs> {
        let of = |pid: Option<u32>| pid.map(cpu::of_tree).transpose();
        let servers: Vec<Duration> =
            self.servers.iter().map(|pid| cpu::of_tree(*pid)).collect::<Result<_>>()?;
        Ok(Costs {
            server: (!servers.is_empty()).then(|| servers.iter().sum()),
            database: of(self.database)?,
            redis: of(self.redis)?,
        })
    }
}

impl Measurement {
    /// Runs something and looks at the processors meanwhile.
    ///
    /// # Errors
    /// When the run fails, or acknowledged nothing.
    pub(crate) fn of(watched: &Watched, run: impl FnOnce() -> Result<Tally>) -> Result<Self> {
        let start = Instant::now();
        let machine = cpu::of_machine()?;
        let own = cpu::of_tree(process::id())?;
        let before = watched.costs()?;

        let tally = run()?;
        ensure!(tally.events > 0, "nothing was acknowledged");

        let after = watched.costs()?;
        let own = cpu::of_tree(process::id())?.saturating_sub(own);
        let machine = cpu::of_machine()?.saturating_sub(machine);
        let capacity = start.elapsed().as_secs_f64() * cpu::cores() as f64;
        let foreign = machine.saturating_sub(own).as_secs_f64() / capacity;
        Ok(Self { tally, costs: after.since(before), foreign, traces: Traces::default() })
    }

    /// Acknowledged events per second.
    pub(crate) fn rate(&self) -> f64 {
        self.tally.events as f64 / self.tally.elapsed.as_secs_f64()
    }

    /// So much for one event.
    pub(crate) fn per_event(&self, total: u64) -> f64 {
        total as f64 / self.tally.events as f64
    }

    /// Processor time for one event.
    pub(crate) fn cost_per_event(&self) -> Costs {
        self.costs.map(|total| total.div_f64(self.tally.events as f64))
    }

    /// See [`Tally::check_stored`].
    ///
    /// # Errors
    /// When something else was stored.
    pub(crate) fn check_stored(&self, stored: u64) -> Result<()> {
        self.tally.check_stored(stored)
    }
}

impl Tally {
    /// What two drivers did at the same time. Of percentiles, the worse one of the two stands for both.
    pub(crate) fn beside(self, other: Self) -> Self {
        Self {
            events: self.events + other.events,
            elapsed: self.elapsed.max(other.elapsed),
            in_flight: self.in_flight + other.in_flight,
            repeated: self.repeated + other.repeated,
            latency: self.latency.zip(other.latency).map(|(one, two)| one.or_worse(two)),
        }
    }

    /// Makes sure that what was acknowledged was stored, and nothing else.
    ///
    /// # Errors
    /// When it was not.
    pub(crate) fn check_stored(&self, stored: u64) -> Result<()> {
        let Tally { events, in_flight, repeated, .. } = *self;
        let first = events.saturating_sub(repeated);
        ensure!(
            (first..=first + in_flight).contains(&stored),
            "{events} events were acknowledged, at most {in_flight} more were under way, and {repeated} had been sent \
             before, but {stored} are stored"
        );
        Ok(())
    }
}

impl Latency {
    fn or_worse(self, other: Self) -> Self {
        Self { p50: self.p50.max(other.p50), p99: self.p99.max(other.p99), p999: self.p999.max(other.p999) }
    }
}

impl Costs {
    fn since(self, before: Self) -> Self {
        let difference = |after: Option<Duration>, before: Option<Duration>| {
            after.zip(before).map(|(after, before)| after.saturating_sub(before))
        };
        Self {
            server: difference(self.server, before.server),
            database: difference(self.database, before.database),
            redis: difference(self.redis, before.redis),
        }
    }

    fn map(self, of: impl Fn(Duration) -> Duration) -> Self {
        Self { server: self.server.map(&of), database: self.database.map(&of), redis: self.redis.map(&of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_drivers_events_add_up_and_the_worse_latency_stands() {
        let tally = |events, secs, [p50, p99, p999]: [u64; 3]| Tally {
            events,
            elapsed: Duration::from_secs(secs),
            in_flight: 64,
            repeated: 0,
            latency: Some(Latency {
                p50: Duration::from_millis(p50),
                p99: Duration::from_millis(p99),
                p999: Duration::from_millis(p999),
            }),
        };
        let both = tally(1_000, 5, [2, 30, 40]).beside(tally(500, 6, [3, 20, 50]));
        assert_eq!((both.events, both.elapsed, both.in_flight), (1_500, Duration::from_secs(6), 128));
        let latency = both.latency.unwrap();
        assert_eq!([latency.p50, latency.p99, latency.p999].map(|time| time.as_millis()), [3, 30, 50]);
    }
}
