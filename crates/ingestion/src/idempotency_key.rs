//! The `Idempotency-Key` of a request.

use std::str::FromStr;

/// A client's name for a whole request: 1–255 printable ASCII characters.
///
/// Events without an id get one derived from it and their place, so a request that is sent again is all
/// duplicates and no table of keys has to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey(String);

/// The header's value is not an idempotency key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an idempotency key has 1 to 255 printable ASCII characters")]
pub struct ParseIdempotencyKeyError;

impl IdempotencyKey {
    /// The key, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A Structured Fields string (RFC 8941 §3.3.3, as draft-ietf-httpapi-idempotency-key-header asks for), or
/// the same without quotes, as most clients send it.
impl FromStr for IdempotencyKey {
    type Err = ParseIdempotencyKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let key = match text.strip_prefix('"') {
            Some(rest) => unquoted(rest).ok_or(ParseIdempotencyKeyError)?,
            None => text.to_owned(),
        };
        let printable = key.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if (1..=255).contains(&key.len()) && printable {
            Ok(Self(key))
        } else {
            Err(ParseIdempotencyKeyError)
        }
    }
}

fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(key),
            '\\' => key.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_optional_and_never_part_of_the_key() {
        for (header, expected) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (" \"a \\\"b\\\\\" ", Some("a \"b\\")),
            ("", None),
            ("\"\"", None),
            ("\"abc", None),
            ("\"a\"b", None),
            ("ä", None),
        ] {
            let parsed = header.parse::<IdempotencyKey>().ok();
            assert_eq!(parsed.as_ref().map(IdempotencyKey::as_str), expected, "{header}");
        }
        assert!("x".repeat(256).parse::<IdempotencyKey>().is_err());
    }
}
