//! Splitting a body into events, without looking into them: one that is broken must not touch the others.

use std::fmt;

use pulsestream_domain::event::{EventId, FieldError, Reason, Refused};
use serde::{
    Deserialize, Deserializer as _,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// How the events stand in a body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Format {
    /// The body is one event.
    #[default]
    Single,
    /// The body is an array of events, or an object with one under `events`.
    Batch,
    /// Each line is an event; empty lines are skipped.
    Ndjson,
}

/// Nothing in the body could be read; no event was looked at.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is no body.
    #[error("the body is empty")]
    EmptyBody,
    /// It is not UTF-8.
    #[error("the body is not UTF-8")]
    BadUtf8,
    /// It is not JSON.
    #[error("the body is not JSON: line {line}, column {column}")]
    BadJson {
        /// Where it stops being JSON, from 1.
        line: usize,
        /// Where in that line, in bytes, from 0.
        column: usize,
    },
    /// It is JSON of a type that can't hold events.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A member around the events is missing or wrong.
    #[error("a member of the body is not valid")]
    BadMember(FieldError),
    /// There are no events in it.
    #[error("the batch has no events")]
    EmptyBatch,
    /// There are too many.
    #[error("the batch has more than {max} events")]
    TooManyEvents {
        /// How many there may be.
        max: usize,
    },
}

/// The events of one body, each as raw JSON or refused already.
#[derive(Debug)]
pub(crate) struct Offered<'a> {
    pub(crate) batch_id: Option<String>,
    pub(crate) events: Vec<Result<&'a RawValue, Refused>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    events: Option<&'a RawValue>,
    #[serde(borrow)]
    batch_id: Option<&'a RawValue>,
    #[serde(borrow)]
    source_application: Option<&'a RawValue>,
}

/// Splits a body. At most `max` events.
pub(crate) fn split(body: &[u8], format: Format, max: usize) -> Result<Offered<'_>, Unreadable> {
    let text = match (std::str::from_utf8(body), format) {
        // One broken line of many is that line's own affair.
        (Err(_), Format::Ndjson) => return lines(body, max),
        (text, _) => text.map_err(|_| Unreadable::BadUtf8)?,
    };
    if text.trim_ascii().is_empty() {
        return Err(Unreadable::EmptyBody);
    }
    match format {
        Format::Single => single(text),
        Format::Batch => batch(text, max),
        Format::Ndjson => lines(body, max),
    }
}

fn bad_json(error: &serde_json::Error) -> Unreadable {
    Unreadable::BadJson { line: error.line(), column: error.column() }
}

fn single(text: &str) -> Result<Offered<'_>, Unreadable> {
    let event: &RawValue = serde_json::from_str(text).map_err(|error| bad_json(&error))?;
    if !event.get().starts_with('{') {
        return Err(Unreadable::NotAnObject);
    }
    Ok(Offered { batch_id: None, events: vec![Ok(event)] })
}

fn batch(text: &str, max: usize) -> Result<Offered<'_>, Unreadable> {
    let body: &RawValue = serde_json::from_str(text).map_err(|error| bad_json(&error))?;
    match body.get().as_bytes().first() {
        Some(b'[') => Ok(Offered { batch_id: None, events: array(body, max)? }),
        Some(b'{') => {
            let Envelope { events, batch_id, source_application } = serde_json::from_str(body.get())
                .map_err(|_| Unreadable::BadMember(FieldError::new("", Reason::DuplicateKey)))?;
            let missing = || Unreadable::BadMember(FieldError::new("/events", Reason::Required));
            let events = events.filter(|raw| raw.get() != "null").ok_or_else(missing)?;
            if !events.get().starts_with('[') {
                return Err(Unreadable::BadMember(FieldError::new("/events", Reason::WrongType)));
            }
            text_member("source_application", source_application)?;
            Ok(Offered { batch_id: text_member("batch_id", batch_id)?, events: array(events, max)? })
        }
        _ => Err(Unreadable::NotAnObject),
    }
}

fn text_member(name: &str, raw: Option<&RawValue>) -> Result<Option<String>, Unreadable> {
    let refused = |reason| Unreadable::BadMember(FieldError::new(format!("/{name}"), reason));
    let Some(raw) = raw else { return Ok(None) };
    let text: Option<String> = serde_json::from_str(raw.get()).map_err(|_| refused(Reason::WrongType))?;
    match text {
        Some(text) if text.chars().count() > 255 => Err(refused(Reason::TooLong)),
        text => Ok(text),
    }
}

