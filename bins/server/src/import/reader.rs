//! Reads a whole source into batches.

use std::io::{BufRead, Cursor, Read};

use anyhow::{Context, Result};
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;

use super::{
    access_log,
    batch::{BadLine, Batch, Record},
    detect::{self, Format},
    event::{LoggedRequest, Mapping},
    json_array::{Item, Items},
    json_lines,
    line_ids::LineIds,
    lines::{self, Line},
    nginx_json,
    source::Source,
};

/// Reads to the end, or until nobody takes batches any more. Blocks: it belongs on a thread of its own.
///
/// # Errors
/// When the source itself fails (a disk, a damaged gzip). What was read before has been sent.
pub(super) fn read(
    source: Source,
    format: Option<Format>,
    mapping: &Mapping,
    batches: &Sender<Batch>,
) -> Result<()> {
    let mut reader = source.into_reader();
    let head = detect::head(&mut reader).context("reading the first line")?;
    let format = format.unwrap_or_else(|| detect::detect(&head));
    let whole = Cursor::new(head).chain(reader);
    let mut entries = Entries { format, mapping, ids: LineIds::default(), batch: Batch::default(), batches };
    let outcome = match format {
        Format::JsonArray => entries.read_array(whole),
        _ => entries.read_lines(whole),
    };
    entries.flush();
    outcome
}

/// Turns lines into events and events into batches.
struct Entries<'a> {
    format: Format,
    mapping: &'a Mapping,
    ids: LineIds,
    batch: Batch,
    batches: &'a Sender<Batch>,
}

/// Nobody takes batches any more.
struct Unwanted;

