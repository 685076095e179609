//! The part of an event that is kept as the client wrote it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One JSON object with every member of an event that is not a column of its own.
///
/// The members are spliced from the client's text, so numbers keep all their digits and names their order.
/// It is text in both databases, not a binary JSON type: those reorder, round or blow up what they take
/// (`1e131071` is 30 bytes in, 131 KB out), and parsing it again on the way in costs more than the insert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document(String);

/// The members of a [`Document`], borrowed from it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Members<'a> {
    /// The event's title.
    #[serde(borrow)]
    pub title: Option<&'a RawValue>,
    /// The event's message.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a RawValue>,
    /// `source.version`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub version: Option<&'a RawValue>,
    /// The whole `context`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub context: Option<&'a RawValue>,
    /// The whole `metrics`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<&'a RawValue>,
    /// The whole `error_details`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub error_details: Option<&'a RawValue>,
    /// The whole `payload`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub payload: Option<&'a RawValue>,
    /// The whole `metadata`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a RawValue>,
}

impl Document {
    /// The names a document may have members of, in the order they are written.
    pub(super) const NAMES: [&'static str; 8] =
        ["title", "message", "version", "context", "metrics", "error_details", "payload", "metadata"];

    /// Joins raw members. The caller vouches that names are from [`Document::NAMES`] and values are JSON.
    pub(super) fn join(members: &[(&str, &str)]) -> Self {
        let punctuation = "{}".len() + members.len() * "\"\":,".len();
        let bytes: usize = members.iter().map(|(name, raw)| name.len() + raw.len()).sum();
        let mut text = String::with_capacity(punctuation + bytes);
        text.push('{');
        for (name, raw) in members {
            debug_assert!(Self::NAMES.contains(name));
            if text.len() > 1 {
                text.push(',');
            }
            text.push('"');
            text.push_str(name);
            text.push_str("\":");
            text.push_str(raw);
        }
        text.push('}');
        Self(text)
    }

    /// A document as it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The document's text, as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The members, without copying them.
    ///
    /// # Errors
    /// When the text is no such document: somebody else wrote into the table.
    pub fn members(&self) -> Result<Members<'_>, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}
