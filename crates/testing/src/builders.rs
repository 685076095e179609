//! Events and tenants for tests that care about one thing of them.

use pulsestream_domain::{
    Timestamp,
    event::{Defaults, NewEvent, parse},
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use serde_json::{Value, json, value::to_raw_value};
use uuid::Uuid;

/// The tenant with this number, with the default limits.
pub fn tenant(number: u128) -> Tenant {
    Tenant {
        // Mixed, so that the ids differ at both ends, as real ones do.
        id: TenantId(Uuid::from_u128(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))),
        name: format!("Tenant {number}"),
        slug: format!("tenant-{number}").parse().expect("letters, digits and a dash"),
        limits: Limits::default(),
        duplicate_policy: DuplicatePolicy::Strict,
        created_at: Timestamp::EPOCH,
    }
}

/// A valid event as a client sends it, with these members added or replaced.
pub fn event_json(members: Value) -> Value {
    let mut event = json!({
        "event_type": "api_call",
        "title": "GET /orders",
        "source": {"service": "shop", "endpoint": "/orders", "method": "GET"},
    });
    if let Value::Object(members) = members {
        for (name, value) in members {
            event[name] = value;
        }
    }
    event
}

/// The event that a client's JSON becomes.
///
/// # Panics
/// When the JSON is no valid event: the test is wrong.
pub fn event(tenant_id: TenantId, id: Uuid, now: Timestamp, members: Value) -> NewEvent {
    let raw = to_raw_value(&event_json(members)).expect("a JSON value serializes");
    let parsed = parse(&raw, Defaults { tenant_id, id, event_id: None, now });
    parsed.unwrap_or_else(|refused| panic!("the test's event is not valid: {refused:?}"))
}
