//! The events that everybody is measured with, as JSON for the product and as rows for the yardsticks.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use pulsestream_domain::{
    Timestamp,
    event::{Defaults, NewEvent, Terms, parse},
    tenant::TenantId,
};
use serde_json::value::RawValue;
use uuid::Uuid;

/// One event per line, with two gaps: `@id@` is its id, `@number@` a number of five digits in its title.
const SAMPLES: &str = include_str!("../load/events.ndjson");
/// Where the load generator reads the same.
pub(crate) const SAMPLES_PATH: &str = "load/events.ndjson";

/// The first and the last of the numbers in titles.
pub(crate) const NUMBERS: (u32, u32) = (10_000, 99_999);

/// A row of `events` in which ids, times and the number are still to be filled in.
pub(crate) struct Sample {
    /// What the product makes of the event, with some number.
    pub(crate) event: NewEvent,
    /// The terms up to where the digits of the number go.
    pub(crate) open_terms: String,
}

/// All of them, as events of this tenant.
///
/// # Errors
/// When the product would refuse one.
pub(crate) fn samples(tenant_id: TenantId) -> Result<Vec<Sample>> {
    SAMPLES.lines().map(|line| Sample::new(line, tenant_id)).collect()
}

/// The directory of this package, which has the scripts and the samples of the load generator.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Sample {
    fn new(line: &str, tenant_id: TenantId) -> Result<Self> {
        let number = NUMBERS.0.to_string();
        let text = line.replace("@id@", &Uuid::nil().to_string()).replace("@number@", &number);
        let raw: &RawValue = serde_json::from_str(&text).context("reading a sample event")?;
        let defaults = Defaults { tenant_id, id: Uuid::nil(), event_id: None, now: Timestamp::EPOCH };
        let event = parse(raw, defaults).map_err(|refused| anyhow!("a sample is refused: {refused:?}"))?;

        let changing = Terms::word(tenant_id, &number);
        let constant: Vec<&str> = event.terms.iter().filter(|term| **term != changing).collect();
        ensure!(constant.len() + 1 == event.terms.iter().count(), "a sample has no number in its title");
        let open = changing.strip_suffix(&number).context("a term ends with its word")?;
        let open_terms = format!("{} {open}", constant.join(" "));
        Ok(Self { event, open_terms })
    }
}

/// The id and the number of row after row.
pub(crate) struct Variation {
    state: u64,
}

impl Variation {
    /// A series of its own for each seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { state: seed << 40 }
    }

    /// What belongs to one number, the same each time.
    pub(crate) fn seeded_at(number: u64) -> Self {
        let mut series = Self { state: number };
        Self { state: series.next() }
    }

    /// Any number below this one, each as likely as the others.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Any number below this one, small ones most often: twice as large is half as likely.
    pub(crate) fn rare_below(&mut self, end: u64) -> u64 {
        let part = self.next() as f64 / u64::MAX as f64;
        (((end + 1) as f64).powf(part) as u64 - 1).min(end - 1)
    }

    /// An id that looks and sorts like a random one, as clients make them.
    pub(crate) fn event_id(&mut self) -> Uuid {
        let (high, low) = (self.next(), self.next());
        uuid::Builder::from_random_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes()).into_uuid()
    }

    /// A number for a title.
    pub(crate) fn number(&mut self) -> u32 {
        let (first, last) = NUMBERS;
        first + (self.next() % u64::from(last - first + 1)) as u32
    }

    /// `SplitMix64`: every state gives another value, and neighbours have nothing in common.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_sample_is_an_event_with_a_number_among_its_terms() {
        let tenant = TenantId(Uuid::from_u128(7));
        let all = samples(tenant).unwrap();
        assert_eq!(all.len(), SAMPLES.lines().count());
        for sample in all {
            let filled = format!("{}{}", sample.open_terms, NUMBERS.0);
            let terms: HashSet<&str> = filled.split(' ').collect();
            assert_eq!(terms, sample.event.terms.iter().collect(), "{:?}", sample.event.document);
        }
    }

    #[test]
    fn ids_of_all_series_differ() {
        let mut seen = HashSet::new();
        for seed in 0..4 {
            let mut variation = Variation::seeded(seed);
            assert!((0..10_000).all(|_| seen.insert(variation.event_id())));
            let (first, last) = NUMBERS;
            assert!((0..1_000).all(|_| (first..=last).contains(&variation.number())));
        }
    }
}
