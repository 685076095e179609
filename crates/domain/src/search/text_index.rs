//! What of the text of events is indexed, and what may be searched for then.

use serde::{Deserialize, Serialize};

use super::Filter;
use crate::event::{FieldError, Reason};

/// What of the text of events is indexed. The same search finds the same events either way; what differs is what it
/// costs, and what storing an event costs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextIndex {
    /// Nothing. A search for words or tags looks at every event of its time.
    None,
    /// Words and tags: see [`Terms`](crate::event::Terms).
    #[default]
    Words,
}

impl TextIndex {
    /// Its name in settings and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Words => "words",
        }
    }

    /// Whether a search for these events has to look at every event of its time for want of an index.
    ///
    /// # Errors
    /// When it has, and its time has no beginning: it would be all that the tenant ever stored.
    pub fn leaves_to_scan(self, filter: &Filter) -> Result<bool, FieldError> {
        let is_scan = self == Self::None && filter.has_terms();
        if is_scan && filter.start_time.is_none() {
            let detail = "is required with q and tags, as this server has no index of words";
            return Err(FieldError::with_detail("/start_time", Reason::Required, detail));
        }
        Ok(is_scan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, search::Word};

    #[test]
    fn words_and_tags_without_an_index_are_scanned_for_from_a_beginning_on() {
        let word = Word { text: "a".to_owned(), is_prefix: false };
        let words = Filter { words: Some(vec![word]), ..Filter::default() };
        let no_words = Filter { words: Some(Vec::new()), ..Filter::default() };
        let tags = Filter { tags: vec!["a:b".to_owned()], ..Filter::default() };
        for filter in [words, no_words, tags] {
            let since = Filter { start_time: Some(Timestamp::EPOCH), ..filter.clone() };
            assert_eq!(TextIndex::Words.leaves_to_scan(&filter), Ok(false));
            assert_eq!(TextIndex::None.leaves_to_scan(&since), Ok(true));
            let refused = TextIndex::None.leaves_to_scan(&filter).expect_err("it has no beginning");
            assert_eq!((refused.pointer.as_str(), refused.code), ("/start_time", Reason::Required));
        }
        let other = Filter { user_id: Some("u".to_owned()), ..Filter::default() };
        assert_eq!(TextIndex::None.leaves_to_scan(&other), Ok(false));
    }

    #[test]
    fn a_name_is_written_as_it_is_read() {
        for index in [TextIndex::None, TextIndex::Words] {
            let written = serde_json::to_value(index).expect("it is a text");
            assert_eq!(written, index.as_str());
            assert_eq!(serde_json::from_value::<TextIndex>(written).expect("it is known"), index);
        }
    }
}
