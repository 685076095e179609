//! The canonical form.

use std::io::Write as _;

use super::{Cursor, Finding, MAX_DEPTH};
use crate::event::{Reason, terms::WordSink};

/// 2^53: below it every whole number has a float of its own.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// Any integer of fewer digits is a finite float: the largest has 309.
const FINITE_DIGITS: usize = 300;

/// The canonical forms of values, one behind the other: names sorted, escapes decoded, whitespace gone, every number in
/// one spelling.
#[derive(Default)]
pub(crate) struct Canonical {
    /// What was written so far. More may be put between values.
    pub(crate) bytes: Vec<u8>,
    /// Entries of the objects that are being written, those of an inner one behind those of the outer one.
    entries: Vec<Entry>,
    /// Where the entries of an object are put into their order.
    sorted: Vec<u8>,
}

/// A value on its way into its canonical form.
struct Pass<'a, 'c, 'w> {
    cursor: Cursor<'a>,
    canonical: &'c mut Canonical,
    words: Option<&'w mut WordSink>,
}

impl Canonical {
    /// Nothing yet, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), entries: Vec::with_capacity(16), sorted: Vec::new() }
    }

    /// Appends a value. `depth` is the number of containers around it. Every text value, but no name, is shown to
    /// `words` on the way. After a finding, part of the value may have been appended.
    pub(crate) fn add(
        &mut self,
        value: &str,
        depth: usize,
        words: Option<&mut WordSink>,
    ) -> Result<(), Finding> {
        self.entries.clear();
        let mut pass = Pass { cursor: Cursor::new(value), canonical: self, words };
        pass.cursor.skip_whitespace();
        pass.value(depth)
    }

    fn text(&mut self, text: &str, kind: u8) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// `1`, `1.0` and `1e0` are one number; whole numbers beyond `f64`'s exact range keep all their digits.
    fn number(&mut self, number: &str) -> Result<(), Reason> {
        let is_integer_literal = !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
        if is_integer_literal && number.len() < FINITE_DIGITS {
            self.bytes.push(b'#');
            // JSON has no other spelling of nought without a point.
            self.bytes.extend_from_slice(if number == "-0" { b"0" } else { number.as_bytes() });
            self.bytes.push(b';');
            return Ok(());
        }
        let value: f64 = number.parse().map_err(|_| Reason::NumberOutOfRange)?;
        if !value.is_finite() {
            return Err(Reason::NumberOutOfRange);
        }
        self.bytes.push(b'#');
        let written = if value == 0.0 {
            self.bytes.write_all(b"0")
        } else if is_integer_literal {
            self.bytes.write_all(number.as_bytes())
        } else if value.fract() == 0.0 && value.abs() < EXACT_INTEGERS {
            write!(self.bytes, "{value:.0}")
        } else {
            // The shortest text that reads back as the same number; with an exponent, or 1e308 is 309 digits.
            write!(self.bytes, "{value:e}")
        };
        written.expect("there is always room in a vector");
        self.bytes.push(b';');
        Ok(())
    }

    /// Puts the entries of one object, of which the first was written at `start`, into the order of their names, and
    /// finds a name used twice.
    fn sort(&mut self, first: usize, start: usize) -> Result<(), Finding> {
        let Self { bytes, entries, sorted } = self;
        let name = |entry: &Entry| entry.name(bytes);
        let own = &mut entries[first..];
        if !own.is_sorted_by(|a, b| name(a) < name(b)) {
            own.sort_unstable_by(|a, b| name(a).cmp(name(b)));
            if let Some(pair) = own.windows(2).find(|pair| name(&pair[0]) == name(&pair[1])) {
                let name = String::from_utf8_lossy(name(&pair[0]));
                return Err(Finding::here(Reason::DuplicateKey).under(&name));
            }
            sorted.clear();
            for entry in &*own {
                sorted.extend_from_slice(entry.written(bytes));
            }
            bytes.truncate(start);
            bytes.extend_from_slice(sorted);
        }
        entries.truncate(first);
        Ok(())
    }
}

impl Pass<'_, '_, '_> {
    fn value(&mut self, depth: usize) -> Result<(), Finding> {
        match self.cursor.peek() {
            b'"' => {
                let text = self.cursor.string().decoded().map_err(Finding::here)?;
                if let Some(words) = &mut self.words {
                    words.add(&text);
                }
                self.canonical.text(&text, b's');
            }
            b'{' => self.object(depth + 1)?,
            b'[' => self.array(depth + 1)?,
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.canonical.number(self.cursor.number()).map_err(Finding::here)?,
        }
        Ok(())
    }

    fn word(&mut self, word: &str) {
        self.cursor.at += word.len();
        self.canonical.bytes.extend_from_slice(&word.as_bytes()[..1]);
    }

    fn array(&mut self, depth: usize) -> Result<(), Finding> {
        if depth > MAX_DEPTH {
            return Err(Finding::here(Reason::TooDeep));
        }
        self.canonical.bytes.push(b'[');
        self.cursor.at += 1;
        let mut index = 0_usize;
        loop {
            self.cursor.skip_whitespace();
            match self.cursor.peek() {
                b']' => break,
                b',' => {
                    self.cursor.at += 1;
                    index += 1;
                }
                _ => self.value(depth).map_err(|finding| finding.under(&index.to_string()))?,
            }
        }
        self.cursor.at += 1;
        self.canonical.bytes.push(b']');
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Finding> {
        if depth > MAX_DEPTH {
            return Err(Finding::here(Reason::TooDeep));
        }
        self.canonical.bytes.push(b'{');
        self.cursor.at += 1;
        let (first, start) = (self.canonical.entries.len(), self.canonical.bytes.len());
        loop {
            self.cursor.skip_whitespace();
            match self.cursor.peek() {
                b'}' => break,
                b',' => self.cursor.at += 1,
                _ => {
                    let name = self.cursor.string().decoded().map_err(Finding::here)?;
                    self.cursor.skip_whitespace();
                    self.cursor.at += 1; // the colon
                    self.cursor.skip_whitespace();
                    let from = self.canonical.bytes.len();
                    self.canonical.text(&name, b'k');
                    self.value(depth).map_err(|finding| finding.under(&name))?;
                    let entry = Entry::new(from, self.canonical.bytes.len());
                    self.canonical.entries.push(entry);
                }
            }
        }
        self.cursor.at += 1;
        self.canonical.sort(first, start)?;
        self.canonical.bytes.push(b'}');
        Ok(())
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

    /// The name, as [`Canonical::text`] put it down: behind a mark and eight bytes of length.
    fn name<'t>(&self, canonical: &'t [u8]) -> &'t [u8] {
        let written = self.written(canonical);
        let mut length = [0; 8];
        length.copy_from_slice(&written[1..9]);
        &written[9..][..u64::from_le_bytes(length) as usize]
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn canonical(text: &str) -> Result<Vec<u8>, Finding> {
        let mut canonical = Canonical::default();
        canonical.add(text, 0, None).map(|()| canonical.bytes)
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

    pub(in super::super) fn any_json() -> impl Strategy<Value = Value> {
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
    }
}
