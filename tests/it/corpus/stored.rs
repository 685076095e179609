//! What is in the database, and that it comes back as it was sent.

use std::{borrow::Cow, collections::BTreeMap};

use pulsestream_tests::{App, Database, Tenant, client::event_path};
use serde_json::{Value, value::RawValue};

use super::exchange::{RawAnswer, Sending, exchange};

/// Of a batch, so many are read back from either end.
const READ_BACK: usize = 10;
/// What comes back as it was written.
const KEPT: [&str; 7] = ["title", "message", "context", "metrics", "error_details", "payload", "metadata"];

/// How many events these tenants have, straight from the database.
pub(super) async fn count(app: &App, tenants: &[Tenant]) -> i64 {
    let id = |tenant: &Tenant| match app.combination().database {
        Database::Postgres => format!("'{}'", tenant.id),
        Database::Sqlite => format!("X'{}'", tenant.id.replace('-', "")),
    };
    let ids = tenants.iter().map(id).collect::<Vec<_>>().join(", ");
    let query = format!("SELECT count(*) FROM events WHERE NOT is_deleted AND tenant_id IN ({ids})");
    app.ground().number(&query).await
}

/// What differs between accepted events and what can be read of them, by exactly one of the tenants.
pub(super) async fn compare(app: &App, tenants: &[Tenant], body: &[u8], answer: &RawAnswer) -> Vec<String> {
    let accepted = accepted(&answer.json());
    let sent = sent(body);
    let mut differences = Vec::new();
    let last = accepted.len().saturating_sub(READ_BACK);
    let some = accepted.iter().enumerate().filter(|(at, _)| *at < READ_BACK || *at >= last);
    for (_, (index, event_id)) in some {
        let Some(sent) = sent.get(*index) else { continue };
        let mut found = Vec::new();
        for tenant in tenants {
            found.extend(read(app, tenant, event_id).await);
        }
        let [text] = &found[..] else {
            differences.push(format!("{event_id} was accepted, but {} tenants can read it", found.len()));
            continue;
        };
        let read = members(text);
        for name in KEPT {
            let (Some(sent), read) = (sent.get(name), read.get(name)) else { continue };
            if !read.is_some_and(|read| is_same(sent.get(), read.get())) {
                differences.push(format!("{name} of {event_id} did not come back as it was sent"));
            }
        }
    }
    differences
}

/// The text of an event. Not with the usual client, which takes an id of dots for a way up.
async fn read(app: &App, tenant: &Tenant, event_id: &str) -> Option<String> {
    let (path, host, key) = (event_path(event_id), app.address(), &tenant.key);
    let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\n\r\n");
    let heard = exchange(app, Sending { bytes: head.into_bytes(), answers: 1, ..Sending::default() }).await;
    let answer = heard.answers.into_iter().next().filter(|answer| answer.status == 200)?;
    String::from_utf8(answer.body).ok()
}

/// The places and ids of the events that an answer says are new.
fn accepted(answer: &Value) -> Vec<(usize, String)> {
    let id = |item: &Value| match (item["status"].as_str(), item["event_id"].as_str()) {
        (Some("accepted"), Some(id)) if answer["dry_run"] != true => Some(id.to_owned()),
        _ => None,
    };
    match answer["results"].as_array() {
        Some(items) => {
            let items = items.iter().enumerate();
            items.filter_map(|(index, item)| Some((index, id(item)?))).collect()
        }
        None => id(answer).map(|id| (0, id)).into_iter().collect(),
    }
}

/// The members of each event of a body, in its order; nothing for what is none.
fn sent(body: &[u8]) -> Vec<BTreeMap<Cow<'_, str>, &RawValue>> {
    let Ok(text) = std::str::from_utf8(body) else {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        return lines.map(|line| members(std::str::from_utf8(line).unwrap_or_default())).collect();
    };
    let whole = members(text);
    let list = whole.get("events").map_or(text, |events| events.get());
    if let Ok(events) = serde_json::from_str::<Vec<&RawValue>>(list) {
        return events.iter().map(|event| members(event.get())).collect();
    }
    if !whole.is_empty() {
        return vec![whole];
    }
    text.lines().filter(|line| !line.trim().is_empty()).map(members).collect()
}

fn members(text: &str) -> BTreeMap<Cow<'_, str>, &RawValue> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether two JSON texts mean the same, and write every number with the same digits.
fn is_same(one: &str, other: &str) -> bool {
    type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;
    let (one, other) = (one.trim(), other.trim());
    if one == other {
        return true;
    }
    if let (Ok(one), Ok(other)) =
        (serde_json::from_str::<Object<'_>>(one), serde_json::from_str::<Object<'_>>(other))
    {
        return one.len() == other.len()
            && one
                .iter()
                .all(|(name, value)| other.get(name).is_some_and(|other| is_same(value.get(), other.get())));
    }
    if let (Ok(one), Ok(other)) =
        (serde_json::from_str::<Vec<&RawValue>>(one), serde_json::from_str::<Vec<&RawValue>>(other))
    {
        return one.len() == other.len()
            && one.iter().zip(&other).all(|(one, other)| is_same(one.get(), other.get()));
    }
    let texts = (serde_json::from_str::<String>(one), serde_json::from_str::<String>(other));
    matches!(texts, (Ok(one), Ok(other)) if one == other)
}
