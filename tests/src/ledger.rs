//! The client's own book of what it sent and what it was told, and the comparison with what is stored.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
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

/// One time that an event was sent.
#[derive(Clone, Debug)]
struct Try {
    content: String,
    outcome: Outcome,
}

/// Every try of a run, by event id. Kept by the client, outside the system under test.
#[derive(Default)]
pub struct Ledger {
    tries: Mutex<HashMap<String, Vec<Try>>>,
}

/// How the store differs from what the clients were told. Empty lists, if all is well.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// Acknowledged and not stored.
    pub lost: Vec<String>,
    /// Stored more than once.
    pub doubled: Vec<String>,
    /// Stored and never sent.
    pub phantom: Vec<String>,
    /// Stored and only ever refused.
    pub ghost: Vec<String>,
    /// Stored with another content than the acknowledged one; or two contents of one id were acknowledged.
    pub changed: Vec<String>,
}

impl Comparison {
    /// Every difference, in words.
    pub fn violations(&self) -> Vec<String> {
        let kinds = [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("phantom", &self.phantom),
            ("ghost", &self.ghost),
            ("changed", &self.changed),
        ];
        kinds.iter().flat_map(|(kind, events)| events.iter().map(move |id| format!("{kind}: {id}"))).collect()
    }
}

impl Ledger {
    /// Notes that an event without a content goes out. Its outcome is unknown until it is told.
    pub fn sent(&self, event_id: &str) {
        self.sent_with(event_id, "");
    }

    /// Notes that an event goes out. Answers with the number of the try.
    pub fn sent_with(&self, event_id: &str, content: &str) -> usize {
        let mut tries = self.tries();
        let tries = tries.entry(event_id.to_owned()).or_default();
        tries.push(Try { content: content.to_owned(), outcome: Outcome::Unknown });
        tries.len() - 1
    }

    /// Notes what became of the latest try.
    pub fn told(&self, event_id: &str, outcome: Outcome) {
        let last = self.tries().get(event_id).map_or(0, Vec::len);
        self.told_of(event_id, last.checked_sub(1).expect("an event is sent before it is answered"), outcome);
    }

    /// Notes what became of a try by its number.
    pub fn told_of(&self, event_id: &str, number: usize, outcome: Outcome) {
        let mut tries = self.tries();
        let try_ = tries.get_mut(event_id).and_then(|tries| tries.get_mut(number));
        try_.expect("an event is sent before it is answered").outcome = outcome;
    }

    /// Notes the result of one event of a batch, as that of its latest try.
    pub fn told_result(&self, result: &Value) {
        let event_id = result["event_id"].as_str().expect("every event had an id");
        self.told(event_id, outcome_of(result));
    }

    /// The events of which nobody can tell yet, in order.
    pub fn unknown(&self) -> Vec<String> {
        self.unresolved().into_iter().map(|(event_id, _)| event_id).collect()
    }

    /// The events of which nobody can tell yet, each with the content of its last try without an answer.
    pub fn unresolved(&self) -> Vec<(String, String)> {
        let tries = self.tries();
        let mut unresolved = Vec::new();
        for (event_id, tries) in &*tries {
            let is_acknowledged = tries.iter().any(|try_| try_.outcome == Outcome::Acknowledged);
            let silent = tries.iter().rfind(|try_| try_.outcome == Outcome::Unknown);
            // A refusal that comes after it says what became of it, whatever became of it before.
            let is_settled = tries.last().is_some_and(|last| last.outcome == Outcome::Refused);
            if let Some(silent) = silent.filter(|_| !is_acknowledged && !is_settled) {
                unresolved.push((event_id.clone(), silent.content.clone()));
            }
        }
        unresolved.sort_unstable();
        unresolved
    }

    /// How many events were sent, whatever became of them.
    pub fn offered(&self) -> usize {
        self.tries().len()
    }

