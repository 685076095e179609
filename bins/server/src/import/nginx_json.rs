//! Access logs of one JSON object per line, as nginx writes with `log_format … escape=json`.
//!
//! The names in such a format are the operator's choice. Understood are nginx's own variable names and those
//! of the formats that others have published; members by any other name are kept in the payload.

use std::collections::BTreeMap;

use pulsestream_domain::Timestamp;
use serde_json::value::RawValue;

use super::{
    access_log::{said, status, timestamp},
    event::LoggedRequest,
    request_line::RequestLine,
};

/// The members of a line that are not used yet.
struct Members(BTreeMap<String, Box<RawValue>>);

/// Reads one line.
pub(super) fn parse(line: &str) -> Result<LoggedRequest, &'static str> {
    let mut members = Members(serde_json::from_str(line).map_err(|_| "the line is not a JSON object")?);
    let request = match members.take(&["request"]) {
        Some(line) => RequestLine::parse(&line)?,
        None => {
            let method = members.take(&["request_method", "method"]).ok_or("there is no request")?;
            let target = members.take(&["request_uri", "uri"]).ok_or("there is no request")?;
            RequestLine::new(&method, &target, members.take(&["server_protocol", "protocol"]))?
        }
    };
    let status_text = members.take(&["status", "response"]).unwrap_or_default();
    let time = members.take(&["time_iso8601", "time_local", "@timestamp", "timestamp", "time", "msec"]);
    let seconds = members.take(&["request_time"]).and_then(|text| text.parse::<f64>().ok());
    let mut count = |names: &[&str]| members.take(names).and_then(|text| text.parse().ok());
    let response_bytes = count(&["body_bytes_sent", "bytes_sent", "bytes"]);
    let request_bytes = count(&["request_length"]);
    Ok(LoggedRequest {
        remote_host: members.take(&["remote_addr", "client_ip", "remote_ip", "client"]),
        user: members.take(&["remote_user"]),
        timestamp: time.as_deref().and_then(any_timestamp).ok_or("there is no time that can be read")?,
        request,
        status: status(&status_text).ok_or("there is no status from 100 to 599")?,
        request_bytes,
        response_bytes,
        response_time_ms: seconds.filter(|s| s.is_finite() && *s >= 0.0).map(milliseconds),
        referrer: members.take(&["http_referer", "http_referrer", "referer", "referrer"]),
        user_agent: members.take(&["http_user_agent", "user_agent", "agent"]),
        request_id: members.take(&["request_id"]),
        payload: members.0,
    })
}

/// nginx counts in whole milliseconds, so rounding to microseconds removes only what the float added.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1_000_000.0).round() / 1_000.0
}

impl Members {
    /// Takes out the first of these that is there: a text, or a number as text. `-` and `""` say nothing.
    fn take(&mut self, names: &[&str]) -> Option<String> {
        let name = names.iter().find(|name| self.0.contains_key(**name))?;
        let raw = self.0.get(*name)?.get();
        let text = match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).ok()?,
            Some(b'-' | b'0'..=b'9') => raw.to_owned(),
            // Not what was expected by this name: it stays where it is and goes to the payload.
            _ => return None,
        };
        self.0.remove(*name);
        said(text)
    }
}

/// RFC 3339, common log format, or seconds since 1970.
fn any_timestamp(text: &str) -> Option<String> {
    if Timestamp::parse(text).is_ok() {
        return Some(text.to_owned());
    }
    timestamp(text).or_else(|| {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let micros: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
        let seconds: u32 = seconds.parse().ok()?;
        Some(Timestamp::from_secs(i64::from(seconds)).plus_micros(micros).to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_variable_names_is_read_in_full_and_keeps_the_rest() {
        let read = parse(
            r#"{"time_iso8601":"2026-11-22T10:00:00+01:00","remote_addr":"2001:db8::1","remote_user":"","request":"POST /a?b HTTP/2.0","status":"502","body_bytes_sent":"157","request_time":"0.137","request_length":"80","http_referer":"-","http_user_agent":"curl/8","request_id":"f00","upstream_response_time":"0.100","big":12345678901234567890.10}"#,
        )
        .expect("a line as nginx writes it");
        assert_eq!(read.timestamp, "2026-11-22T10:00:00+01:00");
        assert_eq!(read.remote_host.as_deref(), Some("2001:db8::1"));
        assert_eq!((read.user, read.referrer), (None, None));
        assert_eq!((read.status, read.response_bytes, read.request_bytes), (502, Some(157), Some(80)));
        assert_eq!(read.response_time_ms, Some(137.0));
        assert_eq!(read.request_id.as_deref(), Some("f00"));
        assert_eq!(read.payload.len(), 2);
        assert_eq!(read.payload["big"].get(), "12345678901234567890.10");
    }

    #[test]
    fn numbers_parts_of_a_request_and_other_names_are_understood() {
        let read = parse(
            r#"{"time":"17/May/2015:08:05:32 +0000","remote_ip":"93.180.71.3","request_method":"GET","uri":"/x","response":304,"bytes":0,"agent":"APT"}"#,
        )
        .expect("a line of a published format");
        assert_eq!((read.status, read.response_bytes, read.response_time_ms), (304, Some(0), None));
        assert_eq!(read.request.title(), "GET /x");
    }

    #[test]
    fn a_line_with_something_missing_says_what() {
        for (line, expected) in [
            ("not json", "the line is not a JSON object"),
            ("[1]", "the line is not a JSON object"),
            ("{}", "there is no request"),
            (r#"{"request":"GET / HTTP/1.1"}"#, "there is no time that can be read"),
            (r#"{"request":"GET / HTTP/1.1","msec":"1.5"}"#, "there is no status from 100 to 599"),
            (r#"{"request":"","status":400,"msec":"1.5"}"#, "there is no request"),
        ] {
            assert_eq!(parse(line).err(), Some(expected), "{line}");
        }
    }

    #[test]
    fn times_are_read_in_every_form_that_nginx_writes() {
        for (text, expected) in [
            ("2026-11-22T10:00:00+01:00", Some("2026-11-22T10:00:00+01:00")),
            ("17/May/2015:10:05:03 +0000", Some("2015-05-17T10:05:03+00:00")),
            ("1431857103.25", Some("2015-05-17T10:05:03.250Z")),
            ("1431857103", Some("2015-05-17T10:05:03Z")),
            ("yesterday", None),
            ("-1.5", None),
        ] {
            assert_eq!(any_timestamp(text).as_deref(), expected, "{text}");
        }
    }
}
