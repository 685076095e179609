//! What the server answered.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The same answer, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in the answer {}: {}", self.status, self.text()),
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header that has to be there.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        value.to_str().expect("headers of the server are text")
    }

    /// The number in a header that has to be there.
    #[track_caller]
    pub fn number(&self, name: &str) -> u64 {
        let value = self.header(name);
        value.parse().unwrap_or_else(|_| panic!("{name}: {value} is no number"))
    }

    /// The `code` of a problem.
    #[track_caller]
    pub fn code(&self) -> String {
        let problem = self.json();
        problem["code"].as_str().unwrap_or_else(|| panic!("no code in {problem}")).to_owned()
    }
}
