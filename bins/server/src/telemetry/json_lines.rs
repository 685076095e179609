//! Log lines as flat JSON objects.
//!
//! `tracing-subscriber` has a JSON format, too. It gathers the fields of a line in a map before it writes them,
//! and a line per request, all told, was a fifth of what storing a single event cost the server
//! (docs/performance.md). This one writes each field as it comes.

use std::fmt::{self, Write};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
    registry::LookupSpan,
};

/// One JSON object per line: the time, the level, the fields in the order in which they were given, the span
/// that was entered last with its fields, and the module. The span's fields have to be formatted as JSON.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // Of a record of the `log` crate, which has its origin in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());

        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        write!(line, "\",\"level\":\"{}\"", metadata.level())?;
        let mut fields = Fields { line: &mut line, written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        if let Some(span) = context.lookup_current() {
            write!(line, ",\"span\":{{\"name\":\"{}\"", span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>()
                && let Some(members) = fields.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
                && !members.is_empty()
            {
                write!(line, ",{members}")?;
            }
            line.write_char('}')?;
        }
        line.write_str(",\"target\":")?;
        quoted(&mut line, |text| text.write_str(metadata.target()))?;
        line.write_str("}\n")
    }
}

/// Writes fields as members of an object that has members already.
struct Fields<'a, 'w> {
    line: &'a mut Writer<'w>,
    written: fmt::Result,
}

impl Fields<'_, '_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        // Where a record of the `log` crate came from is in the metadata already.
        if self.written.is_ok() && !field.name().starts_with("log.") {
            self.written = write!(self.line, ",\"{}\":", field.name()).and_then(|()| value(self.line));
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |line| quoted(line, |text| text.write_str(value)));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |line| write!(line, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |line| write!(line, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |line| write!(line, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, |line| {
            // JSON has no other numbers.
            if value.is_finite() { write!(line, "{value}") } else { line.write_str("null") }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |line| quoted(line, |text| write!(text, "{value:?}")));
    }
}

/// Writes a JSON string.
fn quoted<'w>(line: &mut Writer<'w>, text: impl FnOnce(&mut Escaped<'_, 'w>) -> fmt::Result) -> fmt::Result {
    line.write_char('"')?;
    text(&mut Escaped(line))?;
    line.write_char('"')
}

/// Writes text inside of a JSON string (RFC 8259 §7).
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.0.write_str(&text[plain_from..at])?;
            match byte {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            plain_from = at + 1;
        }
        self.0.write_str(&text[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::Value;
    use tracing_subscriber::{fmt::format::JsonFields, layer::SubscriberExt as _};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `happening` runs, line by line.
    fn lines(happening: impl FnOnce()) -> Vec<Value> {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), happening);
        let written = sink.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(written).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("one JSON object per line")).collect()
    }

    #[test]
    fn a_line_is_one_flat_object_with_the_fields_as_they_were_given() {
        let lines = lines(|| {
            tracing::info!(status = 200_u16, duration_ms = 3.5, ok = true, tenant.id = %"019", "answered");
        });
        let line = &lines[0];
        assert_eq!(
            (&line["level"], &line["message"], &line["status"]),
            (&"INFO".into(), &"answered".into(), &200.into())
        );
        assert_eq!(
            (&line["duration_ms"], &line["ok"], &line["tenant.id"]),
            (&3.5.into(), &true.into(), &"019".into())
        );
        assert_eq!(line["target"], module_path!());
        let timestamp = line["timestamp"].as_str().expect("a time");
        assert!(pulsestream_domain::Timestamp::parse(timestamp).is_ok(), "{timestamp}");
    }

    #[test]
    fn no_value_can_break_out_of_its_line() {
        let evil = "a\"b\\c\nd\r\u{0}\u{1b}[31m\u{2028}é";
        let lines = lines(|| {
            tracing::warn!(cause = evil, debugged = ?evil, not_a_number = f64::NAN, "{evil}");
        });
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["cause"], &lines[0]["message"]), (&evil.into(), &evil.into()));
        assert_eq!(lines[0]["debugged"], format!("{evil:?}"));
        assert!(lines[0]["not_a_number"].is_null());
    }

    #[test]
    fn a_line_names_the_span_it_belongs_to() {
        let lines = lines(|| {
            let span = tracing::info_span!("request", request_id = "01\"23", empty = tracing::field::Empty);
            span.in_scope(|| tracing::info!("inside"));
            tracing::info_span!("bare").in_scope(|| tracing::info!("inside"));
            tracing::info!("outside");
        });
        assert_eq!(lines[0]["span"]["name"], "request");
        assert_eq!(lines[0]["span"]["request_id"], "01\"23");
        assert_eq!(lines[1]["span"]["name"], "bare");
        assert!(lines[2].get("span").is_none());
    }
}
