//! Strict passes over JSON text: what can't be kept on every database is found, the rest is split into members, or
//! reduced to a canonical form that two texts share exactly when they mean the same.
//!
//! The input is known to be well-formed (it went through `serde_json`), so these look only for what
//! well-formed JSON may hold and a store may not: NUL, lone surrogates, numbers beyond `f64`, a name used
//! twice in one object, and nesting that overflows somebody's stack. Numbers keep their digits; that is
//! why this is not a tree of `serde_json::Value`, which would round them.

mod canonical;
mod cursor;

use std::borrow::Cow;

pub(crate) use canonical::Canonical;
use cursor::Cursor;

use super::Reason;

/// How deep arrays and objects may nest; the event itself is the first level.
pub(crate) const MAX_DEPTH: usize = 64;

/// A member of an object: its decoded name and the text of its value.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a str);

/// Something that can't be stored, and the JSON Pointer (RFC 6901) to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) pointer: String,
    pub(crate) reason: Reason,
}

impl Finding {
    fn here(reason: Reason) -> Self {
        Self { pointer: String::new(), reason }
    }

    fn under(mut self, step: &str) -> Self {
        let step = step.replace('~', "~0").replace('/', "~1");
        self.pointer.insert_str(0, &format!("/{step}"));
        self
    }
}

/// Splits an object into its members, in order, without looking into the values.
///
/// `None` when the text is not an object. A name that does not decode is left to [`Canonical`].
pub(crate) fn members(object: &str) -> Option<Vec<Member<'_>>> {
    let mut cursor = Cursor::new(object);
    cursor.skip_whitespace();
    if cursor.peek() != b'{' {
        return None;
    }
    cursor.at += 1;
    let mut found = Vec::with_capacity(12);
    loop {
        cursor.skip_whitespace();
        match cursor.peek() {
            b'}' => return Some(found),
            b',' => {
                cursor.at += 1;
                continue;
            }
            _ => {}
        }
        let name = cursor.string().decoded().unwrap_or_default();
        cursor.skip_whitespace();
        cursor.at += 1; // the colon
        cursor.skip_whitespace();
        let start = cursor.at;
        cursor.skip_value();
        found.push((name, &object[start..cursor.at]));
    }
}

/// Decodes a value that is a string; `None` for any other value.
pub(crate) fn text(value: &str) -> Option<Result<Cow<'_, str>, Reason>> {
    value.starts_with('"').then(|| Cursor::new(value).string().decoded())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{canonical::tests::any_json, *};

    #[test]
    fn members_come_with_their_text() {
        let found = members(" { \"a\" : {\"x\":[\"}\"]} , \"\\u0062\":\"q\\\"\" ,\"c\":-1e2,\"d\":null } ")
            .unwrap_or_default();
        let shown: Vec<_> = found.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
        assert_eq!(shown, [("a", "{\"x\":[\"}\"]}"), ("b", "\"q\\\"\""), ("c", "-1e2"), ("d", "null")]);
        assert_eq!(members("{}").map(|found| found.len()), Some(0));
        assert_eq!(members("[]"), None);
    }

    proptest! {
        #[test]
        fn members_agree_with_serde(value in prop::collection::btree_map("[^\u{0}]{0,4}", any_json(), 0..5)) {
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            let found = members(&text).unwrap_or_default();
            prop_assert_eq!(found.len(), value.len());
            let value: std::collections::BTreeMap<String, Value> = serde_json::from_str(&text).unwrap_or_default();
            for (name, raw) in found {
                prop_assert_eq!(serde_json::from_str::<Value>(raw).ok(), value.get(name.as_ref()).cloned());
            }
        }
    }
}
