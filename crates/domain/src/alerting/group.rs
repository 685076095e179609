//! By what the events of a rule are told apart.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::RuleId;
use crate::{
    event::{NewEvent, ParseNameError},
    search::FacetField,
};

/// The most fields a rule may group by.
pub const MAX_GROUP_FIELDS: usize = 3;
/// The most groups one look at a window tells of.
pub const MAX_GROUPS: usize = 1_000;

/// A field whose values split events into groups.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum GroupField {
    /// A searched field.
    Field(FacetField),
    /// The tag with this key; 1–100 characters, no control characters.
    Tag(String),
}

impl GroupField {
    /// Its name in `group_by` and in labels: `service`, or `tags.region`.
    pub fn name(&self) -> String {
        match self {
            Self::Field(field) => {
                let name = FacetField::ALL.iter().find(|(_, known)| known == field);
                name.map_or_else(String::new, |(name, _)| (*name).to_owned())
            }
            Self::Tag(key) => format!("tags.{key}"),
        }
    }

    /// Its value in an event; empty when the event has none.
    pub fn value(&self, event: &NewEvent) -> String {
        let field = match self {
            Self::Tag(key) => return tag(event, key).unwrap_or_default(),
            Self::Field(field) => field,
        };
        match field {
            FacetField::EventType => event.event_type.to_string(),
            FacetField::Severity => event.severity.to_string(),
            FacetField::Service => event.service.clone(),
            FacetField::Endpoint => event.endpoint.clone(),
            FacetField::Method => event.method.clone(),
            FacetField::Environment => event.environment.clone().unwrap_or_default(),
            FacetField::StatusCode => event.status_code.map(|code| code.to_string()).unwrap_or_default(),
            FacetField::UserId => event.user_id.clone().unwrap_or_default(),
        }
    }
}

/// Tags are not columns: they stand in the document, as `context.tags`.
fn tag(event: &NewEvent, key: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Context {
        #[serde(default)]
        tags: Option<BTreeMap<String, String>>,
    }
    let context = event.document.members().ok()?.context?;
    serde_json::from_str::<Context>(context.get()).ok()?.tags?.remove(key)
}

impl FromStr for GroupField {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(key) = text.strip_prefix("tags.") {
            let is_plain =
                !key.is_empty() && key.chars().nth(100).is_none() && !key.chars().any(char::is_control);
            return if is_plain { Ok(Self::Tag(key.to_owned())) } else { Err(ParseNameError) };
        }
        let known = FacetField::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, field)| Self::Field(*field)).ok_or(ParseNameError)
    }
}

/// The values that make a group: name → value, by name. Empty for a rule that does not group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// The group an event belongs to.
    pub fn of(group_by: &[GroupField], event: &NewEvent) -> Self {
        Self(group_by.iter().map(|field| (field.name(), field.value(event))).collect())
    }

    /// What tells the alert of this group from all others; the same for ever.
    pub fn fingerprint(&self, rule_id: RuleId) -> Fingerprint {
        let mut hasher = blake3::Hasher::new_derive_key("pulsestream 2026 alert fingerprint");
        hasher.update(rule_id.0.as_bytes());
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            // The length in front, so that no two lists of texts run together the same way.
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Fingerprint(fingerprint)
    }
}

/// `service=pay, tags.region=eu`; nothing for the group of everything.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value}")?;
        }
        Ok(())
    }
}

/// The identity of what an alert is about: rule and labels. 32 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The text is not a fingerprint.
impl FromStr for Fingerprint {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex);
        number.map(|number| Self(number.to_be_bytes())).ok_or(ParseNameError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_fingerprint_depends_on_rule_and_labels_and_not_on_their_order() {
        let (one, two) = (RuleId(Uuid::from_u128(1)), RuleId(Uuid::from_u128(2)));
        let ab = labels(&[("a", "1"), ("b", "2")]);
        assert_eq!(ab.fingerprint(one), labels(&[("b", "2"), ("a", "1")]).fingerprint(one));
        assert_ne!(ab.fingerprint(one), ab.fingerprint(two));
        assert_ne!(ab.fingerprint(one), labels(&[("a", "1b2"), ("b", "")]).fingerprint(one));
        assert_ne!(labels(&[]).fingerprint(one), labels(&[("a", "")]).fingerprint(one));
        let text = ab.fingerprint(one).to_string();
        assert_eq!(text.parse(), Ok(ab.fingerprint(one)));
        assert!("+f".repeat(16).parse::<Fingerprint>().is_err());
    }

    #[test]
    fn a_group_field_reads_back_as_written() {
        for (name, _) in FacetField::ALL {
            assert_eq!(name.parse::<GroupField>().map(|field| field.name()).as_deref(), Ok(name));
        }
        let tag: Result<GroupField, _> = "tags.a.b".parse();
        assert_eq!(tag.map(|field| field.name()).as_deref(), Ok("tags.a.b"));
        for bad in ["", "tags", "tags.", "payload", "tags.\n", "SERVICE"] {
            assert!(bad.parse::<GroupField>().is_err(), "{bad}");
        }
    }
}
