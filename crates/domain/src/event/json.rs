//! One strict pass over JSON text: what can't be kept on every database is found, the rest is reduced to
//! a canonical form that two texts share exactly when they mean the same.
//!
//! The input is known to be well-formed (it went through `serde_json`), so this pass looks only for what
//! well-formed JSON may hold and a store may not: NUL, lone surrogates, numbers beyond `f64`, a name used
//! twice in one object, and nesting that overflows somebody's stack. Numbers keep their digits; that is
//! why this is not a tree of `serde_json::Value`, which would round them.

use std::borrow::Cow;

use super::{Reason, terms::WordSink};

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
/// `None` when the text is not an object. A name that does not decode is left to [`canonicalize`].
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

/// Appends the canonical form of a value: names sorted, escapes decoded, whitespace gone, every number in
/// one spelling. `depth` is the number of containers around the value. Every text value, but no name, is
/// shown to `words` on the way.
pub(crate) fn canonicalize(
    value: &str,
    depth: usize,
    words: Option<&mut WordSink>,
    into: &mut Vec<u8>,
) -> Result<(), Finding> {
    let mut cursor = Cursor { words, ..Cursor::new(value) };
    cursor.skip_whitespace();
    cursor.canonicalize(depth, into)
}

/// Decodes a value that is a string; `None` for any other value.
pub(crate) fn text(value: &str) -> Option<Result<Cow<'_, str>, Reason>> {
    value.starts_with('"').then(|| Cursor::new(value).string().decoded())
}

/// 2^53: below it every whole number has a float of its own.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

struct Cursor<'a, 'w> {
    text: &'a str,
    at: usize,
    words: Option<&'w mut WordSink>,
}

/// The inside of a string literal, escapes and all.
struct Literal<'a> {
    inner: &'a str,
    has_escapes: bool,
}

impl<'a> Cursor<'a, '_> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, words: None }
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b'}')
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Literal<'a> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut end = start;
        let mut has_escapes = false;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    end += 2;
                }
                _ => end += 1,
            }
        }
        self.at = end + 1;
        Literal { inner: &self.text[start..end], has_escapes }
    }

    fn number(&mut self) -> &'a str {
        let start = self.at;
        while matches!(
            self.text.as_bytes().get(self.at),
            Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
        ) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// Moves past one value of any depth without recursion.
    fn skip_value(&mut self) {
        let mut open = 0_usize;
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'"' => drop(self.string()),
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' if open == 0 => return,
                b'}' | b']' => {
                    open -= 1;
                    self.at += 1;
                }
                b',' | b' ' | b'\n' | b'\r' | b'\t' if open == 0 => return,
                _ => self.at += 1,
            }
            if open == 0 && matches!(byte, b'"' | b'}' | b']') {
                return;
            }
        }
    }

    fn canonicalize(&mut self, depth: usize, into: &mut Vec<u8>) -> Result<(), Finding> {
        match self.peek() {
            b'"' => {
                let text = self.string().decoded().map_err(Finding::here)?;
                if let Some(words) = &mut self.words {
                    words.add(&text);
                }
                write_text(&text, b's', into);
                Ok(())
            }
            b'{' => self.object(depth + 1, into),
            b'[' => self.array(depth + 1, into),
            b't' => self.word("true", into),
            b'f' => self.word("false", into),
            b'n' => self.word("null", into),
            _ => write_number(self.number(), into).map_err(Finding::here),
        }
    }

    fn word(&mut self, word: &str, into: &mut Vec<u8>) -> Result<(), Finding> {
        self.at += word.len();
        into.extend_from_slice(&word.as_bytes()[..1]);
        Ok(())
    }

    fn array(&mut self, depth: usize, into: &mut Vec<u8>) -> Result<(), Finding> {
        if depth > MAX_DEPTH {
            return Err(Finding::here(Reason::TooDeep));
        }
        into.push(b'[');
        self.at += 1;
        let mut index = 0_usize;
        loop {
            self.skip_whitespace();
            match self.peek() {
                b']' => break,
                b',' => {
                    self.at += 1;
                    index += 1;
                }
                _ => self.canonicalize(depth, into).map_err(|finding| finding.under(&index.to_string()))?,
            }
        }
        self.at += 1;
        into.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: usize, into: &mut Vec<u8>) -> Result<(), Finding> {
        if depth > MAX_DEPTH {
            return Err(Finding::here(Reason::TooDeep));
        }
        into.push(b'{');
        self.at += 1;
        let start = into.len();
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            self.skip_whitespace();
            match self.peek() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let name = self.string().decoded().map_err(Finding::here)?;
                    self.skip_whitespace();
                    self.at += 1; // the colon
                    self.skip_whitespace();
                    let from = into.len();
                    write_text(&name, b'k', into);
                    self.canonicalize(depth, into).map_err(|finding| finding.under(&name))?;
                    entries.push(Entry::new(from, into.len()));
                }
            }
        }
        self.at += 1;
        sort_entries(entries, start, into)?;
        into.push(b'}');
        Ok(())
    }
}

