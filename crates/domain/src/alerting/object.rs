//! Reading JSON objects strictly: every member is known and right, or it is reported.

use std::{ops::RangeInclusive, str::FromStr};

use serde_json::{Map, Value, value::RawValue};

use super::duration;
use crate::{
    Timestamp,
    event::{FieldError, Reason, json::Canonical},
};

/// The members of one object that have not been read yet, and what was wrong with the others.
///
/// `null` is the same as absent. Each getter takes its member out; what is left at [`Object::close`] is not
/// known.
pub(super) struct Object {
    pointer: String,
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Object {
    /// The object in a body.
    pub(super) fn open(body: &RawValue) -> Result<Self, Vec<FieldError>> {
        // NUL, names given twice, numbers without an f64, and nesting that overflows somebody's stack.
        Canonical::default()
            .add(body.get(), 0, None)
            .map_err(|finding| vec![FieldError::new(finding.pointer, finding.reason)])?;
        match serde_json::from_str(body.get()) {
            Ok(Value::Object(members)) => Ok(Self::at("", members)),
            Ok(_) => Err(vec![FieldError::new("", Reason::NotAnObject)]),
            Err(_) => Err(vec![FieldError::new("", Reason::BadJson)]),
        }
    }

    /// An object that stands at this place in a body.
    pub(super) fn at(pointer: impl Into<String>, members: Map<String, Value>) -> Self {
        Self { pointer: pointer.into(), members, errors: Vec::new() }
    }

    /// Everything that was wrong, unknown members included.
    pub(super) fn close(mut self) -> Vec<FieldError> {
        let unknown: Vec<String> = self.members.keys().map(|name| self.pointer_to(name)).collect();
        self.errors.extend(unknown.into_iter().map(|pointer| FieldError::new(pointer, Reason::UnknownField)));
        self.errors
    }

    /// Whether nothing was wrong so far.
    pub(super) fn is_fine(&self) -> bool {
        self.errors.is_empty()
    }

    /// What was wrong so far, whatever members are left.
    pub(super) fn errors_alone(self) -> Vec<FieldError> {
        self.errors
    }

    /// Takes over what was wrong with a part of this object.
    pub(super) fn absorb(&mut self, errors: Vec<FieldError>) {
        self.errors.extend(errors);
    }

    pub(super) fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    pub(super) fn refuse(&mut self, name: &str, reason: Reason) {
        self.errors.push(FieldError::new(self.pointer_to(name), reason));
    }

    pub(super) fn refuse_because(&mut self, name: &str, reason: Reason, detail: impl Into<String>) {
        self.errors.push(FieldError::with_detail(self.pointer_to(name), reason, detail));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Moves members out of an object within this one, unless they are here already. Says which.
    pub(super) fn hoist(&mut self, from: &str, names: &[&'static str]) -> Vec<&'static str> {
        let mut moved = Vec::new();
        for name in names {
            if !self.has(name)
                && let Some(Value::Object(inner)) = self.members.get_mut(from)
                && let Some(value) = inner.remove(*name).filter(|value| !value.is_null())
            {
                self.members.insert((*name).to_owned(), value);
                moved.push(*name);
            }
        }
        moved
    }

    /// Puts members in where there are none.
    pub(super) fn fill_in(&mut self, members: Map<String, Value>) {
        for (name, value) in members {
            self.members.entry(name).or_insert(value);
        }
    }

    /// Replaces a member that is an object by the list of its names.
    pub(super) fn keys_as_list(&mut self, name: &str) {
        if let Some(value) = self.members.get_mut(name)
            && let Value::Object(members) = value
        {
            *value = members.keys().cloned().collect();
        }
    }

    /// Reports each of these that is absent.
    pub(super) fn require(&mut self, names: &[&str]) {
        for name in names {
            if !self.has(name) {
                self.refuse(name, Reason::Required);
            }
        }
    }

    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name).filter(|value| !value.is_null())
    }

    pub(super) fn object(&mut self, name: &str) -> Option<Self> {
        match self.value(name)? {
            Value::Object(members) => Some(Self::at(self.pointer_to(name), members)),
            _ => {
                self.refuse(name, Reason::NotAnObject);
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        let value = self.value(name)?.as_bool();
        if value.is_none() {
            self.refuse(name, Reason::WrongType);
        }
        value
    }

    /// A text in one line, of 1 to `max` characters.
    pub(super) fn line(&mut self, name: &str, max: usize) -> Option<String> {
        let text = self.text(name, max)?;
        if text.chars().any(char::is_control) {
            self.refuse(name, Reason::ControlCharacter);
            return None;
        }
        Some(text)
    }

    /// A text of 1 to `max` characters, in which lines may end.
    pub(super) fn text(&mut self, name: &str, max: usize) -> Option<String> {
        let value = self.value(name)?;
        let Value::String(text) = value else {
            self.refuse(name, Reason::WrongType);
            return None;
        };
        if text.trim().is_empty() {
            self.refuse(name, Reason::Empty);
        } else if text.chars().nth(max).is_some() {
            self.refuse_because(name, Reason::TooLong, format!("must have at most {max} characters"));
        } else if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(name, Reason::ControlCharacter);
        } else {
            return Some(text);
        }
        None
    }

    /// A text in one line, of at most `max` characters.
    pub(super) fn possibly_empty(&mut self, name: &str, max: usize) -> Option<String> {
        if self.members.get(name).is_some_and(|value| value == "") {
            self.members.remove(name);
            return Some(String::new());
        }
        self.line(name, max)
    }

    /// One of a closed set of names.
    pub(super) fn name<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.value(name)?;
        let Some(text) = value.as_str() else {
            self.refuse(name, Reason::WrongType);
            return None;
        };
        let parsed = text.parse();
        if parsed.is_err() {
            self.refuse(name, Reason::UnknownValue);
        }
        parsed.ok()
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let Some(number) = self.value(name)?.as_f64() else {
            self.refuse(name, Reason::WrongType);
            return None;
        };
        if !range.contains(&number) {
            let (least, most) = range.into_inner();
            self.refuse_because(name, Reason::OutOfRange, format!("must be from {least} to {most}"));
            return None;
        }
        Some(number)
    }

    pub(super) fn whole_number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        if !value.is_number() {
            self.refuse(name, Reason::WrongType);
            return None;
        }
        // Clients that only know floats write 5.0.
        let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
        let number = value.as_u64().or_else(|| value.as_f64().filter(is_whole).map(|number| number as u64));
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            let detail = format!("must be a whole number from {least} to {most}");
            self.refuse_because(name, Reason::OutOfRange, detail);
        }
        number
    }

