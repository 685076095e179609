//! Servers that do one thing wrong, on purpose. Each has to be caught by an experiment: one that is not says that
//! the experiments prove less than they seem to.

/// A mutant, by its name in the sabotage crate, and the experiment that has to catch it.
pub const CAUGHT_BY: [(&str, &str); 18] = [
    ("answer_before_commit", "T1b/postgres"),
    ("errors_swallowed", "T1b/postgres"),
    ("unknown_as_rejected", "T1d/silent"),
    ("duplicate_refused", "T1a/sqlite"),
    ("check_then_insert", "T2a"),
    ("last_write_wins", "T2c"),
    ("no_sort", "T2b"),
    ("no_flush", "T1c/postgres"),
    ("check_then_increment", "T3a"),
    ("limiter_fails_open", "T3b"),
    ("own_clock", "T20"),
    ("tenant_forgotten", "T5/sqlite"),
    ("cursor_by_time_alone", "T5/sqlite"),
    ("body_without_deadline", "T6b"),
    ("drain_cuts", "T17"),
    ("stalled_readers_stay", "T6c"),
    ("migration_waits", "T16"),
    ("backup_unchecked", "T18/sqlite"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::torture::experiments;

    #[test]
    fn every_mutant_has_an_experiment() {
        let mut names: Vec<&str> = CAUGHT_BY.iter().map(|(mutant, _)| *mutant).collect();
        let mut all: Vec<&str> = pulsestream_sabotage::MUTANTS.iter().map(|(mutant, _)| *mutant).collect();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
        let experiments = experiments::all();
        for (_, experiment) in CAUGHT_BY {
            assert!(experiments.iter().any(|other| other.name == experiment), "{experiment}");
        }
    }
}
