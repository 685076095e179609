//! What a client says of a rule.

use serde_json::{Value, json, value::RawValue};

use super::{
    AlertSeverity, ChannelKind, ChannelRef, Comparison, Condition, GroupField, MAX_GROUP_FIELDS,
    NoDataPolicy, Operator, RuleId, SavedSearch, Template, TimeWindow, object::Object, template,
};
use crate::{
    Timestamp,
    event::{EventType, FieldError, Reason},
    search::Filter,
    tenant::TenantId,
};

/// A rule as it is kept.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Never changes.
    pub id: RuleId,
    /// Counts the changes of the rule *and of its alerts*, whoever made them. An evaluation commits only when
    /// it is still what it was when the evaluation began.
    pub revision: i64,
    /// What it does.
    pub definition: Definition,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its definition was last changed.
    pub updated_at: Timestamp,
    /// When it last raised an alert.
    pub last_triggered_at: Option<Timestamp>,
    /// How many alerts it has raised.
    pub total_triggers: i64,
}

/// Everything a client may say of a rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Definition {
    /// 1–255 characters in one line.
    pub name: String,
    /// At most 2,000 characters.
    pub description: Option<String>,
    /// Only events of this kind.
    pub event_type: Option<EventType>,
    /// Only events that this search finds.
    pub filter: Option<SavedSearch>,
    /// Told apart by these; at most [`MAX_GROUP_FIELDS`].
    pub group_by: Vec<GroupField>,
    /// When it fires.
    pub condition: Condition,
    /// Finite. Given where the condition [compares](Condition::compares).
    pub threshold_value: Option<f64>,
    /// `>` where the condition compares and nothing is given.
    pub threshold_operator: Option<Operator>,
    /// How bad it is.
    pub severity: AlertSeverity,
    /// How much time it looks at.
    pub time_window: TimeWindow,
    /// Seconds from one evaluation to the next; 1 to 86,400, default 60.
    pub evaluation_interval: u32,
    /// How long the condition has to hold before it is an alert, in seconds; 0 to a day.
    pub for_secs: u64,
    /// How long the condition must not hold before the alert is over, in seconds; 0 to a day.
    pub keep_firing_for_secs: u64,
    /// How often a notice is repeated while nobody has taken the alert on, in seconds; 60 s to 7 days.
    /// Without it: never.
    pub repeat_interval_secs: Option<u64>,
    /// What happens when there is nothing to measure.
    pub no_data: NoDataPolicy,
    /// For this long after raising an alert no other is raised for the same group; 0 to a week, default 5.
    pub cooldown_minutes: u32,
    /// At most this many alerts in any hour, over all groups; 1 to 1,000, default 10.
    pub max_alerts_per_hour: u32,
    /// Who is told; at most 20.
    pub notification_channels: Vec<ChannelRef>,
    /// What they are told, instead of the message that is made up.
    pub notification_template: Option<Template>,
    /// Whether it is evaluated.
    pub is_active: bool,
}

const DAY: u64 = 86_400;

/// What a client may also write inside of the condition. It is kept beside it.
const OF_THE_RULE: [&str; 5] = ["filter", "group_by", "for", "keep_firing_for", "no_data"];

impl Definition {
    /// Reads a rule from a body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &RawValue) -> Result<Self, Vec<FieldError>> {
        let mut object = Object::open(body)?;
        let moved = object.hoist("condition", &OF_THE_RULE);
        read(object, &moved)
    }

    /// This definition with the members of a body in place of its own; `null` gives the default back.
    ///
    /// # Errors
    /// Everything that is wrong with the result, and `unknown_field` for members a rule does not have.
    pub fn updated(&self, body: &RawValue) -> Result<Self, Vec<FieldError>> {
        let mut object = Object::open(body)?;
        let moved = object.hoist("condition", &OF_THE_RULE);
        if let Value::Object(members) = self.to_json() {
            object.fill_in(members);
        }
        read(object, &moved)
    }

    /// As a client would write it, in full; [`Definition::parse`] reads it back. What a store keeps.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "description": self.description,
            "event_type": self.event_type,
            "filter": self.filter.as_ref().map(SavedSearch::to_json),
            "group_by": self.group_by.iter().map(GroupField::name).collect::<Vec<_>>(),
            "condition": self.condition.to_json(),
            "threshold_value": self.threshold_value,
            "threshold_operator": self.threshold_operator,
            "severity": self.severity,
            "time_window": self.time_window,
            "evaluation_interval": self.evaluation_interval,
            "for": self.for_secs,
            "keep_firing_for": self.keep_firing_for_secs,
            "repeat_interval": self.repeat_interval_secs,
            "no_data": self.no_data,
            "cooldown_minutes": self.cooldown_minutes,
            "max_alerts_per_hour": self.max_alerts_per_hour,
            "notification_channels": self.notification_channels.iter().map(ChannelRef::as_str).collect::<Vec<_>>(),
            "notification_template": self.notification_template.as_ref().map(Template::as_str),
            "is_active": self.is_active,
        })
    }

    /// Which events it looks at.
    pub fn effective_filter(&self) -> Filter {
        let mut filter = self.filter.as_ref().map(|search| search.filter().clone()).unwrap_or_default();
        filter.event_type = self.event_type.or(filter.event_type);
        filter
    }

    /// What a value is compared with, where the condition [compares](Condition::compares).
    pub fn comparison(&self) -> Comparison {
        Comparison {
            operator: self.threshold_operator.unwrap_or(Operator::Greater),
            threshold: self.threshold_value.unwrap_or_default(),
        }
    }
}

