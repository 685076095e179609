//! Which `Content-Type` a route takes.

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use pulsestream_ingestion::Format;

use super::BodyError;

/// Makes sure that the body says it is JSON in UTF-8.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), BodyError> {
    match of(headers) {
        Some(Known::Json) => Ok(()),
        _ => Err(BodyError::UnsupportedMediaType),
    }
}

/// How the events of a batch stand in its body.
pub(crate) fn batch_format(headers: &HeaderMap) -> Result<Format, BodyError> {
    match of(headers) {
        Some(Known::Json) => Ok(Format::Batch),
        Some(Known::Lines) => Ok(Format::Ndjson),
        None => Err(BodyError::UnsupportedMediaType),
    }
}

enum Known {
    Json,
    Lines,
}

fn of(headers: &HeaderMap) -> Option<Known> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next()?;
    let is_utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        _ => true,
    });
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if !is_utf8 {
        None
    } else if is("application/json") {
        Some(Known::Json)
    } else if ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]
        .into_iter()
        .any(is)
    {
        Some(Known::Lines)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn format(content_type: Option<&'static str>) -> Option<Format> {
        let mut headers = HeaderMap::new();
        if let Some(text) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
        }
        batch_format(&headers).ok()
    }

    #[test]
    fn a_batch_is_json_or_lines_of_json_in_utf8() {
        for (text, expected) in [
            ("application/json", Some(Format::Batch)),
            ("Application/JSON; charset=UTF-8", Some(Format::Batch)),
            ("application/json;charset=\"utf-8\"; x=y", Some(Format::Batch)),
            ("application/json; charset=utf-16", None),
            ("application/x-ndjson", Some(Format::Ndjson)),
            ("application/jsonl; charset=utf-8", Some(Format::Ndjson)),
            ("text/plain", None),
            ("application/xml", None),
            ("", None),
        ] {
            assert_eq!(format(Some(text)), expected, "{text}");
        }
        assert_eq!(format(None), None);
    }
}
