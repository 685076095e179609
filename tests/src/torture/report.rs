//! What an experiment found.

use std::fmt::{self, Display};

use crate::{StoredRow, ledger::Ledger};

/// How many failures of a kind are worth reading.
const SHOWN: usize = 5;

/// Figures, and what is not as promised.
#[derive(Default, Debug)]
pub struct Report {
    figures: Vec<(String, String)>,
    failures: Vec<String>,
    left_out: Option<String>,
}

impl Report {
    /// Adds a figure.
    pub fn figure(&mut self, name: &str, value: impl Display) {
        self.figures.push((name.to_owned(), value.to_string()));
    }

    /// Adds a failure, unless this holds.
    pub fn expect(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(failure());
        }
    }

    /// Adds everything in which the store differs from the book, as figures and, where not zero, failures.
    /// Nothing may be left unknown.
    pub fn compare(&mut self, ledger: &Ledger, rows: &[StoredRow]) {
        let found = ledger.compare(rows);
        let unknown = ledger.unknown();
        self.figure("acknowledged", format!("{} of {} offered", ledger.acknowledged(), ledger.offered()));
        self.figure(
            "lost, doubled, phantom, ghost, changed",
            format!(
                "{}, {}, {}, {}, {}",
                found.lost.len(),
                found.doubled.len(),
                found.phantom.len(),
                found.ghost.len(),
                found.changed.len()
            ),
        );
        self.expect(unknown.is_empty(), || format!("{} events are still unknown", unknown.len()));
        self.expect(ledger.acknowledged() > 0, || "nothing was acknowledged: this proves nothing".to_owned());
        let violations = found.violations();
        self.failures.extend(violations.iter().take(SHOWN).cloned());
        let more = violations.len().saturating_sub(SHOWN);
        self.expect(more == 0, || format!("and {more} more"));
    }

    /// Notes that this machine does not allow the experiment.
    pub fn leave_out(&mut self, why: String) {
        self.left_out = Some(why);
    }

    /// Why nothing was tried, if so.
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// What was counted and measured, by name.
    pub fn figures(&self) -> &[(String, String)] {
        &self.figures
    }

    /// What is not as promised.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.figures {
            writeln!(f, "      {name}: {value}")?;
        }
        if let Some(why) = &self.left_out {
            writeln!(f, "      LEFT OUT {why}")?;
        }
        for failure in &self.failures {
            writeln!(f, "      FAILED {failure}")?;
        }
        Ok(())
    }
}
