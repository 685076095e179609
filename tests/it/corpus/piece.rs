//! Bytes that are described instead of spelt out, so that ten mebibytes of them take one line of a file.

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value};

use super::names::Names;

/// A valid event up to its last brace, member by member.
const EVENT: [(&str, &str); 3] = [
    ("event_type", r#""custom_event""#),
    ("title", r#""corpus""#),
    ("source", r#"{"service":"corpus","endpoint":"/corpus","method":"POST"}"#),
];

/// The bytes of a piece.
pub(super) fn bytes(piece: &Value, names: &Names) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(piece, names, &mut bytes);
    bytes
}

/// The text of a piece.
pub(super) fn text(piece: &Value, names: &Names) -> String {
    String::from_utf8(bytes(piece, names)).expect("the piece is a text")
}

fn append(piece: &Value, names: &Names, into: &mut Vec<u8>) {
    match piece {
        Value::String(text) => into.extend_from_slice(names.fill_in(text).as_bytes()),
        Value::Array(pieces) => {
            let start = into.len();
            for piece in pieces {
                match fill(piece) {
                    Some((filler, length)) => {
                        let missing = length.checked_sub(into.len() - start).expect("there is room to fill");
                        into.extend(std::iter::repeat_n(filler, missing));
                    }
                    None => append(piece, names, into),
                }
            }
        }
        Value::Object(piece) => described(piece, names, into),
        other => panic!("{other} is no piece"),
    }
}

fn described(piece: &Map<String, Value>, names: &Names, into: &mut Vec<u8>) {
    let get = |name: &str| piece.get(name);
    if let Some(inner) = get("repeat") {
        let between = get("between").map(|between| bytes(between, names)).unwrap_or_default();
        repeat(inner, number(piece, "times"), &between, names, into);
    } else if let Some(inner) = get("gzip") {
        into.extend_from_slice(&encoded(inner, names, "gzip"));
    } else if let Some(inner) = get("zstd") {
        into.extend_from_slice(&encoded(inner, names, "zstd"));
    } else if let Some(text) = get("latin1").and_then(Value::as_str) {
        into.extend(text.chars().map(|c| u8::try_from(u32::from(c)).expect("a character is a byte here")));
    } else if let Some(text) = get("utf16le").and_then(Value::as_str) {
        into.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    } else if let Some(text) = get("utf16be").and_then(Value::as_str) {
        into.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    } else if let Some(value) = get("json") {
        into.extend_from_slice(names.fill_in(&value.to_string()).as_bytes());
    } else if let Some(inner) = get("first") {
        into.extend_from_slice(&bytes(inner, names)[..number(piece, "bytes")]);
    } else if let Some(events) = get("batch").and_then(Value::as_array) {
        into.extend_from_slice(b"{\"events\":[");
        for (index, event) in events.iter().enumerate() {
            into.extend_from_slice(if index == 0 { b"" } else { b"," });
            append(event, names, into);
        }
        into.extend_from_slice(b"]}");
    } else if let Some(members) = get("event") {
        event(members, get("without"), names, into);
    } else {
        panic!("what is {piece:?}?");
    }
}

/// A valid event with more members: an object's, which replace the usual ones, or the text of a piece.
fn event(members: &Value, without: Option<&Value>, names: &Names, into: &mut Vec<u8>) {
    let is_left_out = |name: &str| {
        let listed =
            without.and_then(Value::as_array).is_some_and(|list| list.iter().any(|left| left == name));
        listed || members.get(name).is_some()
    };
    let usual = EVENT.iter().filter(|(name, _)| !is_left_out(name));
    let mut parts: Vec<Vec<u8>> =
        usual.map(|(name, value)| format!("\"{name}\":{value}").into_bytes()).collect();
    match members {
        Value::Object(members) => {
            for (name, value) in members {
                let member = format!("{}:{value}", Value::from(name.as_str()));
                parts.push(names.fill_in(&member).into_owned().into_bytes());
            }
        }
        text => parts.push(bytes(text, names)),
    }
    into.push(b'{');
    into.extend_from_slice(&parts.join(&b','));
    into.push(b'}');
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).expect("a vector takes everything")
}

/// Encoded bytes by the coding and the piece.
type Encoded = BTreeMap<(&'static str, String), Arc<Vec<u8>>>;

/// The encoded bytes of a piece. Bombs are the same in every run and take long to make, so they are kept.
fn encoded(inner: &Value, names: &Names, coding: &'static str) -> Arc<Vec<u8>> {
    static KEPT: Mutex<Encoded> = Mutex::new(Encoded::new());
    let encode = || {
        let plain = bytes(inner, names);
        Arc::new(if coding == "gzip" { gzip(&plain) } else { zstd(&plain) })
    };
    let text = inner.to_string();
    if text.contains("${") {
        return encode();
    }
    let mut kept = KEPT.lock().expect("no holder panics");
    Arc::clone(kept.entry((coding, text)).or_insert_with(encode))
}

fn repeat(inner: &Value, times: usize, between: &[u8], names: &Names, into: &mut Vec<u8>) {
    if !inner.to_string().contains("${n}") {
        let mut once = bytes(inner, names);
        let length = once.len();
        once.extend_from_slice(between);
        into.extend_from_slice(&once.repeat(times.saturating_sub(1)));
        into.extend_from_slice(&once[..if times == 0 { 0 } else { length }]);
        return;
    }
    for index in 0..times {
        if index > 0 {
            into.extend_from_slice(between);
        }
        append(inner, &names.numbered(index), into);
    }
}

/// A filler and the length, from the start of the list it stands in, that it fills up to.
fn fill(piece: &Value) -> Option<(u8, usize)> {
    let filler = piece.get("fill")?.as_str()?.as_bytes()[0];
    Some((filler, number(piece.as_object()?, "to")))
}

fn number(piece: &Map<String, Value>, name: &str) -> usize {
    let number = piece.get(name).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("{piece:?} needs {name}")) as usize
}
