//! Breaks the service on purpose, to see whether its tests notice.
//!
//! Hooks in the product call this crate where the feature `sabotage` is on. It is off by default, no other
//! feature turns it on, and then neither the hooks nor this crate are in the build: a test makes sure.
//!
//! What a process is to do is in its variable `SABOTAGE`, as `name=value` pairs with commas between them:
//!
//! | pair | what happens |
//! |---|---|
//! | `abort=STEP:N` | the process dies when it passes a step of [`STEPS`] or [`ALERT_STEPS`] for the `N`-th time |
//! | `mutant=NAME` | one thing is done wrong, always: see [`MUTANTS`] |
//! | `clock=SECONDS` | the process' clock is ahead by that much, or behind if it is negative |
//! | `schema=next` | the process is of the next release: its schema has one step more |

use std::{
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The variable that says what to break.
pub const VARIABLE: &str = "SABOTAGE";

/// Where a request can be cut short, in its order from arrival to answer.
pub const STEPS: [&str; 12] = [
    "accepted",
    "authenticated",
    "body_read",
    "validated",
    "group_taken",
    "admitted",
    "before_insert",
    "before_commit",
    "after_commit",
    "appended",
    "settled",
    "before_reply",
];

/// Where a step of the schema can be cut short: it is done, and not committed.
pub const SCHEMA_STEP: &str = "schema_changed";

/// Where the work on an alert can be cut short, in its order from a rule's tick to the record of a notice.
pub const ALERT_STEPS: [&str; 9] = [
    "job_claimed",
    "rule_loaded",
    "window_observed",
    "evaluation_before_commit",
    "evaluation_after_commit",
    "delivery_loaded",
    "attempt_made",
    "attempt_before_commit",
    "attempt_after_commit",
];

/// What can be done wrong: a name, and what that is.
pub const MUTANTS: [(&str, &str); 18] = [
    ("answer_before_commit", "an event is answered while its insert is still under way"),
    ("errors_swallowed", "an event whose insert failed is answered as stored"),
    ("unknown_as_rejected", "an event of which nobody knows is answered as rejected"),
    ("duplicate_refused", "an event that was stored before is answered as a conflict"),
    ("check_then_insert", "ids are looked up instead of being unique in the database"),
    ("last_write_wins", "a later event with the same id replaces the content of the stored one"),
    ("no_sort", "rows are inserted in the order they came"),
    ("no_flush", "commits are not flushed to disk before they are answered"),
    ("check_then_increment", "room is looked up in Redis first and taken in a second step"),
    ("limiter_fails_open", "with Redis away everything is admitted"),
    ("own_clock", "events are stamped with the instance's clock instead of the limiter's"),
    ("tenant_forgotten", "a search does not ask whose events it finds"),
    ("cursor_by_time_alone", "a page starts behind a time instead of behind an event"),
    ("body_without_deadline", "a body may take as long as it likes"),
    ("drain_cuts", "at the end requests under way are dropped"),
    ("stalled_readers_stay", "a client that reads nothing keeps its connection"),
    ("migration_waits", "a step of the schema waits for a lock as long as it takes"),
    ("backup_unchecked", "a backup is restored without looking whether it was changed"),
];

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "settings know nothing of what is not in the product")]
    let text = std::env::var(VARIABLE).unwrap_or_default();
    Plan::parse(&text).unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
});

static PASSED: AtomicU64 = AtomicU64::new(0);

/// Passes a step of [`STEPS`] or [`ALERT_STEPS`], and dies there if that is the plan.
pub fn step(name: &str) {
    debug_assert!(is_step(name), "{name} is no step");
    let Some((planned, times)) = &PLAN.abort else { return };
    if planned == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *times {
        process::abort();
    }
}

fn is_step(name: &str) -> bool {
    STEPS.contains(&name) || ALERT_STEPS.contains(&name) || name == SCHEMA_STEP
}

/// Whether to do this of [`MUTANTS`] wrong.
pub fn is_broken(name: &str) -> bool {
    debug_assert!(MUTANTS.iter().any(|(mutant, _)| *mutant == name), "{name} is not in MUTANTS");
    PLAN.mutant.as_deref() == Some(name)
}

/// Whether the process is of the next release.
pub fn is_next_schema() -> bool {
    PLAN.is_next_schema
}

/// How far the clock is ahead, in microseconds.
pub fn clock_lead_micros() -> i64 {
    PLAN.clock_lead_seconds * 1_000_000
}

#[derive(Default, PartialEq, Eq, Debug)]
struct Plan {
    abort: Option<(String, u64)>,
    mutant: Option<String>,
    clock_lead_seconds: i64,
    is_next_schema: bool,
}

impl Plan {
    fn parse(text: &str) -> Result<Self, String> {
        let mut plan = Self::default();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let bad = || format!("{pair:?} is nothing to break");
            let (name, value) = pair.split_once('=').ok_or_else(bad)?;
            match name {
                "abort" => {
                    let (step, times) = value.split_once(':').ok_or_else(bad)?;
                    let step = is_step(step).then(|| step.to_owned()).ok_or_else(bad)?;
                    plan.abort = Some((step, times.parse().map_err(|_| bad())?));
                }
                "mutant" if MUTANTS.iter().any(|(mutant, _)| *mutant == value) => {
                    plan.mutant = Some(value.to_owned());
                }
                "schema" if value == "next" => plan.is_next_schema = true,
                "clock" => plan.clock_lead_seconds = value.parse().map_err(|_| bad())?,
                _ => return Err(bad()),
            }
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_strictly() {
        let plan = Plan::parse("abort=after_commit:2,clock=-600,mutant=no_sort").unwrap();
        assert_eq!(plan.abort, Some(("after_commit".to_owned(), 2)));
        assert_eq!((plan.clock_lead_seconds, plan.mutant.as_deref()), (-600, Some("no_sort")));
        assert!(Plan::parse("abort=attempt_made:1").is_ok());
        assert_eq!(Plan::parse(""), Ok(Plan::default()));
        for bad in
            ["abort", "abort=lunch:1", "abort=settled", "mutant=x_ray", "clock=noon", "schema=old", "x=y"]
        {
            assert!(Plan::parse(bad).is_err(), "{bad}");
        }
    }
}