fn array(events: &RawValue, max: usize) -> Result<Vec<Result<&RawValue, Refused>>, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(events.get());
    match reader.deserialize_seq(UpTo(max)).map_err(|error| bad_json(&error))? {
        None => Err(Unreadable::TooManyEvents { max }),
        Some(events) if events.is_empty() => Err(Unreadable::EmptyBatch),
        Some(events) => Ok(events),
    }
}

/// Reads an array of at most so many events; `None` if there are more. A body of megabytes may have millions of
/// them, and a list of those takes more memory than the body.
struct UpTo(usize);

impl<'de> Visitor<'de> for UpTo {
    type Value = Option<Vec<Result<&'de RawValue, Refused>>>;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = array.next_element()? {
            if events.len() == self.0 {
                // It is known to be JSON; what follows does not matter.
                while array.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(None);
            }
            events.push(Ok(event));
        }
        Ok(Some(events))
    }
}

fn lines(body: &[u8], max: usize) -> Result<Offered<'_>, Unreadable> {
    let mut events = Vec::new();
    for line in body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        if events.len() == max {
            return Err(Unreadable::TooManyEvents { max });
        }
        let refused =
            |reason| Refused { event_id: None::<EventId>, errors: vec![FieldError::new("", reason)] };
        events.push(match std::str::from_utf8(line) {
            Err(_) => Err(refused(Reason::BadUtf8)),
            Ok(line) => serde_json::from_str::<&RawValue>(line).map_err(|_| refused(Reason::BadJson)),
        });
    }
    if events.is_empty() { Err(Unreadable::EmptyBody) } else { Ok(Offered { batch_id: None, events }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &[u8], format: Format) -> Result<Vec<String>, Unreadable> {
        let shown = |event: Result<&RawValue, Refused>| match event {
            Ok(raw) => raw.get().to_owned(),
            Err(refused) => refused.errors[0].code.to_string(),
        };
        split(body, format, 3).map(|offered| offered.events.into_iter().map(shown).collect())
    }

    #[test]
    fn bodies_fall_into_events() {
        let cases: [(&[u8], Format, &[&str]); 6] = [
            (b" {\"a\":1} ", Format::Single, &["{\"a\":1}"]),
            (b"[1, {} ,\"x\"]", Format::Batch, &["1", "{}", "\"x\""]),
            (b"{\"batch_id\":\"b\",\"events\":[{}],\"other\":1}", Format::Batch, &["{}"]),
            (b"{}\r\n\n {} ", Format::Ndjson, &["{}", "{}"]),
            (b"{}\n{oops\n1", Format::Ndjson, &["{}", "bad_json", "1"]),
            (b"{}\n\xff", Format::Ndjson, &["{}", "bad_utf8"]),
        ];
        for (body, format, expected) in cases {
            let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(texts(body, format), Ok(expected));
        }
    }

    #[test]
    fn what_holds_no_events_says_why() {
        let member = |pointer: &str, reason| Unreadable::BadMember(FieldError::new(pointer, reason));
        let cases: [(&[u8], Format, Unreadable); 14] = [
            (b"", Format::Single, Unreadable::EmptyBody),
            (b" \n", Format::Ndjson, Unreadable::EmptyBody),
            (b"\xff", Format::Single, Unreadable::BadUtf8),
            (b"{", Format::Single, Unreadable::BadJson { line: 1, column: 1 }),
            (b"{} x", Format::Single, Unreadable::BadJson { line: 1, column: 4 }),
            (b"\xef\xbb\xbf{}", Format::Single, Unreadable::BadJson { line: 1, column: 1 }),
            (b"null", Format::Single, Unreadable::NotAnObject),
            (b"[]", Format::Single, Unreadable::NotAnObject),
            (b"\"x\"", Format::Batch, Unreadable::NotAnObject),
            (b"[]", Format::Batch, Unreadable::EmptyBatch),
            (b"{}", Format::Batch, member("/events", Reason::Required)),
            (b"{\"events\":{}}", Format::Batch, member("/events", Reason::WrongType)),
            (b"{\"events\":[1],\"batch_id\":1}", Format::Batch, member("/batch_id", Reason::WrongType)),
            (b"[1,2,3,4]", Format::Batch, Unreadable::TooManyEvents { max: 3 }),
        ];
        for (body, format, expected) in cases {
            assert_eq!(texts(body, format), Err(expected), "{}", String::from_utf8_lossy(body));
        }
    }
}
