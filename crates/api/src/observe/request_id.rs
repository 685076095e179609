//! The name of a request, for clients and logs.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::state::AppState;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// 8 to 64 of letters, digits and `-`.
#[derive(Clone)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// The client's, if it is one, or a new one.
    pub(super) fn of(headers: &HeaderMap, state: &AppState) -> Self {
        Self(accepted(headers).cloned().unwrap_or_else(|| {
            let id = state.ids.uuid_v7(state.clock.now()).to_string();
            HeaderValue::from_str(&id).expect("a UUID is printable ASCII")
        }))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().expect("a request id is printable ASCII")
    }

    pub(super) fn to_header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Anything else could carry line breaks, markup or megabytes into logs.
fn accepted(headers: &HeaderMap) -> Option<&HeaderValue> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    headers
        .get(X_REQUEST_ID)
        .filter(|value| (8..=64).contains(&value.len()) && value.as_bytes().iter().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_kept() {
        let kept = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(text).expect("a header value"));
            accepted(&headers).is_some()
        };
        for good in ["01234567", "aB3-aB3-aB3", &"x".repeat(64)] {
            assert!(kept(good), "{good}");
        }
        for bad in ["", "0123456", "0123 4567", "01234567\"", "01234567;", &"x".repeat(65)] {
            assert!(!kept(bad), "{bad}");
        }
        assert!(accepted(&HeaderMap::new()).is_none());
    }
}
