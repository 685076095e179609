//! Events as CSV (RFC 4180), safe to open in a spreadsheet.

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};
use pulsestream_domain::event::StoredEvent;
use serde_json::value::RawValue;

use crate::event_json::EventJson;

const COLUMNS: [&str; 25] = [
    "id",
    "event_type",
    "severity",
    "title",
    "message",
    "service",
    "endpoint",
    "method",
    "version",
    "environment",
    "status_code",
    "duration_ms",
    "user_id",
    "correlation_id",
    "timestamp",
    "ingested_at",
    "processing_status",
    "device_type",
    "performance",
    "tags",
    "context",
    "metrics",
    "error_details",
    "payload",
    "metadata",
];

/// One row per event, behind a header if asked for. Objects are JSON; what is absent is empty.
pub(super) fn rows(events: &[StoredEvent], with_header: bool) -> Result<Vec<u8>, serde_json::Error> {
    let sink = Vec::with_capacity(512 * events.len());
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(sink);
    if with_header {
        writer.write_record(COLUMNS).map_err(io_error)?;
    }
    for event in events {
        let cells = cells(event)?;
        writer.write_record(cells.iter().map(|cell| harmless(cell).into_owned())).map_err(io_error)?;
    }
    writer.into_inner().map_err(|error| serde_json::Error::io(error.into_error()))
}

fn io_error(error: csv::Error) -> serde_json::Error {
    serde_json::Error::io(error.into())
}

fn cells(stored: &StoredEvent) -> Result<[Cow<'_, str>; COLUMNS.len()], serde_json::Error> {
    let event = EventJson::of(stored)?;
    let own = |text: Option<String>| Cow::Owned(text.unwrap_or_default());
    let json = |raw: Option<&RawValue>| Cow::Owned(raw.map(ToString::to_string).unwrap_or_default());
    Ok([
        event.id.as_str().to_owned().into(),
        event.event_type.as_str().into(),
        event.severity.as_str().into(),
        own(text(event.title)?),
        own(text(event.message)?),
        event.source.service.to_owned().into(),
        event.source.endpoint.to_owned().into(),
        event.source.method.to_owned().into(),
        own(text(event.source.version)?),
        own(event.source.environment.map(str::to_owned)),
        own(event.status_code.map(|code| code.to_string())),
        own(event.duration_ms.map(|ms| ms.to_string())),
        own(stored.event.user_id.clone()),
        own(event.correlation_id.map(str::to_owned)),
        own(Some(event.timestamp.to_string())),
        own(Some(event.ingested_at.to_string())),
        event.processing_status.as_str().into(),
        own(event.device_type.map(|device| device.to_string())),
        own(event.performance.map(|performance| performance.to_string())),
        json(event.tags),
        json(event.context),
        json(event.metrics),
        json(event.error_details),
        json(event.payload),
        json(event.metadata),
    ])
}

/// The text inside a JSON string.
fn text(raw: Option<&RawValue>) -> Result<Option<String>, serde_json::Error> {
    raw.map(|raw| serde_json::from_str(raw.get())).transpose()
}

/// A cell that no spreadsheet takes for a formula: one that looks like it gets a quote in front (OWASP ASVS
/// 1.2.10).
fn harmless(cell: &str) -> Cow<'_, str> {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0']) {
        true => Cow::Owned(format!("'{cell}")),
        false => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_json::tests::stored;

    #[test]
    fn cells_that_look_like_formulas_are_made_harmless() {
        for cell in ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\0x"] {
            assert_eq!(harmless(cell), format!("'{cell}"));
        }
        for cell in ["", "a=b", "1", "{\"a\":-1}", "'=1"] {
            assert_eq!(harmless(cell), cell);
        }
    }

    #[test]
    fn rows_are_quoted_and_end_as_rfc_4180_says() {
        let event = stored(
            r#"{"event_id":"=1","event_type":"api_call","title":"a \"b\", c","message":"two\nlines",
                "source":{"service":"s","endpoint":"/e","method":"GET"},"context":{"user_id":"@u"},
                "metrics":{"response_time_ms":0.5,"status_code":200},"payload":{"a":1}}"#,
        );
        let text = rows(std::slice::from_ref(&event), true).expect("a whole document");
        let text = String::from_utf8(text).expect("UTF-8");
        let row = concat!(
            "'=1,api_call,info,\"a \"\"b\"\", c\",\"two\nlines\",s,/e,GET,,,200,0.5,'@u,,2027-01-15T08:00:00Z,",
            "2027-01-15T08:00:00Z,completed,,excellent,,\"{\"\"user_id\"\":\"\"@u\"\"}\",",
            "\"{\"\"response_time_ms\"\":0.5,\"\"status_code\"\":200}\",,\"{\"\"a\"\":1}\",\r\n",
        );
        assert_eq!(text, format!("{}\r\n{row}", COLUMNS.join(",")));
        assert_eq!(rows(&[event], false).expect("a whole document"), row.as_bytes());
    }
}
