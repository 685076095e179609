//! Whom mail is sent to.

use std::{fmt, str::FromStr};

use lettre::Address;

/// RFC 5321 §4.5.3.1.
const MAX_LOCAL_PART_BYTES: usize = 64;
const MAX_ADDRESS_BYTES: usize = 254;

/// Exactly one mailbox: `local-part@domain` in ASCII.
///
/// A value can't hold a line break, a second address, a display name, quotes or a comment, so wherever it is
/// written it stays one address. Domains beyond ASCII are given in their `xn--` form.
///
/// ```
/// use pulsestream_notification::Recipient;
///
/// assert!("on-call@example.com".parse::<Recipient>().is_ok());
/// assert!("a@example.com,b@example.com".parse::<Recipient>().is_err());
/// assert!("a@example.com\r\nBcc: b@example.com".parse::<Recipient>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Recipient(Address);

/// The text is not one mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a single mailbox")]
pub struct BadRecipient;

impl BadRecipient {
    /// A stable code, for answers.
    pub const fn code(self) -> &'static str {
        "bad_recipient"
    }
}

impl Recipient {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }

    pub(super) fn address(&self) -> &Address {
        &self.0
    }

    pub(super) fn domain(&self) -> &str {
        self.0.domain()
    }
}

impl FromStr for Recipient {
    type Err = BadRecipient;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (local_part, domain) = text.split_once('@').ok_or(BadRecipient)?;
        let short = local_part.len() <= MAX_LOCAL_PART_BYTES && text.len() <= MAX_ADDRESS_BYTES;
        if !short || !is_dot_atom(local_part) || !is_host_name(domain) {
            return Err(BadRecipient);
        }
        Address::new(local_part, domain).map(Self).map_err(|_| BadRecipient)
    }
}

/// RFC 5322 §3.2.3: an unquoted local part.
fn is_dot_atom(text: &str) -> bool {
    let is_atom_character = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom_character))
}

/// Labels of letters, digits and inner hyphens; the last is not a number, so that no address passes for a
/// name.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_name =
        text.rsplit('.').next().is_some_and(|last| last.bytes().any(|byte| byte.is_ascii_alphabetic()));
    text.split('.').all(is_label) && last_is_name
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_mailbox_and_nothing_else_is_a_recipient() {
        let long_local = format!("{}@example.com", "a".repeat(64));
        let long_domain = format!("a@{}", ["b".repeat(63), "c".repeat(63), "d".repeat(63)].join("."));
        for text in [
            "a@example.com",
            "first.last+tag@sub.example.co",
            "o'neil@x-y.example",
            "root@localhost",
            &long_local,
            &long_domain,
        ] {
            assert_eq!(text.parse::<Recipient>().map(|recipient| recipient.to_string()), Ok(text.to_owned()));
        }
        let too_long = [
            format!("a{long_local}"),
            "a".repeat(10 * 1_024) + "@example.com",
            format!("{long_domain}.{}", "e".repeat(63)),
        ];
        for text in [
            "",
            "a",
            "@",
            "a@",
            "@b",
            "a@b@c",
            "a@b,c@d",
            "a@b c@d",
            "a@b;c@d",
            "a@b\r\nBcc: c@d",
            "a\r\n@b",
            "a@b\n",
            "a@b\0",
            " a@b",
            "a@b ",
            "A <a@b>",
            "<a@b>",
            "\"a b\"@c",
            "\"a\\\r\nb\"@c",
            "a(comment)@b",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a@.b",
            "a@b.",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@[IPv6:::1]",
            "ä@example.com",
            "a@bücher.example",
            "a@b_c",
            "a@b%0d%0a",
            "a:b@c",
            "a@b>",
        ]
        .into_iter()
        .chain(too_long.iter().map(String::as_str))
        {
            assert_eq!(text.parse::<Recipient>(), Err(BadRecipient), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_one_plain_word(
            local_part in "[a-z.,;:<>@\" \\\\\r\n\0ü+-]{1,20}",
            domain in "[a-z.,@<> \r\n\\[\\]-]{1,20}",
        ) {
            let text = format!("{local_part}@{domain}");
            if let Ok(recipient) = text.parse::<Recipient>() {
                let shown = recipient.as_str();
                prop_assert_eq!(shown, &text);
                prop_assert_eq!(shown.matches('@').count(), 1);
                prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!shown.contains([',', ';', ':', '<', '>', '"', '\\', '(', ')', '[', ']']));
            }
        }
    }
}
