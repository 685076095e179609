//! The event id in an address.
//!
//! An id may hold slashes and percent signs. The router decodes paths for its own purposes, some characters
//! twice and some not, so the id is read from the address as it was sent, and decoded exactly once.

use pulsestream_domain::event::EventId;

use crate::error::ApiError;

/// The slashes in front of an id: `/api/v1/ingestion/events/`.
const SLASHES: usize = 5;

/// The id in a path such as `/api/v1/ingestion/events/{event_id}`, then `action`.
///
/// # Errors
/// What can't be an id is the id of no event.
pub(super) fn event_id(path: &str, action: &str) -> Result<EventId, ApiError> {
    let encoded = path
        .splitn(SLASHES + 1, '/')
        .nth(SLASHES)
        .and_then(|rest| rest.strip_suffix(action))
        .ok_or(ApiError::NoSuchEvent)?;
    decoded(encoded).parse().map_err(|_| ApiError::NoSuchEvent)
}

/// Undoes percent escapes, once. A percent sign without two digits behind it stands for itself.
fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        decoded.push_str(before);
        match after.get(..2).map(|digits| (digits, u8::from_str_radix(digits, 16))) {
            // `from_str_radix` takes a sign.
            Some((digits, Ok(byte))) if !digits.starts_with('+') => {
                decoded.push(char::from(byte));
                rest = &after[2..];
            }
            _ => {
                decoded.push('%');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(rest: &str, action: &str) -> Option<String> {
        let path = format!("/api/v1/ingestion/events/{rest}{action}");
        event_id(&path, action).ok().map(|id| id.as_str().to_owned())
    }

    #[test]
    fn any_printable_id_is_read_as_it_was_given() {
        for (sent, meant) in [
            ("a", "a"),
            ("a/b/c", "a/b/c"),
            ("a%2Fb", "a/b"),
            ("..%2F..%2Fx", "../../x"),
            ("../x", "../x"),
            ("%2500", "%00"),
            ("%25", "%"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("%+1", "%+1"),
            ("a+b", "a+b"),
            ("%2B", "+"),
            ("a%3Fb%23c", "a?b#c"),
            ("%22;%27", "\";'"),
            ("x/retry", "x/retry"),
            ("%41%", "A%"),
        ] {
            assert_eq!(id(sent, "").as_deref(), Some(meant), "{sent}");
            assert_eq!(id(sent, "/retry").as_deref(), Some(meant), "{sent}");
        }
    }

    #[test]
    fn what_cannot_be_an_id_names_no_event() {
        for sent in ["", "%20", "a%20b", "%00", "%0A", "%C3%A9", &"x".repeat(256)] {
            assert_eq!(id(sent, ""), None, "{sent}");
        }
    }
}