impl<'a> Literal<'a> {
    fn decoded(&self) -> Result<Cow<'a, str>, Reason> {
        if !self.has_escapes {
            return Ok(Cow::Borrowed(self.inner));
        }
        let mut decoded = String::with_capacity(self.inner.len());
        let mut rest = self.inner;
        while let Some(at) = rest.find('\\') {
            decoded.push_str(&rest[..at]);
            let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
            rest = &rest[at + 2..];
            decoded.push(match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => {
                    let (character, used) = unicode_escape(rest)?;
                    rest = &rest[used..];
                    character
                }
                other => char::from(other),
            });
        }
        decoded.push_str(rest);
        Ok(Cow::Owned(decoded))
    }
}

/// Decodes what follows `\u`; a high surrogate takes the low one after it along.
fn unicode_escape(rest: &str) -> Result<(char, usize), Reason> {
    let unit = |at: usize| rest.get(at..at + 4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let first = unit(0).ok_or(Reason::BadUnicode)?;
    let (units, used) = match first {
        0 => return Err(Reason::NulNotAllowed),
        0xD800..=0xDBFF if rest.get(4..6) == Some("\\u") => ([first, unit(6).ok_or(Reason::BadUnicode)?], 10),
        _ => ([first, 0], 4),
    };
    let units = &units[..if used == 10 { 2 } else { 1 }];
    match char::decode_utf16(units.iter().copied()).next() {
        Some(Ok(character)) => Ok((character, used)),
        _ => Err(Reason::BadUnicode),
    }
}

/// Where a written entry stands. Eight bytes, because ten megabytes hold two million of them.
#[derive(Clone, Copy)]
struct Entry {
    from: u32,
    to: u32,
}

impl Entry {
    fn new(from: usize, to: usize) -> Self {
        let position = |at| u32::try_from(at).expect("an event is far below 4 GiB");
        Self { from: position(from), to: position(to) }
    }

    fn written<'t>(&self, canonical: &'t [u8]) -> &'t [u8] {
        &canonical[self.from as usize..self.to as usize]
    }

    /// The name, as [`write_text`] put it down: behind a mark and eight bytes of length.
    fn name<'t>(&self, canonical: &'t [u8]) -> &'t [u8] {
        let written = self.written(canonical);
        let mut length = [0; 8];
        length.copy_from_slice(&written[1..9]);
        &written[9..][..u64::from_le_bytes(length) as usize]
    }
}

/// Puts the entries written from `start` on into the order of their names, and finds a name used twice.
fn sort_entries(mut entries: Vec<Entry>, start: usize, into: &mut Vec<u8>) -> Result<(), Finding> {
    let canonical = into.as_slice();
    if entries.is_sorted_by(|a, b| a.name(canonical) < b.name(canonical)) {
        return Ok(());
    }
    entries.sort_unstable_by(|a, b| a.name(canonical).cmp(b.name(canonical)));
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].name(canonical) == pair[1].name(canonical)) {
        return Err(
            Finding::here(Reason::DuplicateKey).under(&String::from_utf8_lossy(pair[0].name(canonical)))
        );
    }
    let mut sorted = Vec::with_capacity(into.len() - start);
    for entry in entries {
        sorted.extend_from_slice(entry.written(into));
    }
    into.truncate(start);
    into.append(&mut sorted);
    Ok(())
}

fn write_text(text: &str, kind: u8, into: &mut Vec<u8>) {
    into.push(kind);
    into.extend_from_slice(&(text.len() as u64).to_le_bytes());
    into.extend_from_slice(text.as_bytes());
}

