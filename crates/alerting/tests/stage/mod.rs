//! A rule whose windows a test makes up.

use std::collections::BTreeMap;

use pulsestream_alerting::{evaluate, question, window_before};
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Action, Alert, AlertStatus, Figures, GroupObservation, Labels, Observed, RuleState, Transition,
    },
    tenant::TenantId,
};
use pulsestream_testing::{
    builders::{log_channel, rule},
    clock::SequentialIds,
};
use serde_json::Value;
use uuid::Uuid;

pub(crate) const TENANT: TenantId = TenantId(Uuid::from_u128(1));

pub(crate) const fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000).plus_secs(secs)
}

/// The group with this service; the group of everything when it is empty.
pub(crate) fn group(service: &str) -> Labels {
    let pair = (!service.is_empty()).then(|| ("service".to_owned(), service.to_owned()));
    Labels(pair.into_iter().collect())
}

pub(crate) struct Stage {
    pub(crate) state: RuleState,
    /// What the last tick changed.
    pub(crate) last: Transition,
    /// How long after its tick an evaluation is done.
    pub(crate) late_by: i64,
    ids: SequentialIds,
}

impl Stage {
    pub(crate) fn new(members: Value) -> Self {
        let state = RuleState {
            rule: rule(TENANT, 1, members),
            open: Vec::new(),
            triggered_last_hour: Vec::new(),
            last_triggered: BTreeMap::new(),
            channels: vec![log_channel(TENANT, 1)],
            silences: Vec::new(),
        };
        Self { state, last: Transition::default(), late_by: 0, ids: SequentialIds::default() }
    }

    /// Evaluates at a second at which each service has so many events, all of them errors. A service with
    /// none was seen before.
    pub(crate) fn tick(&mut self, secs: i64, counts: &[(&str, u64)]) -> String {
        let figures = |count| Figures { count, measured: Some(count as f64), latest: None };
        let observation = |(service, count): &(&str, u64)| GroupObservation {
            labels: group(service),
            window: figures(*count),
            earlier: figures(1),
        };
        let groups = counts.iter().map(observation).collect();
        self.look(secs, &Observed { groups, is_truncated: false })
    }

    /// Evaluates at a second at which this is seen, and says what comes of it.
    pub(crate) fn look(&mut self, secs: i64, observed: &Observed) -> String {
        let window =
            question(&self.state.rule.definition, window_before(&self.state.rule.definition, at(secs), 0))
                .window;
        let now = at(secs + self.late_by);
        let transition = evaluate(&self.state, observed, window, at(secs), now, &self.ids);
        let before = std::mem::take(&mut self.state.open);
        self.state.triggered_last_hour.extend(transition.triggered.iter().map(|_| at(secs)));
        let is_changed = |alert: &Alert| transition.changed.iter().any(|changed| changed.id == alert.id);
        let unchanged =
            before.iter().filter(|alert| !is_changed(alert) && !transition.discarded.contains(&alert.id));
        let mut all: Vec<Alert> =
            unchanged.chain(&transition.changed).chain(&transition.opened).cloned().collect();
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        for alert in all.iter().filter(|alert| transition.triggered.contains(&alert.id)) {
            self.state.last_triggered.insert(alert.fingerprint, at(secs));
        }
        let mut words: Vec<String> = all.iter().map(|alert| describe(alert, &before, &transition)).collect();
        let reasons = transition.deliveries.iter().map(|delivery| delivery.reason.to_string());
        // That what is over is said to be over goes without saying.
        words.extend(reasons.filter(|reason| reason != "resolved"));
        self.state.open = all.into_iter().filter(|alert| alert.status != AlertStatus::Resolved).collect();
        self.last = transition;
        words.dedup();
        words.join(" ")
    }

    /// Does to the only alert what a person would.
    pub(crate) fn act(&mut self, action: Action, secs: i64) {
        let alert = self.state.open.first_mut().expect("there is an alert");
        alert.act(action, "ann", None, at(secs)).expect("the action fits");
    }
}

/// `a:active silenced`; an end that is not told shows by how it is called.
fn describe(alert: &Alert, before: &[Alert], transition: &Transition) -> String {
    let was_suppressed =
        before.iter().any(|known| known.id == alert.id && known.status == AlertStatus::Suppressed);
    let is_told =
        transition.deliveries.iter().any(|one| one.facts.alerts.iter().any(|said| said.alert_id == alert.id));
    let prefix = alert.labels.0.get("service").map(|service| format!("{service}:")).unwrap_or_default();
    let how = match alert.status {
        AlertStatus::Resolved if was_suppressed && !is_told => "suppressed-",
        AlertStatus::Resolved if !is_told => "quietly-",
        _ => "",
    };
    let clearing = if alert.clear_since.is_some() && alert.status.is_raised() { " clearing" } else { "" };
    let silenced = if alert.is_silenced && alert.status.is_raised() { " silenced" } else { "" };
    format!("{prefix}{how}{}{clearing}{silenced}", alert.status)
}