/// Reads a whole rule. Members that were `moved` out of the condition are reported where they stood.
fn read(mut object: Object, moved: &[&str]) -> Result<Definition, Vec<FieldError>> {
    object.require(&["name", "condition", "severity"]);
    let name = object.line("name", 255);
    let description = object.text("description", 2_000);
    let event_type = object.name("event_type");
    let severity = object.name("severity");
    let time_window = object.name("time_window").unwrap_or(TimeWindow::FiveMinutes);
    let condition = object.object("condition");
    let filter = filter(&mut object, event_type);
    let group_by = group_by(&mut object);
    let condition = condition.and_then(|condition| match Condition::parse(condition, time_window) {
        Ok(condition) => Some(condition),
        Err(errors) => {
            object.absorb(errors);
            None
        }
    });
    if condition.as_ref().is_some_and(Condition::compares) {
        object.require(&["threshold_value"]);
    }
    let threshold_value = object.number("threshold_value", -1e15..=1e15);
    let threshold_operator = object.name("threshold_operator");
    let evaluation_interval = object.whole_number("evaluation_interval", 1..=DAY).unwrap_or(60);
    let for_secs = object.duration("for", 0..=DAY).unwrap_or(0);
    let keep_firing_for_secs = object.duration("keep_firing_for", 0..=DAY).unwrap_or(0);
    let repeat_interval_secs = object.duration("repeat_interval", 60..=7 * DAY);
    let no_data = object.name("no_data").unwrap_or(NoDataPolicy::Ok);
    let cooldown_minutes = object.whole_number("cooldown_minutes", 0..=10_080).unwrap_or(5);
    let max_alerts_per_hour = object.whole_number("max_alerts_per_hour", 1..=1_000).unwrap_or(10);
    let notification_channels = channels(&mut object);
    let notification_template =
        object.text("notification_template", template::MAX_CHARS).and_then(|source| {
            let parsed = Template::parse(&object.pointer_to("notification_template"), &source);
            parsed.map_err(|error| object.absorb(vec![error])).ok()
        });
    let is_active = object.boolean("is_active").unwrap_or(true);
    let mut errors = object.close();
    for error in &mut errors {
        let member = error.pointer.split('/').nth(1).unwrap_or_default();
        if moved.contains(&member) {
            error.pointer.insert_str(0, "/condition");
        }
    }
    let (Some(name), Some(severity), Some(condition), true) = (name, severity, condition, errors.is_empty())
    else {
        return Err(errors);
    };
    let small = |number: u64| u32::try_from(number).expect("the ranges above end far below 2^32");
    Ok(Definition {
        name,
        description,
        event_type,
        filter,
        group_by,
        condition,
        threshold_value,
        threshold_operator,
        severity,
        time_window,
        evaluation_interval: small(evaluation_interval),
        for_secs,
        keep_firing_for_secs,
        repeat_interval_secs,
        no_data,
        cooldown_minutes: small(cooldown_minutes),
        max_alerts_per_hour: small(max_alerts_per_hour),
        notification_channels,
        notification_template,
        is_active,
    })
}

fn filter(object: &mut Object, event_type: Option<EventType>) -> Option<SavedSearch> {
    let pointer = object.pointer_to("filter");
    match SavedSearch::parse(&pointer, object.value("filter")?) {
        Ok(search) => {
            let other = search.filter().event_type.is_some_and(|of_filter| Some(of_filter) != event_type);
            if other && event_type.is_some() {
                let detail = "asks for another event_type than the rule";
                object.absorb(vec![FieldError::with_detail(
                    format!("{pointer}/event_type"),
                    Reason::BadParameter,
                    detail,
                )]);
            }
            Some(search)
        }
        Err(errors) => {
            object.absorb(errors);
            None
        }
    }
}

fn group_by(object: &mut Object) -> Vec<GroupField> {
    let mut fields: Vec<GroupField> = Vec::new();
    for (pointer, item) in object.items("group_by", MAX_GROUP_FIELDS).unwrap_or_default() {
        let reason = match item.as_str().map(str::parse::<GroupField>) {
            Some(Ok(field)) if fields.contains(&field) => Reason::DuplicateKey,
            Some(Ok(field)) => {
                fields.push(field);
                continue;
            }
            Some(Err(_)) => Reason::UnknownValue,
            None => Reason::WrongType,
        };
        object.absorb(vec![FieldError::new(pointer, reason)]);
    }
    fields
}

/// A list of ids, names and kinds. Older clients send an object instead, with a name or kind for each
/// member; what they put inside is not read: destinations are configured as channels. Without any, whoever
/// has an e-mail channel is told by e-mail.
fn channels(object: &mut Object) -> Vec<ChannelRef> {
    const MOST: usize = 20;
    if !object.has("notification_channels") {
        object.value("notification_channels");
        return vec![ChannelRef::Kind(ChannelKind::Email)];
    }
    object.keys_as_list("notification_channels");
    let mut refs: Vec<ChannelRef> = Vec::new();
    for (pointer, item) in object.items("notification_channels", MOST).unwrap_or_default() {
        match item.as_str().map(ChannelRef::parse) {
            Some(Ok(found)) if refs.contains(&found) => {}
            Some(Ok(found)) => refs.push(found),
            Some(Err(reason)) => object.absorb(vec![FieldError::new(pointer, reason)]),
            None => object.absorb(vec![FieldError::new(pointer, Reason::WrongType)]),
        }
    }
    refs
}