    /// How many events were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged_ids().len()
    }

    /// The events that were acknowledged so far, in no order.
    pub fn acknowledged_ids(&self) -> Vec<String> {
        let tries = self.tries();
        let is_acknowledged = |tries: &[Try]| tries.iter().any(|try_| try_.outcome == Outcome::Acknowledged);
        let all = tries.iter().filter(|(_, tries)| is_acknowledged(tries));
        all.map(|(event_id, _)| event_id.clone()).collect()
    }

    /// Everything in which the store differs from what the client was told, in words.
    pub fn violations(&self, rows: &[StoredRow]) -> Vec<String> {
        self.compare(rows).violations()
    }

    /// Everything in which the store differs from what the client was told.
    pub fn compare(&self, rows: &[StoredRow]) -> Comparison {
        let mut stored: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for row in rows.iter().filter(|row| !row.is_deleted) {
            stored.entry(row.external_id.as_deref().unwrap_or("(none)")).or_default().push(row.content());
        }
        let tries = self.tries();
        let mut found = Comparison::default();
        for (id, contents) in &stored {
            if contents.len() > 1 {
                found.doubled.push(format!("{id} is stored {} times", contents.len()));
            }
            let Some(tries) = tries.get(*id) else {
                found.phantom.push(format!("{id} was never sent"));
                continue;
            };
            if tries.iter().all(|try_| try_.outcome == Outcome::Refused) {
                found.ghost.push(format!("{id} was only ever refused: {tries:?}"));
            } else if !contents.iter().all(|content| may_be_stored(content, tries)) {
                found.changed.push(format!("{id} is stored with {contents:?}: {tries:?}"));
            }
        }
        let lost = tries.iter().filter(|(id, tries)| {
            tries.iter().any(|try_| try_.outcome == Outcome::Acknowledged)
                && !stored.contains_key(id.as_str())
        });
        found.lost = lost.map(|(id, tries)| format!("{id} was acknowledged: {tries:?}")).collect();
        found.lost.sort_unstable();
        found
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<String, Vec<Try>>> {
        self.tries.lock().expect("no holder panics")
    }
}

/// The outcome that the result of one event of a batch tells.
pub fn outcome_of(result: &Value) -> Outcome {
    match result["status"].as_str() {
        Some("accepted" | "duplicate") => Outcome::Acknowledged,
        Some("rejected" | "throttled") => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}

/// Whether a store that keeps its word may hold this content after these tries.
fn may_be_stored(content: &str, tries: &[Try]) -> bool {
    let mut acknowledged = tries
        .iter()
        .filter(|try_| try_.outcome == Outcome::Acknowledged)
        .map(|try_| &*try_.content)
        .peekable();
    if acknowledged.peek().is_some() {
        return acknowledged.all(|acknowledged| acknowledged == content);
    }
    tries.iter().any(|try_| try_.outcome == Outcome::Unknown && try_.content == content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, content: &str) -> StoredRow {
        StoredRow {
            external_id: Some(id.to_owned()),
            received_at: 0,
            is_deleted: false,
            document: format!(r#"{{"payload":{{"content":"{content}"}}}}"#),
        }
    }

    /// A book in which `a` was acknowledged at the second try, `b` refused, and nobody knows of `c`; `a` was
    /// offered with another content as well, and that was refused.
    fn ledger() -> Ledger {
        let ledger = Ledger::default();
        for (id, content, outcome) in [
            ("a", "one", Outcome::Unknown),
            ("a", "one", Outcome::Acknowledged),
            ("a", "two", Outcome::Refused),
            ("b", "one", Outcome::Refused),
            ("c", "one", Outcome::Unknown),
        ] {
            let number = ledger.sent_with(id, content);
            ledger.told_of(id, number, outcome);
        }
        ledger
    }

    #[test]
    fn a_good_history_has_no_violation() {
        let a = row("a", "one");
        assert_eq!(ledger().violations(std::slice::from_ref(&a)), [""; 0]);
        assert_eq!(ledger().violations(&[a, row("c", "one")]), [""; 0], "the unknown may be either");
        assert_eq!(ledger().unresolved(), [("c".to_owned(), "one".to_owned())]);
        assert_eq!((ledger().offered(), ledger().acknowledged()), (3, 1));
    }

    #[test]
    fn every_kind_of_broken_history_is_noticed() {
        let a = || row("a", "one");
        for (rows, expected) in [
            (vec![], "lost: a"),
            (vec![a(), a()], "doubled: a"),
            (vec![a(), row("b", "one")], "ghost: b"),
            (vec![a(), row("d", "one")], "phantom: d"),
            (vec![row("a", "two")], "changed: a"),
            (vec![a(), row("c", "two")], "changed: c"),
        ] {
            let violations = ledger().violations(&rows);
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert!(violations[0].starts_with(expected), "{violations:?}");
        }
    }

    #[test]
    fn two_contents_of_one_id_can_not_both_be_acknowledged() {
        let ledger = Ledger::default();
        for content in ["one", "two"] {
            ledger.sent_with("a", content);
            ledger.told("a", Outcome::Acknowledged);
        }
        assert_eq!(ledger.compare(&[row("a", "two")]).changed.len(), 1);
    }

    #[test]
    fn a_refusal_settles_what_was_unknown() {
        let ledger = ledger();
        ledger.sent_with("c", "one");
        ledger.told("c", Outcome::Refused);
        assert_eq!(ledger.unknown(), [""; 0]);
        assert_eq!(ledger.violations(&[row("a", "one")]), [""; 0]);
    }
}
