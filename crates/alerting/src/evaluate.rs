//! What a look at a window means for a rule's alerts.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertId, AlertStatus, Definition, Figures, Fingerprint, GroupObservation, HeldBack, Labels,
        NoDataPolicy, Observed, RuleState, Span, TimelineEntry, TimelineKind, Transition,
    },
    ports::IdSource,
};

use crate::{
    judge::{Judgement, Verdict, judge},
    notices,
    words::Words,
};

/// The name under which alerts resolve that nobody resolved.
const SYSTEM: &str = "system";

/// Decides what changes because a window looked like this.
///
/// `at` is the instant the evaluation stands for, `now` when it is done. An alert that was changed after `at`
/// is left alone: what was found out or done later counts more.
pub fn evaluate(
    state: &RuleState,
    observed: &Observed,
    window: Span,
    at: Timestamp,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Transition {
    let an_hour_ago = at.plus_secs(-3_600);
    let raised = state.triggered_last_hour.iter().filter(|triggered| **triggered > an_hour_ago).count();
    let mut evaluation = Evaluation {
        state,
        window,
        at,
        now,
        ids,
        room: (state.rule.definition.max_alerts_per_hour as usize).saturating_sub(raised),
        transition: Transition::default(),
    };
    let mut alerts = evaluation.alerts(observed);
    for alert in &mut alerts {
        alert.worsen(state);
    }
    evaluation.finish(alerts)
}

struct Evaluation<'a> {
    state: &'a RuleState,
    window: Span,
    at: Timestamp,
    now: Timestamp,
    ids: &'a dyn IdSource,
    /// How many alerts may still be raised.
    room: usize,
    transition: Transition,
}

/// An alert on its way through an evaluation.
pub(crate) struct Moving {
    pub(crate) alert: Alert,
    /// As it was before; none when it is new.
    pub(crate) before: Option<Alert>,
    pub(crate) timeline: Vec<(TimelineKind, Option<String>)>,
}

impl Moving {
    pub(crate) fn note(&mut self, kind: TimelineKind) {
        self.timeline.push((kind, None));
    }

    /// Follows a rule whose severity was changed. A worse one counts as news, also to who has taken it on.
    fn worsen(&mut self, state: &RuleState) {
        let severity = state.rule.definition.severity;
        if !self.alert.status.is_raised() || self.alert.severity == severity {
            return;
        }
        let is_worse = severity > self.alert.severity;
        self.alert.severity = severity;
        if is_worse {
            if self.alert.status == AlertStatus::Acknowledged {
                self.alert.status = AlertStatus::Active;
                (self.alert.acknowledged_at, self.alert.acknowledged_by) = (None, None);
            }
            self.note(TimelineKind::Worsened);
        }
    }
}

