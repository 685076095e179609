//! Foreign text on its way into something that could take it for more than text.

/// The longest excerpt of an answer.
const MAX_EXCERPT_BYTES: usize = 1_024;

/// At most this many characters; a longer text ends in `…`.
pub(crate) fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some(_) if max_chars == 0 => String::new(),
        Some(_) => text.chars().take(max_chars - 1).chain(['…']).collect(),
    }
}

/// On one line: whatever ends a line, steers a terminal or turns the reading direction becomes a space.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|character| if steers(character) { ' ' } else { character }).collect()
}

/// The beginning of an answer, fit to be stored and shown.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    // A replacement character is at most three times as long as what it replaces.
    let bytes = &bytes[..bytes.len().min(MAX_EXCERPT_BYTES)];
    let mut text = one_line(&String::from_utf8_lossy(bytes)).trim().to_owned();
    text.truncate(text.floor_char_boundary(MAX_EXCERPT_BYTES));
    text
}

/// A link that is safe to hand on: an absolute http or https URL of printable ASCII, or nothing.
pub(crate) fn link(url: Option<&str>) -> Option<&str> {
    let url = url?;
    let printable = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}".contains(&byte));
    let absolute = url.starts_with("https://") || url.starts_with("http://");
    (printable && absolute && url.len() <= 2_048).then_some(url)
}

/// For text and attribute values of HTML.
pub(crate) fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// For Slack, where these three are all that has a meaning when formatting is off: links and mentions are
/// written `<…>`. <https://docs.slack.dev/messaging/formatting-message-text#escaping>
pub(crate) fn escape_slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Control characters, line and paragraph separators, and marks that change the reading direction.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200E}' | '\u{200F}')
        || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_cut_by_characters() {
        for (text, max, expected) in [
            ("", 0, ""),
            ("é", 0, ""),
            ("ab", 2, "ab"),
            ("abc", 2, "a…"),
            ("äöü", 3, "äöü"),
            ("äöüß", 1, "…"),
        ] {
            assert_eq!(cut(text, max), expected);
        }
    }

    #[test]
    fn only_links_to_the_web_are_handed_on() {
        for (url, is_safe) in [
            ("https://console.example/alerts/1?a=b#c", true),
            ("http://console.example", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("//console.example", false),
            ("https://x/\" onmouseover=\"x", false),
            ("https://x/<script>", false),
            ("https://x/a|<!channel>", false),
            ("https://x/\r\nBcc:", false),
            ("https://bücher.example/", false),
        ] {
            assert_eq!(link(Some(url)).is_some(), is_safe, "{url}");
        }
    }

    proptest! {
        #[test]
        fn an_excerpt_is_short_and_on_one_line(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
            let excerpt = excerpt(&bytes);
            prop_assert!(excerpt.len() <= MAX_EXCERPT_BYTES);
            prop_assert!(!excerpt.chars().any(steers));
        }

        #[test]
        fn escaped_html_holds_no_markup_and_reads_back(text in "\\PC*") {
            let escaped = escape_html(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let back = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
            prop_assert_eq!(back.replace("&#39;", "'").replace("&amp;", "&"), text);
        }

        #[test]
        fn escaped_slack_text_has_no_mention_and_reads_back(text in "\\PC*") {
            let escaped = escape_slack(&text);
            prop_assert!(!escaped.contains(['<', '>']));
            prop_assert_eq!(escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"), text);
        }
    }
}
