//! Times in which nobody is told.

use serde_json::{Value, json, value::RawValue};

use super::{Alert, SilenceId, object::Object};
use crate::{
    Timestamp,
    event::{FieldError, Reason},
    search::Pattern,
    tenant::TenantId,
};

/// Keeps back the notices of the alerts that it matches, from its start to its end. Alerts are raised and
/// resolved all the same.
#[derive(Clone, PartialEq, Debug)]
pub struct Silence {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: SilenceId,
    /// All have to match; 1–10.
    pub matchers: Vec<Matcher>,
    /// From this instant on.
    pub starts_at: Timestamp,
    /// Up to, but not including, this instant. Ending a silence early sets it.
    pub ends_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// One thing that has to be true of an alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matcher {
    /// `rule_id`, `rule_name`, `severity`, or a label, such as `service` or `tags.region`.
    pub name: String,
    /// The whole value, or one with `*` for anything. An alert without the label has the empty value.
    pub value: String,
    /// Whether the value has to look like this, or must not.
    pub is_equal: bool,
}

/// What a client says of a silence.
#[derive(Clone, PartialEq, Debug)]
pub struct SilenceDraft {
    /// See [`Silence::matchers`].
    pub matchers: Vec<Matcher>,
    /// See [`Silence::starts_at`]; the moment it is made by default.
    pub starts_at: Option<Timestamp>,
    /// See [`Silence::ends_at`]; after the start, by at most a year.
    pub ends_at: Timestamp,
    /// See [`Silence::comment`]; at most 1,000 characters.
    pub comment: Option<String>,
}

impl Silence {
    /// Whether it keeps back notices of this alert at this instant.
    pub fn mutes(&self, alert: &Alert, at: Timestamp) -> bool {
        self.starts_at <= at
            && at < self.ends_at
            && self.matchers.iter().all(|matcher| matcher.matches(alert))
    }
}

impl Matcher {
    /// Whether it is true of this alert.
    pub fn matches(&self, alert: &Alert) -> bool {
        let value = match self.name.as_str() {
            "rule_id" => alert.rule_id.to_string(),
            "rule_name" => alert.rule_name.clone(),
            "severity" => alert.severity.to_string(),
            label => alert.labels.0.get(label).cloned().unwrap_or_default(),
        };
        Pattern::new(self.value.as_str()).matches(&value) == self.is_equal
    }

    /// As a client would write it.
    pub fn to_json(&self) -> Value {
        json!({"name": self.name, "value": self.value, "is_equal": self.is_equal})
    }
}

impl SilenceDraft {
    /// Reads a silence from a body: `{matchers: [{name, value, is_equal?}], starts_at?, ends_at, comment?}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &RawValue, now: Timestamp) -> Result<Self, Vec<FieldError>> {
        const MAX_SECS: i64 = 366 * 86_400;
        let mut object = Object::open(body)?;
        object.require(&["matchers", "ends_at"]);
        let matchers = read_matchers(&mut object);
        let starts_at = object.timestamp("starts_at");
        let ends_at = object.timestamp("ends_at");
        let comment = object.text("comment", 1_000);
        let start = starts_at.unwrap_or(now);
        if ends_at.is_some_and(|end| end <= start.max(now) || end > start.plus_secs(MAX_SECS)) {
            let detail = "must be in the future, after starts_at, and by at most 366 days";
            object.refuse_because("ends_at", Reason::OutOfRange, detail);
        }
        let errors = object.close();
        match ends_at {
            Some(ends_at) if errors.is_empty() => Ok(Self { matchers, starts_at, ends_at, comment }),
            _ => Err(errors),
        }
    }

    /// The matchers as they are stored: the JSON text of a list, which [`SilenceDraft::stored_matchers`] reads.
    pub fn matchers_json(matchers: &[Matcher]) -> Value {
        matchers.iter().map(Matcher::to_json).collect()
    }

    /// Reads stored matchers.
    ///
    /// # Errors
    /// What is wrong with them: somebody else wrote into the table.
    pub fn stored_matchers(list: Value) -> Result<Vec<Matcher>, Vec<FieldError>> {
        let mut object = Object::at("", [("matchers".to_owned(), list)].into_iter().collect());
        let matchers = read_matchers(&mut object);
        let errors = object.close();
        if errors.is_empty() { Ok(matchers) } else { Err(errors) }
    }
}

fn read_matchers(object: &mut Object) -> Vec<Matcher> {
    let mut matchers = Vec::new();
    for (pointer, item) in object.items("matchers", 10).unwrap_or_default() {
        let Value::Object(members) = item else {
            object.absorb(vec![FieldError::new(pointer, Reason::NotAnObject)]);
            continue;
        };
        let mut matcher = Object::at(pointer, members);
        matcher.require(&["name", "value"]);
        let name = matcher.line("name", 110);
        let value = matcher.possibly_empty("value", 1_024);
        let is_equal = matcher.boolean("is_equal").unwrap_or(true);
        if let (Some(name), Some(value)) = (name, value) {
            matchers.push(Matcher { name, value, is_equal });
        }
        object.absorb(matcher.close());
    }
    if matchers.is_empty() && object.is_fine() {
        object.refuse("matchers", Reason::Empty);
    }
    matchers
}
