//! What a client says besides rules, silences and channels.

use serde_json::value::{RawValue, to_raw_value};

use super::{Action, ChannelId, Definition, RuleId, object::Object};
use crate::{
    Timestamp,
    event::{FieldError, Reason},
};

/// What a client says when it acts on an alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActionDraft {
    /// Who it says it is; 1–255 characters in one line.
    pub by: Option<String>,
    /// Why; at most 2,000 characters.
    pub note: Option<String>,
}

impl ActionDraft {
    /// Reads an action from a body: `{resolved_by?, note?}`, with `acknowledged_by`, `suppressed_by` or
    /// `reactivated_by` for the others.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &RawValue, action: Action) -> Result<Self, Vec<FieldError>> {
        let mut object = Object::open(body)?;
        let by = match action {
            Action::Acknowledge => "acknowledged_by",
            Action::Suppress => "suppressed_by",
            Action::Reactivate => "reactivated_by",
            Action::Resolve => "resolved_by",
        };
        let draft = Self { by: object.line(by, 255), note: object.text("note", 2_000) };
        let errors = object.close();
        if errors.is_empty() { Ok(draft) } else { Err(errors) }
    }
}

/// Which rule a client wants to see replayed, and over what time.
#[derive(Clone, PartialEq, Debug)]
pub struct BacktestDraft {
    /// The rule.
    pub rule: BacktestRule,
    /// From this instant on.
    pub start_time: Timestamp,
    /// Up to, but not including, this one; after the start, by at most 366 days.
    pub end_time: Timestamp,
}

/// A rule to replay.
#[derive(Clone, PartialEq, Debug)]
pub enum BacktestRule {
    /// One that is kept.
    Kept(RuleId),
    /// One that may never be.
    Given(Box<Definition>),
}

impl BacktestDraft {
    /// Reads what to replay from a body: `{rule | rule_id, start_time, end_time}`, where `rule` is what makes
    /// a rule.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &RawValue) -> Result<Self, Vec<FieldError>> {
        const MAX_SECS: i64 = 366 * 86_400;
        let mut object = Object::open(body)?;
        object.require(&["start_time", "end_time"]);
        let kept = object.name::<RuleId>("rule_id").map(BacktestRule::Kept);
        let given = given(&mut object);
        let start_time = object.timestamp("start_time");
        let end_time = object.timestamp("end_time");
        if let (Some(start), Some(end)) = (start_time, end_time)
            && (end <= start || end > start.plus_secs(MAX_SECS))
        {
            let detail = "must be after start_time, by at most 366 days";
            object.refuse_because("end_time", Reason::OutOfRange, detail);
        }
        let rule = match (kept, given) {
            (Some(_), Some(_)) => {
                object.refuse_because(
                    "rule_id",
                    Reason::BadParameter,
                    "must not be given together with rule",
                );
                None
            }
            (None, None) => {
                if object.is_fine() {
                    object.refuse_because("rule", Reason::Required, "is required, unless rule_id is given");
                }
                None
            }
            (kept, given) => kept.or(given),
        };
        let errors = object.close();
        match (rule, start_time, end_time) {
            (Some(rule), Some(start_time), Some(end_time)) if errors.is_empty() => {
                Ok(Self { rule, start_time, end_time })
            }
            _ => Err(errors),
        }
    }
}

fn given(object: &mut Object) -> Option<BacktestRule> {
    let pointer = object.pointer_to("rule");
    let rule = to_raw_value(&object.value("rule")?).expect("a JSON value serializes");
    match Definition::parse(&rule) {
        Ok(definition) => Some(BacktestRule::Given(Box::new(definition))),
        Err(mut errors) => {
            errors.iter_mut().for_each(|error| error.pointer.insert_str(0, &pointer));
            object.absorb(errors);
            None
        }
    }
}

/// Whose failed deliveries a client wants to be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryDraft {
    /// To this channel.
    pub channel_id: ChannelId,
    /// Decided at this instant or later.
    pub since: Timestamp,
}

impl RecoveryDraft {
    /// Reads it from a body: `{channel_id, since}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &RawValue) -> Result<Self, Vec<FieldError>> {
        let mut object = Object::open(body)?;
        object.require(&["channel_id", "since"]);
        let (channel_id, since) = (object.name("channel_id"), object.timestamp("since"));
        let errors = object.close();
        match (channel_id, since) {
            (Some(channel_id), Some(since)) if errors.is_empty() => Ok(Self { channel_id, since }),
            _ => Err(errors),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        to_raw_value(value).expect("JSON")
    }

    fn pointers<T>(parsed: Result<T, Vec<FieldError>>) -> Vec<(String, Reason)> {
        let errors = parsed.err().expect("it has to be refused");
        errors.into_iter().map(|error| (error.pointer, error.code)).collect()
    }

    #[test]
    fn an_action_is_strict_and_needs_nothing() {
        let nothing = ActionDraft { by: None, note: None };
        assert_eq!(ActionDraft::parse(&raw(&json!({})), Action::Resolve), Ok(nothing));
        let said = json!({"resolved_by": "ada", "note": "restarted"});
        let draft = ActionDraft::parse(&raw(&said), Action::Resolve).expect("it is good");
        assert_eq!((draft.by.as_deref(), draft.note.as_deref()), (Some("ada"), Some("restarted")));
        let unknown = ("/resolved_by".to_owned(), Reason::UnknownField);
        assert_eq!(pointers(ActionDraft::parse(&raw(&said), Action::Suppress)), [unknown]);
    }

    #[test]
    fn a_backtest_has_one_rule_and_errors_point_into_it() {
        let rule = json!({"name": "a", "severity": "low", "condition": {"type": "count", "min_count": 1}});
        let body = |rule: Value, rule_id: Value, end: &str| {
            raw(
                &json!({"rule": rule, "rule_id": rule_id, "start_time": "2026-01-01T00:00:00Z", "end_time": end}),
            )
        };
        let (end, id) = ("2026-01-02T00:00:00Z", json!(Uuid::nil()));
        let given = BacktestDraft::parse(&body(rule.clone(), Value::Null, end)).expect("it is good");
        assert!(matches!(given.rule, BacktestRule::Given(definition) if definition.name == "a"));
        let kept = BacktestDraft::parse(&body(Value::Null, id.clone(), end)).expect("it is good");
        assert_eq!(kept.rule, BacktestRule::Kept(RuleId(Uuid::nil())));

        for (body, pointer, reason) in [
            (body(rule.clone(), id.clone(), end), "/rule_id", Reason::BadParameter),
            (body(Value::Null, Value::Null, end), "/rule", Reason::Required),
            (body(rule, Value::Null, "2026-01-01T00:00:00Z"), "/end_time", Reason::OutOfRange),
            (body(Value::Null, id, "2028-01-01T00:00:00Z"), "/end_time", Reason::OutOfRange),
            (
                body(
                    json!({"name": "a", "severity": "low", "condition": {"type": "match"}, "x": 1}),
                    Value::Null,
                    end,
                ),
                "/rule/x",
                Reason::UnknownField,
            ),
        ] {
            assert_eq!(pointers(BacktestDraft::parse(&body)), [(pointer.to_owned(), reason)]);
        }
    }

    #[test]
    fn a_recovery_needs_both() {
        let required = |name: &str| (format!("/{name}"), Reason::Required);
        let missing = pointers(RecoveryDraft::parse(&raw(&json!({}))));
        assert_eq!(missing, [required("channel_id"), required("since")]);
    }
}
