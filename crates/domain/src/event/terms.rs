//! What an event can be found by in a text index.
//!
//! Words and tags are cut here, not by each database's own tokenizer, so that the same search finds the
//! same events everywhere. A term carries its tenant in front: a posting list then belongs to one tenant,
//! which a second index column cannot do (it would intersect with a list of all the tenant's events).
//!
//! A term is made of ASCII letters and digits and non-ASCII letters only, so any tokenizer that splits at
//! ASCII punctuation and white space leaves it whole.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::tenant::TenantId;

/// How much text of a payload is indexed, in bytes; words beyond it are stored but not found by `q`. Title, message and
/// error message are short, and indexed as a whole.
pub const MAX_INDEXED_PAYLOAD_BYTES: usize = 64 * 1024;

/// Words are cut to this many characters, in the index and in a search alike.
const MAX_WORD_CHARS: usize = 64;

/// The terms of one event: sorted, distinct, separated by single spaces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Terms(String);

impl Terms {
    /// The terms of an event with these tags and these words, which are sorted and distinct.
    pub fn new<'a>(
        tenant_id: TenantId,
        words: impl IntoIterator<Item = impl AsRef<str>>,
        tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let prefix = tenant_prefix(tenant_id);
        let mut pair = String::new();
        let tags = tags.into_iter().map(|(key, value)| {
            pair.clear();
            pair.extend([key, ":", value]);
            tag_number(&pair)
        });
        let mut tags: Vec<u128> = tags.collect();
        tags.sort_unstable();
        tags.dedup();
        // Tags come before words, as their marks do.
        let mut joined = String::with_capacity(512);
        for tag in tags {
            push_tag(&prefix, tag, &mut joined);
            joined.push(' ');
        }
        for word in words {
            joined.extend([&*prefix, "w", word.as_ref(), " "]);
        }
        joined.pop();
        joined.shrink_to_fit();
        Self(joined)
    }

    /// The one term of a word or of a tag, to search for. A word has to come out of [`words`].
    pub fn word(tenant_id: TenantId, word: &str) -> String {
        format!("{}w{word}", tenant_prefix(tenant_id))
    }

    /// The one term of a `key:value` pair, to search for.
    pub fn tag(tenant_id: TenantId, pair: &str) -> String {
        let mut term = String::new();
        push_tag(&tenant_prefix(tenant_id), tag_number(pair), &mut term);
        term
    }

    /// All terms, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each term.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|term| !term.is_empty())
    }
}

/// Eight characters of the tenant's id, from its random end: enough to keep lists apart. Two tenants that
/// share them share a list, never a result: every search also compares the whole tenant id.
fn tenant_prefix(tenant_id: TenantId) -> String {
    let mut buffer = [0; uuid::fmt::Simple::LENGTH];
    tenant_id.0.simple().encode_lower(&mut buffer)[24..].to_owned()
}

/// A hash, because tags hold any character and any length. 96 bits: no two tags of one tenant meet.
fn tag_number(pair: &str) -> u128 {
    let mut bits = [0; 16];
    bits.copy_from_slice(&blake3::hash(pair.as_bytes()).as_bytes()[..16]);
    u128::from_be_bytes(bits) >> 32
}

fn push_tag(prefix: &str, number: u128, into: &mut String) {
    _ = write!(into, "{prefix}t{number:024x}");
}

/// Collects the words of texts.
///
/// All words stand in one text, so that one more costs no allocation.
#[derive(Debug)]
pub(crate) struct WordSink {
    text: String,
    words: Vec<(u32, u32)>,
    bytes_left: usize,
}

impl WordSink {
    pub(crate) fn new() -> Self {
        Self { text: String::with_capacity(256), words: Vec::with_capacity(32), bytes_left: usize::MAX }
    }

    /// Of the texts from here on, takes only so many bytes.
    pub(crate) fn limit_to(&mut self, bytes: usize) {
        self.bytes_left = bytes;
    }

    /// Adds the words of a text: runs of letters and digits of any script, in lower case.
    pub(crate) fn add(&mut self, text: &str) {
        let within = &text[..text.floor_char_boundary(self.bytes_left)];
        self.bytes_left -= within.len();
        for run in within.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
            let from = self.text.len();
            push_lower(run, &mut self.text);
            let position = |at| u32::try_from(at).expect("an event is far below 4 GiB");
            self.words.push((position(from), position(self.text.len())));
        }
    }

    /// The words, sorted and distinct.
    pub(crate) fn words(&mut self) -> impl Iterator<Item = &str> {
        let text = self.text.as_str();
        let word = move |&(from, to): &(u32, u32)| &text[from as usize..to as usize];
        self.words.sort_unstable_by(|a, b| word(a).cmp(word(b)));
        self.words.dedup_by(|a, b| word(a) == word(b));
        self.words.iter().map(word)
    }
}

/// The words of a text, as they are indexed and searched.
pub fn words(text: &str) -> BTreeSet<String> {
    let mut sink = WordSink::new();
    sink.add(text);
    sink.words().map(str::to_owned).collect()
}

/// Lower case may bring marks along (`İ` becomes `i` and a dot above), which are no letters: they go.
fn push_lower(run: &str, into: &mut String) {
    if run.is_ascii() {
        let cut = &run[..run.len().min(MAX_WORD_CHARS)];
        let from = into.len();
        into.push_str(cut);
        into[from..].make_ascii_lowercase();
    } else {
        let lowered = run.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric());
        into.extend(lowered.take(MAX_WORD_CHARS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::from_u128(0x1234_5678_9abc_def0));

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        let found: Vec<String> =
            words("GET /Search-Results?q=Ünïcode_1, 50% of 東京 -- İ").into_iter().collect();
        assert_eq!(found, ["1", "50", "get", "i", "of", "q", "results", "search", "ünïcode", "東京"]);
    }

    #[test]
    fn terms_are_distinct_and_sorted_and_know_their_tenant() {
        let terms = Terms::new(TENANT, words("b a b"), [("k", "v")]);
        let all: Vec<&str> = terms.iter().collect();
        assert_eq!(all.len(), 3);
        assert!(all.is_sorted());
        assert!(all.contains(&Terms::word(TENANT, "a").as_str()));
        assert!(all.contains(&Terms::tag(TENANT, "k:v").as_str()));
        assert!(!all.contains(&Terms::word(TenantId(Uuid::nil()), "a").as_str()));
    }

    proptest! {
        #[test]
        fn a_term_is_never_split_by_a_tokenizer(text in "\\PC{0,64}", key in "\\PC{0,8}", value in "\\PC{0,8}") {
            let terms = Terms::new(TENANT, words(&text), [(key.as_str(), value.as_str())]);
            for term in terms.iter() {
                prop_assert!(term.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric()));
                prop_assert!(term.chars().all(|c| c.is_alphanumeric()));
            }
        }

        #[test]
        fn words_of_words_are_the_words(text in "\\PC{0,64}") {
            let once = words(&text);
            let again: BTreeSet<String> = once.iter().flat_map(|word| words(word)).collect();
            prop_assert_eq!(once, again);
        }
    }
}
