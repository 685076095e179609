//! Whole texts, or texts with `*` for anything.

/// What a text has to look like: equal, or equal but for the stars, each of which stands for any text.
///
/// Case matters. There is no escape for a literal star: services and endpoints have none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
}

impl Pattern {
    /// Reads a pattern.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The text to be equal to, when there is no star.
    pub fn as_exact(&self) -> Option<&str> {
        (!self.text.contains('*')).then_some(&self.text)
    }

    /// The literal parts between the stars; the first and last may be empty.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.text.split('*')
    }

    /// Whether a text looks like this.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.text.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("api", "api", true),
            ("api", "API", false),
            ("api", "apis", false),
            ("api*", "apis", true),
            ("*api", "my-api", true),
            ("*pi*", "apis", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*", "", true),
            ("**", "x", true),
            ("%", "x", false),
            ("a_c", "abc", false),
            ("[a]*", "a", false),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
