//! The client's own book of what it sent and what it was told, and the comparison with what is stored.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Mutex,
};

use serde_json::Value;

use crate::StoredRow;

/// What a client knows after one try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Stored, said the server: `accepted` or `duplicate`.
    Acknowledged,
    /// Not stored, said the server: `rejected` or `throttled`.
    Refused,
    /// No answer, or one that says that nobody knows.
    Unknown,
}

/// Every try of a run, by event id. Kept by the client, outside the system under test.
#[derive(Default)]
pub struct Ledger {
    tries: Mutex<HashMap<String, Vec<Outcome>>>,
}

impl Ledger {
    /// Notes that an event goes out. Its outcome is unknown until it is recorded.
    pub fn sent(&self, event_id: &str) {
        self.tries().entry(event_id.to_owned()).or_default().push(Outcome::Unknown);
    }

    /// Notes what became of the latest try.
    pub fn told(&self, event_id: &str, outcome: Outcome) {
        let mut tries = self.tries();
        let last = tries.get_mut(event_id).and_then(|tries| tries.last_mut());
        *last.expect("an event is sent before it is answered") = outcome;
    }

    /// Notes the result of one event of a batch.
    pub fn told_result(&self, result: &Value) {
        let event_id = result["event_id"].as_str().expect("every event had an id");
        let outcome = match result["status"].as_str() {
            Some("accepted" | "duplicate") => Outcome::Acknowledged,
            Some("rejected" | "throttled") => Outcome::Refused,
            _ => Outcome::Unknown,
        };
        self.told(event_id, outcome);
    }

    /// The events of which nobody can tell yet, in order.
    pub fn unknown(&self) -> Vec<String> {
        let tries = self.tries();
        let is_unknown =
            |tries: &[Outcome]| tries.contains(&Outcome::Unknown) && !tries.contains(&Outcome::Acknowledged);
        let mut unknown: Vec<String> =
            tries.iter().filter(|(_, tries)| is_unknown(tries)).map(|(id, _)| id.clone()).collect();
        unknown.sort_unstable();
        unknown
    }

    /// How many events were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.tries().values().filter(|tries| tries.contains(&Outcome::Acknowledged)).count()
    }

    /// Everything in which the store differs from what the client was told; nothing, if all is well.
    pub fn violations(&self, rows: &[StoredRow]) -> Vec<String> {
        let mut stored: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.is_deleted) {
            *stored.entry(row.external_id.as_deref().unwrap_or("(none)")).or_default() += 1;
        }
        let tries = self.tries();
        let mut violations = Vec::new();
        for (id, copies) in &stored {
            match tries.get(*id) {
                None => violations.push(format!("phantom: {id} was never sent")),
                Some(tries) if tries.iter().all(|outcome| *outcome == Outcome::Refused) => {
                    violations.push(format!("ghost: {id} was only ever refused"));
                }
                Some(_) => {}
            }
            if *copies > 1 {
                violations.push(format!("double: {id} is stored {copies} times"));
            }
        }
        let stored: HashSet<&str> = stored.into_keys().collect();
        let lost = tries
            .iter()
            .filter(|(id, tries)| tries.contains(&Outcome::Acknowledged) && !stored.contains(id.as_str()));
        violations.extend(lost.map(|(id, tries)| format!("lost: {id} was acknowledged: {tries:?}")));
        violations
    }

    fn tries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Outcome>>> {
        self.tries.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str) -> StoredRow {
        StoredRow {
            external_id: Some(id.to_owned()),
            received_at: 0,
            is_deleted: false,
            document: String::new(),
        }
    }

    /// A book in which `a` was acknowledged at the second try, `b` refused, and nobody knows of `c`.
    fn ledger() -> Ledger {
        let ledger = Ledger::default();
        for (id, outcome) in [
            ("a", Outcome::Unknown),
            ("a", Outcome::Acknowledged),
            ("b", Outcome::Refused),
            ("c", Outcome::Unknown),
        ] {
            ledger.sent(id);
            ledger.told(id, outcome);
        }
        ledger
    }

    #[test]
    fn a_good_history_has_no_violation() {
        assert_eq!(ledger().violations(&[row("a")]), [""; 0]);
        assert_eq!(ledger().violations(&[row("a"), row("c")]), [""; 0], "the unknown may be either");
        assert_eq!(ledger().unknown(), ["c"]);
        assert_eq!(ledger().acknowledged(), 1);
    }

    #[test]
    fn every_kind_of_broken_history_is_noticed() {
        for (rows, expected) in [
            (vec![], "lost: a"),
            (vec![row("a"), row("a")], "double: a"),
            (vec![row("a"), row("b")], "ghost: b"),
            (vec![row("a"), row("d")], "phantom: d"),
        ] {
            let violations = ledger().violations(&rows);
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert!(violations[0].starts_with(expected), "{violations:?}");
        }
    }
}
