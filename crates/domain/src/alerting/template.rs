//! Messages that people write, with places for what is known of an alert.

use std::collections::BTreeMap;

use crate::event::{FieldError, Reason, names::names};

names! {
    /// What a template may name.
    Placeholder {
        /// The rule's name.
        RuleName = "rule_name",
        /// The rule's description, or nothing.
        RuleDescription = "rule_description",
        /// The kind of condition.
        ConditionType = "condition_type",
        /// The rule's severity.
        Severity = "severity",
        /// The rule's window, `5m`.
        TimeWindow = "time_window",
        /// How many events there are in the window.
        EventCount = "event_count",
        /// What the condition measured.
        Value = "value",
        /// What it was compared with.
        Threshold = "threshold",
        /// How it was compared.
        Operator = "operator",
        /// The group's labels, `service=pay`; nothing for a rule that does not group.
        Group = "group",
        /// The alert's title.
        Title = "title",
        /// When the alert was raised.
        TriggeredAt = "triggered_at",
    }
}

/// A text with places for [`Placeholder`]s, `{like_this}`.
///
/// Only a name in single braces is a place: `{{name}}`, `{0}` and `{ }` stand for themselves. What is put
/// in is never looked at again, so that an event can't make a message say what its rule does not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Place(Placeholder),
}

/// The longest template, in characters.
pub(super) const MAX_CHARS: usize = 4_000;
/// The longest message that comes out, in bytes.
const MAX_OUTPUT_BYTES: usize = 4 * 1024;

impl Template {
    /// Reads a template that stands at `pointer` in a body.
    ///
    /// # Errors
    /// [`Reason::UnknownPlaceholder`], naming what may be named.
    pub fn parse(pointer: &str, source: &str) -> Result<Self, FieldError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            let braces = from.len() - from.trim_start_matches('{').len();
            let name = from[braces..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
            match name {
                Some(name) if braces == 1 && !from[name.len() + 1..].starts_with("}}") => {
                    let place = name.parse().map_err(|_| unknown(pointer))?;
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                    parts.push(Part::Place(place));
                    rest = &from[name.len() + 2..];
                }
                _ => {
                    literal.push_str(&from[..braces]);
                    rest = &from[braces..];
                }
            }
        }
        literal.push_str(rest);
        parts.push(Part::Literal(literal));
        Ok(Self { source: source.to_owned(), parts })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The text with these values in their places; at most 4 KiB, cut between characters. A place without a
    /// value stays empty.
    pub fn fill(&self, values: &BTreeMap<Placeholder, String>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Place(place) => text.push_str(values.get(place).map_or("", String::as_str)),
            }
            if text.len() > MAX_OUTPUT_BYTES {
                text.truncate(text.floor_char_boundary(MAX_OUTPUT_BYTES));
                break;
            }
        }
        text
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn unknown(pointer: &str) -> FieldError {
    let known: Vec<&str> = Placeholder::ALL.iter().map(|place| place.as_str()).collect();
    let detail = format!("names a placeholder that does not exist; there are {}", known.join(", "));
    FieldError::with_detail(pointer, Reason::UnknownPlaceholder, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(source: &str) -> String {
        let template = Template::parse("/t", source).expect("a valid template");
        let values = [
            (Placeholder::RuleName, "{severity} {{secret}} {0:>999999999}".to_owned()),
            (Placeholder::Value, "7".to_owned()),
        ];
        template.fill(&values.into())
    }

    #[test]
    fn values_are_put_in_literally_and_other_braces_stand_for_themselves() {
        for (source, expected) in [
            ("v={value}!", "v=7!"),
            ("{value}{value}", "77"),
            ("{rule_name}", "{severity} {{secret}} {0:>999999999}"),
            ("{group}", ""),
            ("{{secret}}", "{{secret}}"),
            ("{{value}}", "{{value}}"),
            ("{0:>999999999}", "{0:>999999999}"),
            ("{\"text\": \"{value}\"}", "{\"text\": \"7\"}"),
            ("{", "{"),
            ("{value", "{value"),
            ("}{value}{", "}7{"),
            ("{ value }", "{ value }"),
            ("{é}", "{é}"),
            ("", ""),
        ] {
            assert_eq!(filled(source), expected, "{source}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_where_it_stands() {
        let refused =
            Template::parse("/notification_template", "{value} {secret}").map_err(|e| (e.pointer, e.code));
        assert_eq!(refused, Err(("/notification_template".to_owned(), Reason::UnknownPlaceholder)));
    }

    #[test]
    fn what_comes_out_is_never_longer_than_4_kib() {
        let template = Template::parse("", &"{rule_name}".repeat(300)).expect("a valid template");
        let values = [(Placeholder::RuleName, "ü".repeat(999))].into();
        assert_eq!(template.fill(&values).len(), 4_096);
    }
}
