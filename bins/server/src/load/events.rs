//! Events as a shop would send them: a few services, mostly well, sometimes slow, now and then an error.

use serde_json::{json, value::RawValue};
use uuid::Uuid;

const SERVICES: [&str; 6] = ["orders", "payments", "search", "accounts", "inventory", "shipping"];
const REGIONS: [&str; 3] = ["eu-central", "eu-west", "us-east"];

/// An event with this id; everything that differs between two comes from the random part of it.
pub(super) fn event(id: Uuid) -> serde_json::Result<Box<RawValue>> {
    let mut chance = id.as_u128() & u128::from(u64::MAX >> 2);
    let mut below = |end: u128| {
        let number = chance % end;
        chance /= end;
        number as usize
    };
    let service = SERVICES[below(6)];
    let region = REGIONS[below(3)];
    let (kind, severity, method, status) = match below(100) {
        0..70 => ("api_call", "info", "GET", 200),
        70..90 => ("user_action", "info", "POST", 201),
        90..96 => ("api_call", "warning", "GET", 404),
        _ => ("error_event", "error", "POST", 503),
    };
    let (user, number) = (below(5_000), below(100_000));
    let response_time_ms = if below(20) == 0 { 400 + below(2_000) } else { 3 + below(60) };
    serde_json::value::to_raw_value(&json!({
        "event_id": id,
        "event_type": kind,
        "title": format!("{method} /{service}/{number}"),
        "message": format!("{service} answered {status} to customer {user}"),
        "severity": severity,
        "source": {
            "service": service,
            "endpoint": format!("/{service}/{{id}}"),
            "method": method,
            "version": "4.12.1",
            "environment": "production",
        },
        "context": {
            "user_id": format!("customer-{user}"),
            "request_id": format!("req-{:012x}", id.as_u128() & 0xffff_ffff_ffff),
            "ip_address": "203.0.113.24",
            "user_agent": "ShopApp/7.3 (iPhone; iOS 17.5) Mobile",
            "tags": { "region": region, "sent_by": "pulsestream-bench" },
        },
        "metrics": { "response_time_ms": response_time_ms, "status_code": status },
        "payload": { "currency": "EUR", "items": number % 7, "attempt": 1 },
    }))
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::{
        Timestamp,
        event::{Defaults, parse},
        tenant::TenantId,
    };

    use super::*;

    #[test]
    fn every_event_is_one_that_a_server_takes() {
        for number in 0..1_000_u128 {
            let id = Uuid::from_u128(number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835));
            let defaults =
                Defaults { tenant_id: TenantId(Uuid::nil()), id, event_id: None, now: Timestamp::EPOCH };
            let parsed = parse(&event(id).unwrap(), defaults).unwrap();
            assert_eq!(parsed.event_id.as_str(), id.to_string());
        }
    }
}