    /// A length of time in seconds.
    pub(super) fn duration(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let Some(secs) = duration::secs(&self.value(name)?) else {
            self.refuse(name, Reason::BadDuration);
            return None;
        };
        if !range.contains(&secs) {
            let (least, most) = (duration::text(*range.start()), duration::text(*range.end()));
            self.refuse_because(name, Reason::OutOfRange, format!("must be from {least} to {most}"));
            return None;
        }
        Some(secs)
    }

    pub(super) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let value = self.value(name)?;
        let parsed = value.as_str().and_then(|text| Timestamp::parse(text).ok());
        if parsed.is_none() {
            self.refuse(name, Reason::BadTimestamp);
        }
        parsed
    }

    /// The items of a list, each with its pointer; a single value is a list of one.
    pub(super) fn items(&mut self, name: &str, most: usize) -> Option<Vec<(String, Value)>> {
        let items = match self.value(name)? {
            Value::Array(items) => items,
            single => vec![single],
        };
        if items.len() > most {
            self.refuse_because(name, Reason::TooMany, format!("must have at most {most} items"));
            return None;
        }
        let pointer = self.pointer_to(name);
        let number = |(at, item)| (format!("{pointer}/{at}"), item);
        Some(items.into_iter().enumerate().map(number).collect())
    }
}
