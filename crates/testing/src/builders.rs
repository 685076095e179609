//! Events and tenants for tests that care about one thing of them.

use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, ChannelId, Definition, Destination, Rule, RuleId},
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

/// The rule that a client's JSON becomes: a valid rule with these members added or replaced.
///
/// # Panics
/// When the JSON is no valid rule: the test is wrong.
pub fn rule(tenant_id: TenantId, number: u128, members: Value) -> Rule {
    let mut rule = json!({
        "name": format!("Rule {number}"),
        "severity": "high",
        "condition": {"type": "count", "min_count": 1},
        "notification_channels": ["log"],
    });
    if let Value::Object(members) = members {
        for (name, value) in members {
            rule[name] = value;
        }
    }
    let raw = to_raw_value(&rule).expect("a JSON value serializes");
    let definition = Definition::parse(&raw);
    Rule {
        tenant_id,
        id: RuleId(Uuid::from_u128(number)),
        revision: 0,
        definition: definition.unwrap_or_else(|errors| panic!("the test's rule is not valid: {errors:?}")),
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
        last_triggered_at: None,
        total_triggers: 0,
    }
}

/// An enabled channel that writes to the log.
pub fn log_channel(tenant_id: TenantId, number: u128) -> Channel {
    Channel {
        tenant_id,
        id: ChannelId(Uuid::from_u128(number)),
        name: format!("Channel {number}"),
        enabled: true,
        send_resolved: true,
        destination: Destination::Log,
        disabled_reason: None,
        disabled_at: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}
