//! Which format a file has.

use std::io::{self, BufRead, Read};

use clap::ValueEnum;
use serde_json::{Map, Value};

/// What is looked at: enough for the first line of any log.
const HEAD_BYTES: u64 = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How the lines of a file are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Common Log Format: `host ident user [time] "request" status bytes`.
    Common,
    /// The same, followed by `"referrer" "user agent"`; both names read lines of either kind.
    Combined,
    /// One JSON object per line, as nginx writes with `log_format … escape=json`.
    NginxJson,
    /// One event per line.
    Ndjson,
    /// One JSON array of events.
    JsonArray,
}

/// Reads up to the end of the first line that is not blank, leaving out a byte order mark.
pub(super) fn head(reader: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut limited = reader.take(HEAD_BYTES);
    while limited.read_until(b'\n', &mut head)? > 0 {
        if head.starts_with(BYTE_ORDER_MARK) {
            head.drain(..BYTE_ORDER_MARK.len());
        }
        if !head.trim_ascii().is_empty() {
            break;
        }
    }
    Ok(head)
}

/// Guesses the format from the head of a file.
pub(super) fn detect(head: &[u8]) -> Format {
    let line = head.trim_ascii();
    match line.first() {
        Some(b'[') => Format::JsonArray,
        Some(b'{') => match serde_json::from_slice::<Map<String, Value>>(line) {
            Ok(object) if is_nginx_line(&object) => Format::NginxJson,
            _ => Format::Ndjson,
        },
        _ if line.ends_with(b"\"") && line.iter().filter(|byte| **byte == b'"').count() >= 6 => {
            Format::Combined
        }
        _ => Format::Common,
    }
}

/// An event always has a type; a line of an access log never does, and has a status.
fn is_nginx_line(object: &Map<String, Value>) -> bool {
    let has = |name| object.contains_key(name);
    !has("event_type")
        && (has("status") || has("response"))
        && (has("request") || has("request_uri") || has("uri"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_the_format() {
        for (line, expected) in [
            ("[{\"event_type\":\"api_call\"}]", Format::JsonArray),
            ("\n  [\n", Format::JsonArray),
            ("{\"event_type\":\"api_call\",\"status\":1,\"uri\":\"/\"}", Format::Ndjson),
            ("{\"title\":\"no type, which is for the rules to say\"}", Format::Ndjson),
            ("{\"broken\":", Format::Ndjson),
            ("{\"status\":\"200\",\"request\":\"GET / HTTP/1.1\"}", Format::NginxJson),
            ("{\"response\":304,\"request\":\"GET / HTTP/1.1\"}", Format::NginxJson),
            ("::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1", Format::Common),
            (
                "::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"curl/8\"",
                Format::Combined,
            ),
            ("", Format::Common),
        ] {
            assert_eq!(detect(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn the_head_starts_after_a_byte_order_mark_and_blank_lines_belong_to_it() {
        let mut reader: &[u8] = b"\xef\xbb\xbf\n\n{}\n{\"second\":1}\n";
        assert_eq!(head(&mut reader).expect("memory"), b"\n\n{}\n");
        assert_eq!(reader, b"{\"second\":1}\n");
    }
}
