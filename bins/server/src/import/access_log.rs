//! Common and combined log format, as Apache and nginx write them.
//!
//! `host ident user [time] "request" status bytes`, then for combined `"referrer" "user agent"`. Whatever
//! follows is kept as `payload.extra`. Quotes inside a field are escaped with a backslash. A last field that
//! never closes is taken as far as it goes: real logs have such lines.

use std::collections::BTreeMap;

use pulsestream_domain::Timestamp;
use serde_json::value::to_raw_value;

use super::{event::LoggedRequest, request_line::RequestLine};

/// Reads one line.
pub(super) fn parse(line: &str) -> Result<LoggedRequest, &'static str> {
    let (who, rest) = line.split_once(" [").ok_or("there is no [time]")?;
    let (time, rest) = rest.split_once("] ").ok_or("the [time] does not end")?;
    let mut who = who.splitn(3, ' ');
    let (host, ident, user) = (who.next(), who.next(), who.next());
    let user = user.ok_or("host, ident and user are not all there")?;

    let (request, rest) = quoted(rest).ok_or("there is no \"request\"")?;
    let mut numbers = rest.trim_start().splitn(3, ' ');
    let status = numbers.next().and_then(status).ok_or("there is no status from 100 to 599")?;
    let response_bytes = match numbers.next().ok_or("there is no response size")? {
        "-" => None,
        digits => Some(digits.parse().map_err(|_| "the response size is not a number")?),
    };
    let rest = numbers.next().unwrap_or_default();
    let (referrer, rest) = quoted(rest).map_or((None, rest), |(text, rest)| (said(text), rest));
    let (user_agent, rest) = quoted(rest).map_or((None, rest), |(text, rest)| (said(text), rest));

    let mut payload = BTreeMap::new();
    for (name, text) in [("ident", ident.unwrap_or_default()), ("extra", rest.trim())] {
        if let Some(text) = said(text.to_owned()) {
            payload.insert(name.to_owned(), to_raw_value(&text).map_err(|_| "the line is not text")?);
        }
    }
    Ok(LoggedRequest {
        remote_host: host.and_then(|host| said(host.to_owned())),
        user: said(decode(user)),
        timestamp: timestamp(time).ok_or("the [time] is not like 17/May/2015:10:05:03 +0000")?,
        request: RequestLine::parse(&request)?,
        status,
        request_bytes: None,
        response_bytes,
        response_time_ms: None,
        referrer,
        user_agent,
        request_id: None,
        payload,
    })
}

/// A status that an event can have.
pub(super) fn status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (100..=599).contains(status))
}

/// The text, unless it is how logs say that there is nothing to say.
pub(super) fn said(text: String) -> Option<String> {
    (!text.is_empty() && text != "-").then_some(text)
}

/// From `17/May/2015:10:05:03 +0000` to RFC 3339.
pub(super) fn timestamp(text: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (date_and_time, offset) = text.split_once(' ')?;
    let (date, time) = date_and_time.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (hours, minutes) = offset.split_at_checked(3)?;
    let rfc3339 = format!("{year}-{month:02}-{day}T{time}{hours}:{minutes}");
    Timestamp::parse(&rfc3339).ok().map(|_| rfc3339)
}

/// A field in quotes, decoded, and what follows it.
///
/// A quote ends the field only before a space or the end of the line: old servers did not escape those
/// inside.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.trim_start().strip_prefix('"')?;
    let mut is_escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        let follows = inside.as_bytes().get(at + 1);
        match byte {
            b'"' if !is_escaped && matches!(follows, None | Some(b' ')) => {
                return Some((decode(&inside[..at]), &inside[at + 1..]));
            }
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    Some((decode(inside), ""))
}

