//! What became of the lines of a file.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

use super::batch::BadLine;

/// How many bad lines are told one by one.
const SHOWN_BAD_LINES: usize = 10;

/// Counts of an import. `read` is the sum of `stored`, `duplicates` and `bad`, once an import is complete.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Tally {
    /// Lines or items that were not blank.
    pub(crate) read: u64,
    /// Events that are new in the store.
    pub(crate) stored: u64,
    /// Events that were stored before.
    pub(crate) duplicates: u64,
    /// Lines that gave no event, and events that broke a rule.
    pub(crate) bad: u64,
    /// Events whose response time was made up, because the log has none.
    pub(crate) assumed_response_times: u64,
    /// How long it took.
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub(crate) elapsed: Duration,
    /// The first bad lines.
    #[serde(rename = "bad_lines", serialize_with = "positions")]
    shown: Vec<BadLine>,
}

impl Tally {
    pub(super) fn count_bad(&mut self, line: BadLine) {
        self.bad += 1;
        if self.shown.len() < SHOWN_BAD_LINES {
            self.shown.push(line);
        }
    }

    /// How fast it goes: `1234 events/s`.
    pub(super) fn rate(&self, elapsed: Duration) -> String {
        let done = self.stored + self.duplicates + self.bad;
        format!("{:.0} events/s", done as f64 / elapsed.as_secs_f64().max(0.001))
    }

    /// The first bad lines, in words and in the order of the file, and how many more there are.
    pub(crate) fn bad_lines(&self) -> Vec<String> {
        let mut shown: Vec<&BadLine> = self.shown.iter().collect();
        shown.sort_by_key(|line| line.position);
        let told = shown.iter().map(|line| format!("line {}: {}", line.position, line.reason));
        let more = self.bad - self.shown.len() as u64;
        told.chain((more > 0).then(|| format!("and {more} more bad lines"))).collect()
    }
}

/// One line for people.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, stored, duplicates, bad, elapsed, .. } = self;
        write!(
            f,
            "{read} read: {stored} stored, {duplicates} duplicates, {bad} bad, in {:.1} s ({})",
            elapsed.as_secs_f64(),
            self.rate(*elapsed)
        )
    }
}

fn seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64())
}

fn positions<S: Serializer>(lines: &[BadLine], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        line: u64,
        reason: &'a str,
    }
    serializer.collect_seq(lines.iter().map(|bad| Shown { line: bad.position, reason: &bad.reason }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_all_counted_and_the_first_ones_shown() {
        let mut tally = Tally::default();
        for position in 1..=13 {
            tally.count_bad(BadLine { position, reason: "odd".to_owned() });
        }
        let told = tally.bad_lines();
        assert_eq!((tally.bad, told.len()), (13, 11));
        assert_eq!(told[0], "line 1: odd");
        assert_eq!(told[10], "and 3 more bad lines");
    }
}
