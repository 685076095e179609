//! The same case answers the same, whatever the server runs on.

use std::{collections::BTreeMap, sync::Mutex};

use pulsestream_tests::Combination;
use serde_json::Value;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{exchange::Heard, judge::cut};

/// Members that differ from one request to the next, or from one moment to the next.
const CHANGING: [&str; 11] = [
    "request_id",
    "search_id",
    "execution_time_ms",
    "next_cursor",
    "retry_after",
    "tenant_id",
    "uptime_seconds",
    "ingestion_rate",
    "queue_size",
    "last_event_received",
    "errors_last_hour",
];

/// How ids begin that are derived from the tenant, among others.
const DERIVED: &str = "idem-";

/// What the combinations that are through with a step have answered.
static RECORDED: Mutex<BTreeMap<String, Answers>> = Mutex::new(BTreeMap::new());

type Answers = Vec<(Combination, Recorded)>;

#[derive(Clone, PartialEq)]
struct Recorded {
    answers: Vec<(u64, Option<String>, String)>,
    closed: bool,
}

/// Keeps what was heard and compares it with what the other combinations heard. The last one to finish has
/// compared with all. Answers with the first difference.
pub(super) fn compare(
    step: &str,
    combination: Combination,
    heard: &Heard,
    closed_matters: bool,
) -> Option<String> {
    let answers = heard.answers.iter().map(|answer| {
        let kind = answer.header("content-type").map(str::to_owned);
        (answer.status, kind, settled(answer.json()).to_string())
    });
    let recorded = Recorded { answers: answers.collect(), closed: closed_matters && heard.closed };
    let mut guard = RECORDED.lock().expect("no holder panics");
    let others = guard.entry(step.to_owned()).or_default();
    let difference = others.iter().find(|(_, theirs)| *theirs != recorded).map(|(other, theirs)| {
        let (ours, theirs) = (shown(&recorded), shown(theirs));
        format!("{combination} answers {ours}\n      but {other} answers {theirs}")
    });
    others.push((combination, recorded));
    difference
}

fn shown(recorded: &Recorded) -> String {
    cut(&format!("{:?}, closed: {}", recorded.answers, recorded.closed))
}

/// A body without what is different in every answer: names, ids that were made, and times of just now.
fn settled(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| !CHANGING.contains(&name.as_str()));
            Value::Object(members.map(|(name, value)| (name, settled(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(settled).collect()),
        Value::String(text) if uuid::Uuid::try_parse(&text).is_ok() => Value::from("an id"),
        Value::String(text) if text.starts_with(DERIVED) => Value::from("a derived id"),
        Value::String(text) if is_recent(&text) => Value::from("just now"),
        other => other,
    }
}

fn is_recent(text: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the server under test reads the same clock")]
    let now = OffsetDateTime::now_utc();
    OffsetDateTime::parse(text, &Rfc3339).is_ok_and(|time| (now - time).abs() < Duration::HOUR)
}
