//! The request line of an access log: `GET /path?query HTTP/1.1`.

use super::event::cut;

const MAX_METHOD_CHARS: usize = 10;
const MAX_ENDPOINT_CHARS: usize = 500;
const MAX_TITLE_CHARS: usize = 200;

/// A request line, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RequestLine {
    pub(super) method: String,
    /// Path and query as the client sent them.
    pub(super) target: String,
    /// `HTTP/1.1`, or whatever stood there.
    pub(super) protocol: Option<String>,
}

impl RequestLine {
    /// Takes a request line apart. Spaces inside the target belong to it: some clients send them.
    ///
    /// A lone `-`, which servers write when a connection closed before it said anything, is a request with
    /// the method `-` and the path `-`: such lines have a status, and are counted in it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "-" {
            return Ok(Self { method: "-".to_owned(), target: "-".to_owned(), protocol: None });
        }
        let (method, rest) = text.split_once(' ').unwrap_or((text, ""));
        let (target, protocol) = match rest.rsplit_once(' ') {
            Some((target, protocol)) if protocol.starts_with("HTTP/") => (target, Some(protocol.to_owned())),
            _ => (rest, None),
        };
        Self::new(method, target.trim(), protocol)
    }

    /// A request line of which the parts are known.
    pub(super) fn new(method: &str, target: &str, protocol: Option<String>) -> Result<Self, &'static str> {
        if method.is_empty() {
            return Err("the request has no method");
        }
        if method.chars().count() > MAX_METHOD_CHARS {
            return Err("the method has more than 10 characters");
        }
        let (path, _) = target.split_once('?').unwrap_or((target, ""));
        if path.is_empty() {
            return Err("the request has no path");
        }
        Ok(Self { method: method.to_owned(), target: target.to_owned(), protocol })
    }

    /// The whole path, without the query.
    fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// The path as far as an event's endpoint goes.
    pub(super) fn endpoint(&self) -> &str {
        cut(self.path(), MAX_ENDPOINT_CHARS)
    }

    /// What comes after the `?`, if there is one.
    pub(super) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Whether [`RequestLine::endpoint`] is not the whole path.
    pub(super) fn is_cut(&self) -> bool {
        self.endpoint().len() < self.path().len()
    }

    /// `GET /path`, as far as an event's title goes.
    pub(super) fn title(&self) -> String {
        let title = format!("{} {}", self.method, self.path());
        cut(&title, MAX_TITLE_CHARS).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_has_method_path_query_and_protocol() {
        for (line, method, endpoint, query, protocol) in [
            ("GET /a/b?x=1&y=?2 HTTP/1.1", "GET", "/a/b", Some("x=1&y=?2"), Some("HTTP/1.1")),
            ("POST /a HTTP/2.0", "POST", "/a", None, Some("HTTP/2.0")),
            ("GET /a file.txt HTTP/1.0", "GET", "/a file.txt", None, Some("HTTP/1.0")),
            ("GET /http09", "GET", "/http09", None, None),
            ("OPTIONS * HTTP/1.1", "OPTIONS", "*", None, Some("HTTP/1.1")),
            ("GET /? HTTP/1.1", "GET", "/", Some(""), Some("HTTP/1.1")),
            ("-", "-", "-", None, None),
        ] {
            let request = RequestLine::parse(line).expect(line);
            assert_eq!(request.method, method, "{line}");
            assert_eq!(request.endpoint(), endpoint, "{line}");
            assert_eq!(request.query(), query, "{line}");
            assert_eq!(request.protocol.as_deref(), protocol, "{line}");
        }
    }

    #[test]
    fn what_is_no_request_line_is_refused() {
        for line in ["", "GET", "GET ?x HTTP/1.1", "\\x16\\x03\\x01\\x00", "VERYLONGVERB /a HTTP/1.1", " /a"]
        {
            assert!(RequestLine::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn long_paths_are_cut_by_characters() {
        let request = RequestLine::parse(&format!("GET /{}?q HTTP/1.1", "ä".repeat(600))).expect("readable");
        assert!(request.is_cut());
        assert_eq!(request.endpoint().chars().count(), 500);
        assert_eq!(request.title().chars().count(), 200);
    }
}
