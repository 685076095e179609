//! Administrative bodies: JSON objects of which every member is known.
//!
//! A body is taken apart member by member, and everything wrong with it is told at once. Members that nobody asked
//! for are refused, so that a typing error is no silent default, and nothing can be slipped in.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

use actix_web::{HttpRequest, web::Payload};
use pulsestream_domain::{
    Timestamp,
    event::{FieldError, Reason},
    identity::{Email, Password, WeakPassword},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::{
    body::{self, Body},
    error::ApiError,
    state::State,
};

/// How many bytes such a body may have: enough for a password that is far too long to be told so.
const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The members of a body, and what was found wrong with them so far.
pub(crate) struct Fields {
    members: BTreeMap<String, Value>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Reads the body of a request.
    pub(crate) async fn read(
        state: &State,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<Self, ApiError> {
        body::require_json(request.headers())?;
        let limits = state.bodies.with_max_bytes(MAX_BODY_BYTES);
        let Body { bytes, held } = limits.read(request.headers(), payload).await?;
        let fields = Self::parse(&bytes)?;
        drop(held);
        Ok(fields)
    }

    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice::<Members>(bytes) {
            Ok(Members { members, twice }) => {
                let errors: Vec<_> = twice
                    .into_iter()
                    .map(|name| FieldError::new(pointer(&name), Reason::DuplicateKey))
                    .collect();
                Ok(Self { members, errors })
            }
            Err(error) if error.is_data() => Err(FieldError::new("", Reason::NotAnObject).into()),
            Err(_) => Err(ApiError::BadJson),
        }
    }

    /// A text of so many characters.
    pub(crate) fn text(&mut self, name: &str, chars: RangeInclusive<usize>) -> Option<String> {
        let text: String = self.typed(name)?;
        let count = text.chars().count();
        let reason = match () {
            () if text.contains('\0') => Reason::NulNotAllowed,
            () if count < *chars.start() => Reason::Empty,
            () if count > *chars.end() => Reason::TooLong,
            () => return Some(text),
        };
        self.refuse(name, reason)
    }

    /// A text that means something.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, reason: Reason) -> Option<T> {
        let text: String = self.typed(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_) => self.refuse(name, reason),
        }
    }

    /// An address of a person.
    pub(crate) fn email(&mut self, name: &str) -> Option<Email> {
        self.parsed(name, Reason::BadEmail)
    }

    /// A point in time.
    pub(crate) fn timestamp(&mut self, name: &str) -> Option<Timestamp> {
        let text: String = self.typed(name)?;
        match Timestamp::parse(&text) {
            Ok(at) => Some(at),
            Err(_) => self.refuse(name, Reason::BadTimestamp),
        }
    }

    /// A password that somebody wants to have.
    pub(crate) fn new_password(&mut self, name: &str) -> Option<Password> {
        self.password(name, Password::new)
    }

    /// A password that somebody says they have.
    pub(crate) fn presented_password(&mut self, name: &str) -> Option<Password> {
        self.password(name, Password::presented)
    }

    fn password(
        &mut self,
        name: &str,
        read: fn(String) -> Result<Password, WeakPassword>,
    ) -> Option<Password> {
        let text: String = self.typed(name)?;
        match read(text) {
            Ok(password) => Some(password),
            Err(WeakPassword) => self.refuse(name, Reason::BadPassword),
        }
    }

    /// True or false.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name)
    }

    /// A whole number within these bounds.
    pub(crate) fn number(&mut self, name: &str, allowed: RangeInclusive<u32>) -> Option<u32> {
        match self.typed::<i64>(name).map(u32::try_from)? {
            Ok(number) if allowed.contains(&number) => Some(number),
            _ => {
                let detail = format!("must be a whole number from {} to {}", allowed.start(), allowed.end());
                self.errors.push(FieldError::with_detail(pointer(name), Reason::OutOfRange, detail));
                None
            }
        }
    }

    /// A list of at most so many texts that mean something.
    pub(crate) fn list<T: FromStr>(&mut self, name: &str, max: usize, reason: Reason) -> Option<Vec<T>> {
        let texts: Vec<String> = self.typed(name)?;
        if texts.len() > max {
            return self.refuse(name, Reason::TooMany);
        }
        let mut values = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            match text.parse() {
                Ok(value) => values.push(value),
                Err(_) => self.errors.push(FieldError::new(format!("{}/{index}", pointer(name)), reason)),
            }
        }
        Some(values)
    }

    /// A member that may be taken away: `Some(None)` when it is null, `None` when it is absent.
    pub(crate) fn nullable<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        if self.members.get(name).is_some_and(Value::is_null) {
            self.members.remove(name);
            return Some(None);
        }
        read(self).map(Some)
    }

    /// Asks for a member: notes that it is missing, unless something else is wrong with it already.
    pub(crate) fn required<T>(&mut self, name: &str, value: Option<T>) -> Option<T> {
        let pointer = pointer(name);
        if value.is_none() && !self.errors.iter().any(|error| error.pointer == pointer) {
            self.errors.push(FieldError::new(pointer, Reason::Required));
        }
        value
    }

    /// Notes that a member is not allowed to be what it is.
    pub(crate) fn refuse<T>(&mut self, name: &str, reason: Reason) -> Option<T> {
        self.errors.push(FieldError::new(pointer(name), reason));
        None
    }

    /// Makes sure that nothing is wrong and nothing is left.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let errors = self.into_errors();
        if errors.is_empty() { Ok(()) } else { Err(errors.into()) }
    }

    /// What is wrong, when a required member is not there.
    pub(crate) fn refused(self) -> ApiError {
        self.into_errors().into()
    }

    fn into_errors(mut self) -> Vec<FieldError> {
        let unknown = self.members.keys().map(|name| FieldError::new(pointer(name), Reason::UnknownField));
        self.errors.extend(unknown);
        self.errors
    }

    /// Takes a member of this type. One that is null is absent.
    fn typed<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.members.remove(name).filter(|value| !value.is_null())?;
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(_) => self.refuse(name, Reason::WrongType),
        }
    }
}

