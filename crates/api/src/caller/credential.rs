//! Finding the credential in a request.

use actix_web::{
    HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap, HeaderName},
};
use pulsestream_domain::api_key::ApiKey;
use url::form_urlencoded;

use crate::error::ApiError;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Names under which clients try to put credentials into addresses, which end up in logs of proxies.
const SECRET_PARAMETERS: [&str; 8] =
    ["api_key", "apikey", "api-key", "x-api-key", "key", "token", "access_token", "authorization"];

/// A credential, before anybody knows whether it is a good one.
pub(super) enum Presented {
    Key(ApiKey),
    /// An access token.
    Token(String),
}

/// How every access token begins: `{"` in base 64. No key of ours does.
const TOKEN_START: &str = "eyJ";

/// The credential that a request presents, if it presents exactly one that can be a credential. Asks no store.
pub(super) fn presented(request: &HttpRequest) -> Result<Presented, ApiError> {
    if has_secret_parameter(request.query_string()) {
        return Err(ApiError::Unauthenticated);
    }
    let text = only_credential(request.headers())?.ok_or(ApiError::Unauthenticated)?;
    let text = std::str::from_utf8(text).map_err(|_| ApiError::Unauthenticated)?;
    if text.starts_with(TOKEN_START) && text.matches('.').count() == 2 {
        return Ok(Presented::Token(text.to_owned()));
    }
    text.parse().map(Presented::Key).map_err(|_| ApiError::Unauthenticated)
}

fn has_secret_parameter(query: &str) -> bool {
    !query.is_empty()
        && form_urlencoded::parse(query.as_bytes())
            .any(|(name, _)| SECRET_PARAMETERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)))
}

/// The one credential of the headers. The same one may be given in several places.
fn only_credential(headers: &HeaderMap) -> Result<Option<&[u8]>, ApiError> {
    let keys = headers.get_all(X_API_KEY).map(|value| value.as_bytes().trim_ascii());
    let tokens = headers.get_all(AUTHORIZATION).map(|value| bearer(value.as_bytes()));
    let mut found = None;
    for credential in keys.chain(tokens) {
        if found.is_some_and(|known| known != credential) {
            return Err(ApiError::AmbiguousCredentials);
        }
        found = Some(credential);
    }
    Ok(found)
}

/// The token of `Bearer <token>`; of another scheme, or of none, nothing, which is no key.
fn bearer(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => b"",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn key(entropy: u8) -> String {
        ApiKey::from_entropy([entropy; 32]).reveal().to_owned()
    }

    fn code(request: TestRequest) -> Result<String, &'static str> {
        presented(&request.to_http_request())
            .map(|presented| match presented {
                Presented::Key(key) => key.reveal().to_owned(),
                Presented::Token(token) => format!("token {token}"),
            })
            .map_err(|error| error.problem().code)
    }

    #[test]
    fn a_key_may_come_in_either_header_or_in_both() {
        let (one, bearer) = (key(1), format!("bearer {}", key(1)));
        let request = || TestRequest::get();
        assert_eq!(code(request().insert_header(("x-api-key", one.clone()))), Ok(one.clone()));
        assert_eq!(code(request().insert_header(("authorization", bearer.clone()))), Ok(one.clone()));
        let both =
            request().insert_header(("x-api-key", one.clone())).insert_header(("authorization", bearer));
        assert_eq!(code(both), Ok(one));
    }

    #[test]
    fn a_token_is_told_from_a_key_by_its_form() {
        let bearer = |token: &str| {
            code(TestRequest::get().insert_header(("authorization", format!("Bearer {token}"))))
        };
        assert_eq!(
            bearer("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
            Ok("token eyJhbGciOiJIUzI1NiJ9.e30.c2ln".to_owned())
        );
        assert_eq!(bearer("eyJ-a-legacy-key-0123"), Ok("eyJ-a-legacy-key-0123".to_owned()));
        let both = TestRequest::get()
            .insert_header(("x-api-key", key(1)))
            .insert_header(("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"));
        assert_eq!(code(both), Err("ambiguous_credentials"));
    }

    #[test]
    fn two_credentials_that_differ_are_ambiguous() {
        let two = |a: (&'static str, String), b: (&'static str, String)| {
            code(TestRequest::get().append_header(a).append_header(b))
        };
        let bearer = |entropy| ("authorization", format!("Bearer {}", key(entropy)));
        let ambiguous = Err("ambiguous_credentials");
        assert_eq!(two(("x-api-key", key(1)), bearer(2)), ambiguous);
        assert_eq!(two(("x-api-key", key(1)), ("x-api-key", key(2))), ambiguous);
        assert_eq!(two(bearer(1), bearer(2)), ambiguous);
        assert_eq!(two(("x-api-key", key(1)), ("authorization", "Basic abc".to_owned())), ambiguous);
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_without_asking_anybody() {
        let mut mistyped = key(1);
        let last = mistyped.pop();
        mistyped.push(if last == Some('x') { 'y' } else { 'x' });
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Basic dXNlcjpwYXNz",
            "Bearer short",
            &key(1),
            &format!("Bearer {mistyped}"),
        ] {
            let request = TestRequest::get().insert_header(("authorization", value));
            assert_eq!(code(request), Err("unauthenticated"), "{value}");
        }
        assert_eq!(code(TestRequest::get()), Err("unauthenticated"));
    }

    #[test]
    fn a_key_in_the_address_is_refused_even_beside_a_good_one() {
        for query in ["api_key=x", "limit=1&Token=x", "api%5Fkey=x"] {
            let request = TestRequest::with_uri(&format!("/x?{query}")).insert_header(("x-api-key", key(1)));
            assert_eq!(code(request), Err("unauthenticated"), "{query}");
        }
    }
}