/// Undoes `\"`, `\\` and `\xHH`, which is how servers write what can't stand in a line.
///
/// Control characters stay as they were written, and so does a whole field that is not UTF-8.
fn decode(field: &str) -> String {
    if !field.contains('\\') {
        return field.to_owned();
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (decoded, length) = match (first, after) {
            (b'\\', [escaped @ (b'"' | b'\\'), ..]) => (*escaped, 2),
            (b'\\', [b'x', high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) if !(high * 16 + low).is_ascii_control() => (high * 16 + low, 4),
                _ => (first, 1),
            },
            _ => (first, 1),
        };
        bytes.push(decoded);
        rest = &rest[length..];
    }
    String::from_utf8(bytes).unwrap_or_else(|_| field.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "[17/May/2015:10:05:03 +0000]";

    #[test]
    fn a_combined_line_is_read_in_full() {
        let line = format!(
            "83.149.9.216 - jane {TIME} \"GET /a?b=1 HTTP/1.1\" 404 203023 \"http://example.com/\" \"Mozilla/5.0 (X)\""
        );
        let read = parse(&line).expect("a line as servers write it");
        assert_eq!(read.remote_host.as_deref(), Some("83.149.9.216"));
        assert_eq!(read.user.as_deref(), Some("jane"));
        assert_eq!(read.timestamp, "2015-05-17T10:05:03+00:00");
        assert_eq!((read.status, read.response_bytes), (404, Some(203_023)));
        assert_eq!(read.request.endpoint(), "/a");
        assert_eq!(read.referrer.as_deref(), Some("http://example.com/"));
        assert_eq!(read.user_agent.as_deref(), Some("Mozilla/5.0 (X)"));
        assert!(read.payload.is_empty());
    }

    #[test]
    fn lines_as_they_really_are_can_be_read() {
        for (tail, agent, extra) in [
            ("200 5", None, None),
            ("304 -", None, None),
            ("200 5 \"-\" \"-\"", None, None),
            ("200 5 \"-\" \"\"", None, None),
            (r#"200 5 "-" "a \"quoted\" \\ agent""#, Some(r#"a "quoted" \ agent"#), None),
            (r#"200 5 "-" "a "quoted"agent""#, Some(r#"a "quoted"agent"#), None),
            (r#"200 5 "-" "caf\xc3\xa9\x22""#, Some("café\""), None),
            (r#"200 5 "-" "NUL \x00 and latin \xe9""#, Some(r"NUL \x00 and latin \xe9"), None),
            ("200 5 \"-\" \"never closed; +http://www.goo", Some("never closed; +http://www.goo"), None),
            ("200 5 \"-\" \"agent\" \"10.0.0.1\" 0.123", Some("agent"), Some("\"\\\"10.0.0.1\\\" 0.123\"")),
        ] {
            let read = parse(&format!("::1 - - {TIME} \"GET / HTTP/1.1\" {tail}")).expect(tail);
            assert_eq!(read.user_agent.as_deref(), agent, "{tail}");
            assert_eq!(read.payload.get("extra").map(|raw| raw.get()), extra, "{tail}");
            assert_eq!(read.referrer, None);
        }
    }

    #[test]
    fn names_users_with_spaces_and_requests_that_never_came_are_no_reason_to_refuse() {
        let read = parse(&format!("host.example ident Jane Doe {TIME} \"-\" 408 -")).expect("readable");
        assert_eq!(read.remote_host.as_deref(), Some("host.example"));
        assert_eq!(read.user.as_deref(), Some("Jane Doe"));
        assert_eq!(read.request.method, "-");
        assert_eq!(read.payload["ident"].get(), "\"ident\"");
    }

    #[test]
    fn a_line_with_something_missing_says_what() {
        for (line, expected) in [
            ("", "there is no [time]"),
            ("::1 - - [17/May/2015:10:05:03 +0000", "the [time] does not end"),
            (
                "::1 - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1",
                "host, ident and user are not all there",
            ),
            ("::1 - - [17/May/2015:10:05:03 +0000] GET / 200 1", "there is no \"request\""),
            ("::1 - - [17/May/2015:10:05:03 +0000] \"GET / HT", "there is no status from 100 to 599"),
            (
                "::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 000 1",
                "there is no status from 100 to 599",
            ),
            ("::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200", "there is no response size"),
            (
                "::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 x",
                "the response size is not a number",
            ),
        ] {
            assert_eq!(parse(line).err(), Some(expected), "{line}");
        }
    }

    #[test]
    fn times_become_rfc_3339_with_their_offset() {
        for (text, expected) in [
            ("17/May/2015:10:05:03 +0000", Some("2015-05-17T10:05:03+00:00")),
            ("01/Jan/1999:23:59:59 -0730", Some("1999-01-01T23:59:59-07:30")),
            ("31/Feb/2015:10:05:03 +0000", None),
            ("17/Mai/2015:10:05:03 +0000", None),
            ("17/May/2015:10:05:03", None),
            ("17/May/2015:10:05:03 €", None),
        ] {
            assert_eq!(timestamp(text).as_deref(), expected, "{text}");
        }
    }
}