impl Evaluation<'_> {
    fn definition(&self) -> &Definition {
        &self.state.rule.definition
    }

    /// Each alert there is after the conditions were asked, changed or not, but for those left alone. By
    /// labels: where the hourly limit has room for some groups only, it is for the first.
    fn alerts(&mut self, observed: &Observed) -> Vec<Moving> {
        let mut groups: BTreeMap<&Labels, (Option<&GroupObservation>, Option<&Alert>)> = BTreeMap::new();
        for group in &observed.groups {
            groups.entry(&group.labels).or_default().0 = Some(group);
        }
        for alert in &self.state.open {
            groups.entry(&alert.labels).or_default().1 = Some(alert);
        }
        let asked = groups.into_iter().filter_map(|(labels, (group, alert))| match (group, alert) {
            (Some(group), alert) => self.group(alert, group, judge(self.definition(), group)),
            (None, Some(alert)) => self.unseen(alert, labels, observed.is_truncated),
            (None, None) => None,
        });
        asked.collect()
    }

    /// A group with an alert, of which nothing was seen. When not all groups were looked at, nothing is known
    /// of it.
    fn unseen(&mut self, alert: &Alert, labels: &Labels, is_truncated: bool) -> Option<Moving> {
        let none = Figures::default();
        let group = GroupObservation { labels: labels.clone(), window: none, earlier: none };
        if !self.is_grouped_as_now(labels) {
            self.group(Some(alert), &group, Judgement { verdict: Verdict::Clear, value: None })
        } else if is_truncated {
            self.unchanged(alert)
        } else {
            self.group(Some(alert), &group, judge(self.definition(), &group))
        }
    }

    /// Whether labels are such as the rule gives today; its `group_by` may have been changed.
    fn is_grouped_as_now(&self, labels: &Labels) -> bool {
        let names = self.definition().group_by.iter().map(|field| field.name());
        labels.0.len() == self.definition().group_by.len()
            && names.into_iter().all(|name| labels.0.contains_key(&name))
    }

    fn unchanged(&self, alert: &Alert) -> Option<Moving> {
        let moving = || Moving { alert: alert.clone(), before: Some(alert.clone()), timeline: Vec::new() };
        (alert.changed_at <= self.at).then(moving)
    }

    fn group(
        &mut self,
        open: Option<&Alert>,
        group: &GroupObservation,
        judgement: Judgement,
    ) -> Option<Moving> {
        let holds = match (judgement.verdict, self.definition().no_data) {
            (Verdict::Holds, _) | (Verdict::NoData, NoDataPolicy::Alert) => true,
            (Verdict::Clear, _) | (Verdict::NoData, NoDataPolicy::Ok) => false,
            (Verdict::NoData, NoDataPolicy::KeepLast) => return self.unchanged(open?),
        };
        match (open, holds) {
            (Some(alert), _) if alert.changed_at > self.at => None,
            (Some(alert), true) => self.go_on(alert, group, judgement),
            (Some(alert), false) => self.clear(alert),
            (None, true) => self.begin(group, judgement),
            (None, false) => None,
        }
    }

    /// The condition holds where it did not before.
    fn begin(&mut self, group: &GroupObservation, judgement: Judgement) -> Option<Moving> {
        let fingerprint = group.labels.fingerprint(self.state.rule.id);
        let is_pending = self.definition().for_secs > 0;
        if !is_pending && !self.may_raise(fingerprint, &group.labels) {
            return None;
        }
        let rule = &self.state.rule;
        let words = Words::new(&rule.definition, group, judgement, self.window, self.at);
        let alert = Alert {
            tenant_id: rule.tenant_id,
            id: AlertId(self.ids.uuid_v7(self.now)),
            rule_id: rule.id,
            rule_name: rule.definition.name.clone(),
            fingerprint,
            labels: group.labels.clone(),
            title: words.title,
            message: words.message,
            severity: rule.definition.severity,
            status: AlertStatus::Pending,
            value: judgement.value,
            trigger_data: words.trigger_data,
            started_at: self.at,
            triggered_at: None,
            clear_since: None,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            resolution_note: None,
            is_silenced: false,
            notified: None,
            changed_at: self.at,
        };
        let mut moving = Moving { alert, before: None, timeline: Vec::new() };
        if is_pending {
            moving.note(TimelineKind::Pending);
        } else {
            self.raise(&mut moving);
        }
        Some(moving)
    }

    /// The condition still holds, or again.
    fn go_on(&mut self, alert: &Alert, group: &GroupObservation, judgement: Judgement) -> Option<Moving> {
        let mut moving = self.unchanged(alert)?;
        if alert.status != AlertStatus::Pending {
            if moving.alert.clear_since.take().is_some() {
                moving.note(TimelineKind::Returned);
            }
            return Some(moving);
        }
        let held_for = self.at.as_micros() - alert.started_at.as_micros();
        let is_long_enough = held_for >= micros(self.definition().for_secs);
        if is_long_enough && self.may_raise(alert.fingerprint, &alert.labels) {
            let words = Words::new(self.definition(), group, judgement, self.window, self.at);
            moving.alert.title = words.title;
            moving.alert.message = words.message;
            moving.alert.trigger_data = words.trigger_data;
            moving.alert.value = judgement.value;
            moving.alert.severity = self.definition().severity;
            self.raise(&mut moving);
        }
        Some(moving)
    }

    /// The condition does not hold.
    fn clear(&mut self, alert: &Alert) -> Option<Moving> {
        if alert.status == AlertStatus::Pending {
            self.transition.discarded.push(alert.id);
            return None;
        }
        let mut moving = self.unchanged(alert)?;
        let since = alert.clear_since.unwrap_or(self.at);
        if self.at.as_micros() - since.as_micros() >= micros(self.definition().keep_firing_for_secs) {
            moving.alert.status = AlertStatus::Resolved;
            moving.alert.resolved_at = Some(self.at);
            moving.alert.resolved_by = Some(SYSTEM.to_owned());
            moving.note(TimelineKind::Resolved);
        } else if alert.clear_since.is_none() {
            moving.alert.clear_since = Some(self.at);
            moving.note(TimelineKind::Clearing);
        }
        Some(moving)
    }

    fn raise(&mut self, moving: &mut Moving) {
        self.room -= 1;
        moving.alert.status = AlertStatus::Active;
        moving.alert.triggered_at = Some(self.at);
        moving.note(TimelineKind::Triggered);
        self.transition.triggered.push(moving.alert.id);
    }

    fn may_raise(&mut self, fingerprint: Fingerprint, labels: &Labels) -> bool {
        let cooldown_secs = i64::from(self.definition().cooldown_minutes) * 60;
        let last = self.state.last_triggered.get(&fingerprint);
        let why_not = if last.is_some_and(|last| self.at < last.plus_secs(cooldown_secs)) {
            HeldBack::Cooldown
        } else if self.room == 0 {
            HeldBack::HourlyLimit
        } else {
            return true;
        };
        self.transition.held_back.push((labels.clone(), why_not));
        false
    }

    fn finish(mut self, mut alerts: Vec<Moving>) -> Transition {
        self.transition.deliveries = notices::give(self.state, &mut alerts, self.now, self.ids);
        for Moving { mut alert, before, timeline } in alerts {
            let entries = timeline
                .into_iter()
                .map(|(kind, note)| TimelineEntry { note, ..TimelineEntry::of(&alert, self.at, kind) });
            self.transition.timeline.extend(entries);
            match before {
                None => self.transition.opened.push(alert),
                Some(before) if before != alert => {
                    alert.changed_at = self.at;
                    self.transition.changed.push(alert);
                }
                Some(_) => {}
            }
        }
        self.transition
    }
}

fn micros(secs: u64) -> i64 {
    i64::try_from(secs).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}