/// `1`, `1.0` and `1e0` are one number; whole numbers beyond `f64`'s exact range keep all their digits.
fn write_number(number: &str, into: &mut Vec<u8>) -> Result<(), Reason> {
    let value: f64 = number.parse().map_err(|_| Reason::NumberOutOfRange)?;
    if !value.is_finite() {
        return Err(Reason::NumberOutOfRange);
    }
    into.push(b'#');
    let is_integer_literal = !number.contains(['.', 'e', 'E']);
    if value == 0.0 {
        into.push(b'0');
    } else if is_integer_literal {
        into.extend_from_slice(number.as_bytes());
    } else if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS {
        into.extend_from_slice(format!("{value:.0}").as_bytes());
    } else {
        // The shortest text that reads back as the same number; with an exponent, or 1e308 is 309 digits.
        into.extend_from_slice(format!("{value:e}").as_bytes());
    }
    into.push(b';');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn canonical(text: &str) -> Result<Vec<u8>, Finding> {
        let mut out = Vec::new();
        canonicalize(text, 0, None, &mut out).map(|()| out)
    }

    #[test]
    fn texts_that_mean_the_same_are_one() {
        for (a, b) in [
            (r#"{"a":1,"b":2}"#, r#"{ "b" : 2, "a" : 1 }"#),
            (r#"{"b":[1,{"d":4,"c":3}],"a":0}"#, r#"{"a":-0,"b":[1.0,{"c":3e0,"d":4}]}"#),
            (r#""\u0041\n\/""#, "\"A\\u000a/\""),
            (r#""\ud83d\ude00""#, "\"😀\""),
            ("1.50", "15e-1"),
        ] {
            assert_eq!(canonical(a), canonical(b), "{a} {b}");
        }
    }

    #[test]
    fn texts_that_differ_stay_apart() {
        for (a, b) in [
            (r#"{"a":1}"#, r#"{"a":2}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"[1,2]"#, "[12]"),
            (r#"[[1],2]"#, "[[1,2]]"),
            ("9007199254740993", "9007199254740992"),
            (r#"["ab","c"]"#, r#"["a","bc"]"#),
            (r#"{"é":1}"#, "{\"e\u{301}\":1}"),
            ("null", "\"n\""),
        ] {
            assert_ne!(canonical(a), canonical(b), "{a} {b}");
        }
    }

    #[test]
    fn what_no_database_keeps_is_found_and_pointed_at() {
        for (text, pointer, reason) in [
            (r#"{"a":[0,"\u0000"]}"#, "/a/1", Reason::NulNotAllowed),
            (r#"{"a\u0000":1}"#, "", Reason::NulNotAllowed),
            (r#"["\ud800"]"#, "/0", Reason::BadUnicode),
            (r#"["\udc00\ud800"]"#, "/0", Reason::BadUnicode),
            (r#"["\ud800\u0041"]"#, "/0", Reason::BadUnicode),
            (r#"{"x":1e400}"#, "/x", Reason::NumberOutOfRange),
            (r#"{"x/y":{"~":-1e400}}"#, "/x~1y/~0", Reason::NumberOutOfRange),
            (r#"{"a":{"b":1,"c":2,"b":3}}"#, "/a/b", Reason::DuplicateKey),
        ] {
            assert_eq!(canonical(text), Err(Finding { pointer: pointer.to_owned(), reason }), "{text}");
        }
    }

    #[test]
    fn nesting_stops_at_the_limit_and_never_at_the_stack() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(canonical(&nested(MAX_DEPTH)).is_ok());
        for depth in [MAX_DEPTH + 1, 129, 100_000] {
            assert_eq!(canonical(&nested(depth)).map_err(|f| f.reason), Err(Reason::TooDeep), "{depth}");
        }
    }

    #[test]
    fn members_come_with_their_text() {
        let found = members(" { \"a\" : {\"x\":[\"}\"]} , \"\\u0062\":\"q\\\"\" ,\"c\":-1e2,\"d\":null } ")
            .unwrap_or_default();
        let shown: Vec<_> = found.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
        assert_eq!(shown, [("a", "{\"x\":[\"}\"]}"), ("b", "\"q\\\"\""), ("c", "-1e2"), ("d", "null")]);
        assert_eq!(members("{}").map(|found| found.len()), Some(0));
        assert_eq!(members("[]"), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
            "[^\u{0}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[^\u{0}]{0,4}", inner, 0..4).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn spelling_never_matters(value in any_json()) {
            let (tight, loose) = (value.to_string(), serde_json::to_string_pretty(&value).unwrap_or_default());
            prop_assert_eq!(canonical(&tight), canonical(&loose));
        }

        #[test]
        fn different_values_have_different_forms(a in any_json(), b in any_json()) {
            let same = canonical(&a.to_string()) == canonical(&b.to_string());
            // serde_json holds 1 and 1.0 apart; here they are one number.
            prop_assert!(!same || a == b || a.to_string().contains(".0") || b.to_string().contains(".0") || a.to_string().contains('e') || b.to_string().contains('e'));
        }

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
