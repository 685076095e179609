//! A stored event as clients see it.

use pulsestream_domain::{
    Timestamp,
    event::{DeviceType, EventId, EventType, Performance, ProcessingStatus, Severity, StoredEvent},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One event as searches answer it, as JSON.
///
/// # Errors
/// When its document is none: somebody else wrote into the store.
pub fn event_json(event: &StoredEvent) -> Result<String, serde_json::Error> {
    serde_json::to_string(&EventJson::of(event)?)
}

/// An event. What the client sent comes back as it was written, digit for digit.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventJson<'a> {
    /// The event's id, unique among the tenant's events.
    #[schema(value_type = String, example = "order-4711")]
    pub(crate) id: &'a EventId,
    /// The same as `id`.
    #[schema(value_type = String)]
    external_id: &'a EventId,
    #[schema(value_type = String, example = "api_call")]
    pub(crate) event_type: EventType,
    #[schema(value_type = String, example = "info")]
    pub(crate) severity: Severity,
    #[schema(value_type = Option<String>)]
    pub(crate) title: Option<&'a RawValue>,
    #[schema(value_type = Option<String>)]
    pub(crate) message: Option<&'a RawValue>,
    pub(crate) source: SourceJson<'a>,
    #[schema(value_type = Option<Object>)]
    pub(crate) context: Option<&'a RawValue>,
    #[schema(value_type = Option<Object>)]
    pub(crate) metrics: Option<&'a RawValue>,
    #[schema(value_type = Option<Object>)]
    pub(crate) error_details: Option<&'a RawValue>,
    #[schema(value_type = Option<Object>)]
    pub(crate) payload: Option<&'a RawValue>,
    #[schema(value_type = Option<Object>)]
    pub(crate) metadata: Option<&'a RawValue>,
    /// The same as `context.tags`.
    #[schema(value_type = Option<Object>)]
    pub(crate) tags: Option<&'a RawValue>,
    pub(crate) status_code: Option<u16>,
    /// The same as `metrics.response_time_ms`.
    pub(crate) duration_ms: Option<f64>,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) timestamp: Timestamp,
    /// When it was taken in.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) ingested_at: Timestamp,
    #[schema(value_type = String, example = "completed")]
    pub(crate) processing_status: ProcessingStatus,
    /// The same as `context.request_id`.
    pub(crate) correlation_id: Option<&'a str>,
    /// From the user agent: `bot`, `tablet`, `mobile` or `desktop`.
    #[schema(value_type = Option<String>)]
    pub(crate) device_type: Option<DeviceType>,
    /// From the response time: `excellent`, `good`, `fair` or `poor`.
    #[schema(value_type = Option<String>)]
    pub(crate) performance: Option<Performance>,
}

/// Where an event comes from.
#[derive(Serialize, ToSchema)]
#[schema(as = EventSource)]
pub(crate) struct SourceJson<'a> {
    pub(crate) service: &'a str,
    pub(crate) endpoint: &'a str,
    pub(crate) method: &'a str,
    #[schema(value_type = Option<String>)]
    pub(crate) version: Option<&'a RawValue>,
    pub(crate) environment: Option<&'a str>,
}

#[derive(Deserialize)]
struct Tags<'a> {
    #[serde(borrow)]
    tags: Option<&'a RawValue>,
}

impl<'a> EventJson<'a> {
    /// The event as JSON, borrowing its text.
    ///
    /// # Errors
    /// When its document is none: the row is damaged.
    pub(crate) fn of(stored: &'a StoredEvent) -> Result<Self, serde_json::Error> {
        let event = &stored.event;
        let members = event.document.members()?;
        let tags = match members.context {
            Some(context) => serde_json::from_str::<Tags<'a>>(context.get())?.tags,
            None => None,
        };
        Ok(Self {
            id: &event.event_id,
            external_id: &event.event_id,
            event_type: event.event_type,
            severity: event.severity,
            title: members.title,
            message: members.message,
            source: SourceJson {
                service: &event.service,
                endpoint: &event.endpoint,
                method: &event.method,
                version: members.version,
                environment: event.environment.as_deref(),
            },
            context: members.context,
            metrics: members.metrics,
            error_details: members.error_details,
            payload: members.payload,
            metadata: members.metadata,
            tags,
            status_code: event.status_code,
            duration_ms: event.duration_ms,
            timestamp: event.occurred_at,
            ingested_at: event.received_at,
            processing_status: stored.processing_status,
            correlation_id: event.correlation_id.as_deref(),
            device_type: event.enrichment.device_type,
            performance: event.enrichment.performance,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use pulsestream_domain::{
        event::{Defaults, parse},
        tenant::TenantId,
    };
    use uuid::Uuid;

    use super::*;

    /// The event with this text, as if it had been stored.
    pub(crate) fn stored(text: &str) -> StoredEvent {
        let raw: &RawValue = serde_json::from_str(text).expect("JSON");
        let (tenant_id, id) = (TenantId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let defaults = Defaults { tenant_id, id, event_id: None, now: Timestamp::from_secs(1_800_000_000) };
        let event = parse(raw, defaults).expect("a valid event");
        StoredEvent { event, processing_status: ProcessingStatus::Completed }
    }

    #[test]
    fn what_the_client_wrote_comes_back_digit_for_digit() {
        let stored = stored(
            r#"{"event_id":"a","event_type":"api_call","title":"T","source":{"service":"s","endpoint":"/e","method":"GET","version":"1"},
                "context":{"tags":{"k":"v"},"request_id":"r"},"metrics":{"response_time_ms":1.50,"status_code":200,"x":9007199254740993},
                "payload":{"big":18446744073709551615,"f":1.10,"z":1,"a":2}}"#,
        );
        let text = event_json(&stored).expect("a whole document");
        assert_eq!(
            text,
            concat!(
                r#"{"id":"a","external_id":"a","event_type":"api_call","severity":"info","title":"T","message":null,"#,
                r#""source":{"service":"s","endpoint":"/e","method":"GET","version":"1","environment":null},"#,
                r#""context":{"tags":{"k":"v"},"request_id":"r"},"#,
                r#""metrics":{"response_time_ms":1.50,"status_code":200,"x":9007199254740993},"error_details":null,"#,
                r#""payload":{"big":18446744073709551615,"f":1.10,"z":1,"a":2},"metadata":null,"tags":{"k":"v"},"#,
                r#""status_code":200,"duration_ms":1.5,"timestamp":"2027-01-15T08:00:00Z","ingested_at":"2027-01-15T08:00:00Z","#,
                r#""processing_status":"completed","correlation_id":"r","device_type":null,"performance":"excellent"}"#,
            )
        );
    }
}