/// A JSON Pointer (RFC 6901) to a member.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An object, with the names that it has twice.
struct Members {
    members: BTreeMap<String, Value>,
    twice: Vec<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut twice) = (BTreeMap::new(), Vec::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name.clone(), value).is_some() {
                        twice.push(name);
                    }
                }
                Ok(Members { members, twice })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(body: &str, read: impl FnOnce(&mut Fields)) -> Vec<(String, Reason)> {
        let mut fields = Fields::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        read(&mut fields);
        fields.into_errors().into_iter().map(|error| (error.pointer, error.code)).collect()
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let body =
            r#"{"name": "", "email": "x", "flag": 1, "number": 11, "list": ["10.0.0.0/8", "x"], "a/b": 1}"#;
        let found = errors(body, |fields| {
            let name = fields.text("name", 1..=5);
            fields.required("name", name);
            fields.email("email");
            fields.flag("flag");
            fields.number("number", 1..=10);
            fields.list::<pulsestream_domain::api_key::Network>("list", 5, Reason::BadNetwork);
            let missing = fields.text("missing", 1..=5);
            fields.required("missing", missing);
        });
        let expected = [
            ("/name", Reason::Empty),
            ("/email", Reason::BadEmail),
            ("/flag", Reason::WrongType),
            ("/number", Reason::OutOfRange),
            ("/list/1", Reason::BadNetwork),
            ("/missing", Reason::Required),
            ("/a~1b", Reason::UnknownField),
        ];
        assert_eq!(found, expected.map(|(pointer, reason)| (pointer.to_owned(), reason)));
    }

    #[test]
    fn null_is_absent_unless_it_may_take_something_away() {
        let mut fields = Fields::parse(br#"{"a": null, "b": null, "c": "x"}"#).unwrap_or_else(|_| panic!());
        assert_eq!(fields.text("a", 1..=5), None);
        assert_eq!(fields.nullable("b", |fields| fields.text("b", 1..=5)), Some(None));
        assert_eq!(fields.nullable("c", |fields| fields.text("c", 1..=5)), Some(Some("x".to_owned())));
        assert_eq!(fields.nullable("d", |fields| fields.text("d", 1..=5)), None);
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn a_body_is_one_object_with_each_name_once() {
        let code = |body: &str| match Fields::parse(body.as_bytes()) {
            Ok(fields) => {
                fields.refused().problem().errors.first().map_or("none", |error| error.code.as_str())
            }
            Err(ApiError::Fields(errors)) => errors[0].code.as_str(),
            Err(error) => error.problem().code,
        };
        for (body, expected) in [
            ("{}", "none"),
            ("", "bad_json"),
            ("{", "bad_json"),
            ("{} {}", "bad_json"),
            ("[]", "not_an_object"),
            ("null", "not_an_object"),
            (r#"{"a": 1, "a": 1}"#, "duplicate_key"),
            (r#"{"a": "\ud800"}"#, "bad_json"),
        ] {
            assert_eq!(code(body), expected, "{body}");
        }
    }
}
