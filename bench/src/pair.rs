//! Yardstick and product, one right after the other.

use anyhow::{Context, Result};

use crate::{
    case::{Case, Gate},
    measurement::{Costs, Latency, Measurement},
    stage::Stage,
};

/// How much of the processors others may use during a pair that counts, 0 to 1.
pub(crate) const MAX_FOREIGN: f64 = 0.15;

/// One pair.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) yardstick: Measurement,
    pub(crate) product: Measurement,
}

/// All pairs of a case, in the order they ran.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) case: &'static Case,
    pub(crate) pairs: Vec<Pair>,
}

impl Pair {
    /// Runs one. Whoever goes first meets the machine as the pair before left it, so they take turns.
    ///
    /// # Errors
    /// When one of them fails.
    pub(crate) fn run(stage: &mut Stage, case: &Case, product_first: bool) -> Result<Self> {
        let product =
            |stage: &mut Stage| stage.product(case.setup, case.load).context("measuring the product");
        let yardstick =
            |stage: &mut Stage| stage.yardstick(case.yardstick, case.load).context("measuring the yardstick");
        if product_first {
            let product = product(stage)?;
            Ok(Self { yardstick: yardstick(stage)?, product })
        } else {
            Ok(Self { yardstick: yardstick(stage)?, product: product(stage)? })
        }
    }

    /// The rate of the product, as a multiple of the yardstick's.
    pub(crate) fn ratio(&self) -> f64 {
        self.product.rate() / self.yardstick.rate()
    }

    /// Whether others left the machine alone.
    pub(crate) fn is_quiet(&self) -> bool {
        self.yardstick.foreign.max(self.product.foreign) <= MAX_FOREIGN
    }
}

impl Results {
    /// The pairs that count.
    pub(crate) fn quiet(&self) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(|pair| pair.is_quiet())
    }

    /// The median of something over the pairs that count; `None` without any.
    pub(crate) fn median(&self, of: impl Fn(&Pair) -> f64) -> Option<f64> {
        median(self.quiet().map(of).collect())
    }

    /// As [`median`](Self::median), of something that not every pair has.
    pub(crate) fn median_of_some(&self, of: impl Fn(&Pair) -> Option<f64>) -> Option<f64> {
        median(self.quiet().filter_map(of).collect())
    }

    /// The smallest and the largest ratio of the pairs that count.
    pub(crate) fn range(&self) -> Option<(f64, f64)> {
        let ratios = self.quiet().map(Pair::ratio);
        ratios.fold(None, |range, ratio| {
            let (low, high) = range.unwrap_or((ratio, ratio));
            Some((low.min(ratio), high.max(ratio)))
        })
    }

    /// The median of what a gate is about; `None` where no pair that counts has it.
    pub(crate) fn reached(&self, gate: Gate) -> Option<f64> {
        self.median_of_some(|pair| gate.value(pair))
    }
}

impl Gate {
    /// What a pair gives for it.
    fn value(self, pair: &Pair) -> Option<f64> {
        const MIB: f64 = (1 << 20) as f64;
        let Pair { product, yardstick } = pair;
        let p99 = |measurement: &Measurement| millis(measurement, |latency| latency.p99);
        let cost = |measurement: &Measurement| {
            micros(measurement, |Costs { server, database, .. }| {
                Some(server.unwrap_or_default() + database.unwrap_or_default())
            })
        };
        let traces = product.traces;
        match self {
            Self::Rate(_) => Some(pair.ratio()),
            Self::P99(_) => Some(p99(product)? / p99(yardstick)?),
            Self::Cost(_) => Some(cost(product)? / cost(yardstick)?),
            Self::RedisCalls(_) => Some(product.per_event(traces.redis_calls?)),
            Self::MemoryAtRest(_) => Some(traces.memory_at_rest? as f64 / MIB),
            Self::MemoryAtPeak(_) => Some(traces.memory_at_peak? as f64 / MIB),
        }
    }

    /// Whether this is good enough.
    pub(crate) fn is_met(self, reached: f64) -> bool {
        match self {
            Self::Rate(least) => reached >= least,
            Self::P99(most)
            | Self::Cost(most)
            | Self::RedisCalls(most)
            | Self::MemoryAtRest(most)
            | Self::MemoryAtPeak(most) => reached <= most,
        }
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// The half of a latency that is asked for, in milliseconds.
pub(crate) fn millis(measurement: &Measurement, of: impl Fn(Latency) -> std::time::Duration) -> Option<f64> {
    measurement.tally.latency.map(|latency| of(latency).as_secs_f64() * 1e3)
}

/// The part of the cost that is asked for, in microseconds per event.
pub(crate) fn micros(
    measurement: &Measurement,
    of: impl Fn(Costs) -> Option<std::time::Duration>,
) -> Option<f64> {
    of(measurement.cost_per_event()).map(|cost| cost.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
