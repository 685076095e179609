//! Events as JSON text, one at a time. An event that has an id keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An event with its id: its own, or the one that `id` makes.
pub(super) fn with_id(text: &str, id: impl FnOnce() -> String) -> Result<Box<RawValue>, &'static str> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow, default, deserialize_with = "as_written")]
        event_id: Option<&'a RawValue>,
    }

    let text = text.trim();
    if !text.starts_with('{') {
        return Err("it is not a JSON object");
    }
    let identified: Identified<'_> = serde_json::from_str(text).map_err(|_| "it is not a JSON object")?;
    let identified = match identified.event_id.map(RawValue::get) {
        None => {
            let rest = text[1..].trim_start();
            let comma = if rest.starts_with('}') { "" } else { "," };
            format!("{{\"event_id\":\"{}\"{comma}{rest}", id())
        }
        // Two members of one name are refused, so the `null` has to go.
        Some("null") => {
            let mut members: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(text).map_err(|_| "it is not a JSON object")?;
            members.remove("event_id");
            let rest = serde_json::to_string(&members).map_err(|_| "it is not a JSON object")?;
            return with_id(&rest, id);
        }
        Some(_) => text.to_owned(),
    };
    RawValue::from_string(identified).map_err(|_| "it is not a JSON object")
}

/// A member's text, `null` included, which an `Option` alone would take for an absent member.
fn as_written<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_id_or_gets_one_and_nothing_else_changes() {
        for (text, expected) in [
            (r#"{"event_id":"own","n":1.10}"#, r#"{"event_id":"own","n":1.10}"#),
            (r#" { "n":1.10 } "#, r#"{"event_id":"made","n":1.10 }"#),
            ("{}", r#"{"event_id":"made"}"#),
            (r#"{"event_id":null,"n":1.10}"#, r#"{"event_id":"made","n":1.10}"#),
            (r#"{"event_id":null}"#, r#"{"event_id":"made"}"#),
            (r#"{"event_id":7}"#, r#"{"event_id":7}"#),
        ] {
            let event = with_id(text, || "made".to_owned()).expect(text);
            assert_eq!(event.get(), expected);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "1", "{", "{} {}", r#"{"event_id":"a","event_id":"b"}"#, "\"{}\""] {
            assert!(with_id(text, || "made".to_owned()).is_err(), "{text}");
        }
    }
}
