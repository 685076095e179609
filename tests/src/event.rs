//! Events as clients send them.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

/// A valid event with these members added or replaced; a member that is null is taken away.
pub fn event(members: Value) -> Value {
    let mut event = json!({
        "event_type": "api_call",
        "title": "GET /orders",
        "source": {"service": "shop", "endpoint": "/orders", "method": "GET"},
    });
    let Value::Object(members) = members else { panic!("members are an object") };
    let event_members = event.as_object_mut().expect("it was made an object");
    for (name, value) in members {
        if value.is_null() {
            event_members.remove(&name);
        } else {
            event_members.insert(name, value);
        }
    }
    event
}

/// A valid event with this id.
pub fn event_with_id(event_id: &str) -> Value {
    event(json!({"event_id": event_id}))
}

/// A valid event with this id and content, by which the ledger knows it again.
pub fn event_with(event_id: &str, content: &str) -> Value {
    event(json!({"event_id": event_id, "payload": {"content": content}}))
}

/// Valid events with these many new ids.
pub fn events(count: usize) -> Vec<Value> {
    (0..count).map(|_| event_with_id(&unique("event"))).collect()
}

/// A name that nothing else of this run has.
pub fn unique(prefix: &str) -> String {
    static GIVEN: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}-{}", GIVEN.fetch_add(1, Ordering::Relaxed))
}