impl Entries<'_> {
    fn read_lines(&mut self, mut reader: impl BufRead) -> Result<()> {
        let mut buffer = Vec::new();
        for position in 1.. {
            let line =
                lines::next(&mut reader, &mut buffer).with_context(|| format!("reading line {position}"))?;
            let taken = match line {
                Line::Whole if buffer.trim_ascii().is_empty() => Ok(()),
                Line::Whole => self.take(position, &buffer),
                Line::TooLong => self.refuse(position, "it is too long"),
                Line::End => break,
            };
            if taken.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn read_array(&mut self, reader: impl BufRead) -> Result<()> {
        let mut items = Items::new(reader);
        for position in 1.. {
            let taken = match items.next().with_context(|| format!("reading item {position}"))? {
                Item::Whole(item) => self.take(position, &item),
                Item::TooLong => self.refuse(position, "it is too long"),
                Item::Broken(why) => self.refuse(position, why),
                Item::End => break,
            };
            if taken.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, position: u64, line: &[u8]) -> Result<(), Unwanted> {
        // A byte order mark, NUL from a log that was being written when the power went, bytes in an unknown
        // encoding: all of it becomes U+FFFD rather than a reason to stop.
        let text = String::from_utf8_lossy(line).replace('\0', "\u{fffd}");
        let logged = match self.format {
            Format::Common | Format::Combined => access_log::parse(&text),
            Format::NginxJson => nginx_json::parse(&text),
            Format::Ndjson | Format::JsonArray => {
                return match json_lines::with_id(&text, || self.ids.next(line)) {
                    Ok(event) => self.push(position, event),
                    Err(why) => self.refuse(position, why),
                };
            }
        };
        match logged {
            Ok(logged) => self.take_logged(position, line, logged),
            Err(why) => self.refuse(position, why),
        }
    }

    fn take_logged(&mut self, position: u64, line: &[u8], logged: LoggedRequest) -> Result<(), Unwanted> {
        match logged.into_event(&self.ids.next(line), self.mapping) {
            Ok(mapped) => {
                self.push(position, mapped.json)?;
                self.batch.assumed_times += u64::from(mapped.is_time_assumed);
                Ok(())
            }
            Err(error) => self.refuse(position, &error.to_string()),
        }
    }

    fn push(&mut self, position: u64, event: Box<RawValue>) -> Result<(), Unwanted> {
        if self.batch.is_full_for(event.get().len()) {
            self.send()?;
        }
        self.batch.push(Record { position, event });
        Ok(())
    }

    fn refuse(&mut self, position: u64, reason: &str) -> Result<(), Unwanted> {
        if self.batch.is_full_for(0) {
            self.send()?;
        }
        self.batch.bad.push(BadLine { position, reason: reason.to_owned() });
        Ok(())
    }

    fn send(&mut self) -> Result<(), Unwanted> {
        self.batches.blocking_send(std::mem::take(&mut self.batch)).map_err(|_| Unwanted)
    }

    fn flush(&mut self) {
        // Nobody wants it: the importer has stopped, and says why itself.
        let _ = self.send();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tokio::sync::mpsc;

    use super::*;

    fn read_all(text: &[u8], format: Option<Format>) -> (Vec<Value>, Vec<BadLine>) {
        let mapping = Mapping {
            service: "web".to_owned(),
            environment: Some("prod".to_owned()),
            response_time_ms: 0.0,
        };
        let (sender, mut receiver) = mpsc::channel(100);
        read(Source::of(text), format, &mapping, &sender).expect("memory can be read");
        drop(sender);
        let (mut events, mut bad) = (Vec::new(), Vec::new());
        while let Some(batch) = receiver.blocking_recv() {
            assert!(batch.records.len() <= super::super::batch::MAX_EVENTS);
            events.extend(
                batch.records.iter().map(|record| serde_json::from_str(record.event.get()).expect("JSON")),
            );
            bad.extend(batch.bad);
        }
        (events, bad)
    }

    const LINE: &str =
        r#"203.0.113.7 - jane [17/May/2015:10:05:03 +0000] "GET /a?b=1 HTTP/1.1" 503 5 "-" "curl/8" "#;

    #[test]
    fn a_line_of_an_access_log_becomes_an_event() {
        let (events, bad) = read_all(format!("{LINE}\n").as_bytes(), None);
        assert_eq!(bad, []);
        let id = events[0]["event_id"].clone();
        let expected = serde_json::json!([{
            "event_id": id, "event_type": "api_call", "title": "GET /a", "severity": "error",
            "source": {"service": "web", "endpoint": "/a", "method": "GET", "environment": "prod"},
            "context": {"user_id": "jane", "ip_address": "203.0.113.7", "user_agent": "curl/8"},
            "metrics": {"response_time_ms": 0.0, "status_code": 503, "response_size_bytes": 5},
            "payload": {"query": "b=1", "protocol": "HTTP/1.1"},
            "metadata": {"response_time_assumed": true}, "timestamp": "2015-05-17T10:05:03+00:00"
        }]);
        assert_eq!(Value::Array(events), expected);
    }

    #[test]
    fn bad_lines_are_named_by_their_number_and_stop_nothing() {
        let text = format!("{LINE}\n\nnonsense\n{LINE}\r\n");
        let (events, bad) = read_all(text.as_bytes(), None);
        assert_eq!(bad, [BadLine { position: 3, reason: "there is no [time]".to_owned() }]);
        assert_eq!(events.len(), 2);
        assert_ne!(events[0]["event_id"], events[1]["event_id"], "identical lines stay two events");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let mut text = LINE.replace("curl/8", "curl/#").into_bytes();
        let at = text.iter().position(|byte| *byte == b'#').expect("it is there");
        text[at] = 0xff;
        text.extend(b"\n\0\0\n");
        let (events, bad) = read_all(&text, Some(Format::Combined));
        assert_eq!(events[0]["context"]["user_agent"], "curl/\u{fffd}");
        assert_eq!(bad.len(), 1);
    }

    #[test]
    fn what_an_event_can_not_hold_goes_to_the_payload() {
        let line = format!(
            "host.example - - [17/May/2015:10:05:03 +0000] \"GET /{} HTTP/1.1\" 200 5 \"not a url\" \"{}\"",
            "p".repeat(600),
            "a".repeat(501),
        );
        let (events, _) = read_all(line.as_bytes(), None);
        let event = &events[0];
        assert_eq!(event["context"].as_object().map(|context| context.len()), Some(1));
        assert_eq!(event["payload"]["remote_host"], "host.example");
        assert_eq!(event["payload"]["referrer"], "not a url");
        assert_eq!(event["payload"]["user_agent"], "a".repeat(501));
        assert_eq!(event["payload"]["target"], format!("/{}", "p".repeat(600)));
        assert_eq!(event["severity"], "info");
    }

    #[test]
    fn ndjson_and_arrays_give_the_same_events() {
        let (lines, _) = read_all(b"{\"event_id\":\"a\"}\n{\"n\":1}\n[1]\n", Some(Format::Ndjson));
        let (items, bad) = read_all(b"[{\"event_id\":\"a\"},{\"n\":1},[1]]", None);
        assert_eq!(lines, items);
        assert_eq!(lines.len(), 2);
        assert_eq!(bad[0].position, 3);
    }

    #[test]
    fn large_files_come_in_many_batches() {
        let (events, bad) = read_all(format!("{LINE}\n").repeat(1_234).as_bytes(), None);
        assert_eq!((events.len(), bad.len()), (1_234, 0));
    }
}
