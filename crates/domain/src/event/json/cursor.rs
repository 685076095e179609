//! Walking over JSON text that is known to be well-formed.

use std::borrow::Cow;

use crate::event::Reason;

/// A place in the text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    pub(super) at: usize,
}

/// The inside of a string literal, escapes and all.
pub(super) struct Literal<'a> {
    inner: &'a str,
    has_escapes: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b'}')
    }

    pub(super) fn skip_whitespace(&mut self) {
        while matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    pub(super) fn string(&mut self) -> Literal<'a> {
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

    pub(super) fn number(&mut self) -> &'a str {
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
    pub(super) fn skip_value(&mut self) {
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
}

impl<'a> Literal<'a> {
    pub(super) fn decoded(&self) -> Result<Cow<'a, str>, Reason> {
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
