//! Rules, alerts and their jobs in lists.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertId, AlertStatus, Channel, Committed, Delivery, Evaluation, Example, ExampleQuery,
        ObservationQuery, Observed, Portion, Rule, RuleId, RuleState, SeriesQuery, Silence, TimelineEntry,
    },
    event::NewEvent,
    job::{JobId, JobKind, Lease, LeaseCheck, LeasedJob, Settlement},
    ports::{AlertStore, StoreError},
    tenant::TenantId,
};

use super::{MemoryStore, lock, observe};

/// Keeps rules, alerts and the jobs of evaluations in lists, beside a [`MemoryStore`] that has the events.
#[derive(Default)]
pub struct MemoryAlerts {
    events: Arc<MemoryStore>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    rules: Vec<Rule>,
    channels: Vec<Channel>,
    silences: Vec<Silence>,
    alerts: Vec<Alert>,
    timeline: Vec<TimelineEntry>,
    deliveries: Vec<Delivery>,
    jobs: Vec<Job>,
}

struct Job {
    rule_id: RuleId,
    lease: Lease,
    lease_until: Option<Timestamp>,
    due_at: Timestamp,
    run_at: Timestamp,
    attempt: u32,
}

impl MemoryAlerts {
    /// No rules yet, over these events.
    #[must_use]
    pub fn over(events: Arc<MemoryStore>) -> Self {
        Self { events, ..Self::default() }
    }

    /// Where the events are.
    pub fn events(&self) -> &MemoryStore {
        &self.events
    }

    /// Keeps a rule in place of one with its id. A new one is evaluated from this tick on.
    pub fn put_rule(&self, rule: &Rule, first_tick: Timestamp) {
        let mut kept = self.kept();
        let is_new = kept.rule(rule.tenant_id, rule.id).is_none();
        kept.rules.retain(|known| known.id != rule.id);
        kept.rules.push(rule.clone());
        if is_new {
            kept.jobs.push(Job {
                rule_id: rule.id,
                lease: Lease { tenant_id: rule.tenant_id, id: JobId(rule.id.0), token: 0 },
                lease_until: None,
                due_at: first_tick,
                run_at: first_tick,
                attempt: 0,
            });
        }
    }

    /// Forgets a rule and what belongs to it.
    pub fn delete_rule(&self, tenant_id: TenantId, rule_id: RuleId) {
        let mut kept = self.kept();
        kept.rules.retain(|rule| (rule.tenant_id, rule.id) != (tenant_id, rule_id));
        kept.alerts.retain(|alert| alert.rule_id != rule_id);
        kept.jobs.retain(|job| job.rule_id != rule_id);
    }

    /// Keeps a channel in place of one with its id.
    pub fn put_channel(&self, channel: &Channel) {
        let mut kept = self.kept();
        kept.channels.retain(|known| known.id != channel.id);
        kept.channels.push(channel.clone());
    }

    /// Keeps a silence in place of one with its id.
    pub fn put_silence(&self, silence: &Silence) {
        let mut kept = self.kept();
        kept.silences.retain(|known| known.id != silence.id);
        kept.silences.push(silence.clone());
    }

    /// Changes an alert as a person would, together with its rule's revision.
    ///
    /// # Panics
    /// When there is no such alert.
    pub fn change_alert(&self, id: AlertId, change: impl FnOnce(&mut Alert)) {
        let mut kept = self.kept();
        let alert = kept.alerts.iter_mut().find(|alert| alert.id == id).expect("there is such an alert");
        change(alert);
        let rule_id = alert.rule_id;
        kept.rules.iter_mut().filter(|rule| rule.id == rule_id).for_each(|rule| rule.revision += 1);
    }

    /// A rule as it stands.
    pub fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<Rule> {
        self.kept().rule(tenant_id, rule_id).cloned()
    }

    /// Every alert of a rule, by id.
    pub fn alerts(&self, rule_id: RuleId) -> Vec<Alert> {
        let mut alerts = self.kept().alerts.clone();
        alerts.retain(|alert| alert.rule_id == rule_id);
        alerts.sort_by_key(|alert| alert.id);
        alerts
    }

    /// The history of an alert.
    pub fn timeline(&self, alert_id: AlertId) -> Vec<TimelineEntry> {
        let mut timeline = self.kept().timeline.clone();
        timeline.retain(|entry| entry.alert_id == alert_id);
        timeline
    }

    /// Every delivery, in the order they were made.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.kept().deliveries.clone()
    }

    /// Leases the evaluation of a rule, if its time has come and nobody has it.
    pub fn claim(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Option<LeasedJob> {
        let mut kept = self.kept();
        let is_meant = |job: &&mut Job| (job.lease.tenant_id, job.rule_id) == (tenant_id, rule_id);
        let job = kept.jobs.iter_mut().find(is_meant)?;
        let is_free = job.run_at <= now && job.lease_until.is_none_or(|until| until <= now);
        is_free.then(|| job.claim(lease_until))
    }

    /// Settles a job by itself.
    pub fn settle(&self, lease: Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck {
        self.kept().settle(lease, settlement, now)
    }

    /// When the evaluation of a rule is due next.
    pub fn due_at(&self, rule_id: RuleId) -> Option<Timestamp> {
        self.kept().jobs.iter().find(|job| job.rule_id == rule_id).map(|job| job.due_at)
    }

    fn events_of(&self, tenant_id: TenantId) -> Vec<NewEvent> {
        let mut events = self.events.events();
        events.retain(|event| event.tenant_id == tenant_id);
        events
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Job {
    fn claim(&mut self, lease_until: Timestamp) -> LeasedJob {
        self.lease.token += 1;
        self.lease_until = Some(lease_until);
        self.attempt += 1;
        LeasedJob {
            lease: self.lease,
            kind: JobKind::named("evaluate_rule"),
            payload: String::new(),
            unique_key: Some(self.rule_id.to_string()),
            due_at: self.due_at,
            attempt: self.attempt,
        }
    }
}

impl Kept {
    fn rule(&self, tenant_id: TenantId, rule_id: RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| (rule.tenant_id, rule.id) == (tenant_id, rule_id))
    }

    fn holds(&self, lease: Lease, now: Timestamp) -> Option<usize> {
        let holds = |job: &Job| job.lease == lease && job.lease_until.is_some_and(|until| now < until);
        self.jobs.iter().position(holds)
    }

    fn settle(&mut self, lease: Lease, settlement: &Settlement, now: Timestamp) -> LeaseCheck {
        let Some(place) = self.holds(lease, now) else { return LeaseCheck::Lost };
        let job = &mut self.jobs[place];
        job.lease_until = None;
        match settlement {
            Settlement::Complete | Settlement::Bury { .. } => _ = self.jobs.remove(place),
            Settlement::Again { due_at } => (job.due_at, job.run_at, job.attempt) = (*due_at, *due_at, 0),
            Settlement::Retry { run_at, .. } => job.run_at = *run_at,
            Settlement::Release => job.attempt -= 1,
        }
        LeaseCheck::Held
    }

    fn can_open(&self, alert: &Alert) -> bool {
        let is_same =
            |other: &Alert| (other.rule_id, other.fingerprint) == (alert.rule_id, alert.fingerprint);
        !self.alerts.iter().any(|other| is_same(other) && other.status != AlertStatus::Resolved)
    }
}

#[async_trait]
impl AlertStore for MemoryAlerts {
    async fn load(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
        at: Timestamp,
    ) -> Result<Option<RuleState>, StoreError> {
        let kept = self.kept();
        let Some(rule) = kept.rule(tenant_id, rule_id) else { return Ok(None) };
        let alerts = || kept.alerts.iter().filter(|alert| alert.rule_id == rule_id);
        let cooldown_secs = i64::from(rule.definition.cooldown_minutes) * 60;
        let mut last_triggered = BTreeMap::new();
        for (alert, triggered) in alerts().filter_map(|alert| Some((alert, alert.triggered_at?))) {
            if triggered > at.plus_secs(-cooldown_secs) {
                let last = last_triggered.entry(alert.fingerprint).or_insert(triggered);
                *last = triggered.max(*last);
            }
        }
        let triggered = alerts().filter_map(|alert| alert.triggered_at);
        Ok(Some(RuleState {
            rule: rule.clone(),
            open: alerts().filter(|alert| alert.status != AlertStatus::Resolved).cloned().collect(),
            triggered_last_hour: triggered.filter(|triggered| *triggered > at.plus_secs(-3_600)).collect(),
            last_triggered,
            channels: kept.channels.iter().filter(|one| one.tenant_id == tenant_id).cloned().collect(),
            silences: kept
                .silences
                .iter()
                .filter(|silence| silence.tenant_id == tenant_id && silence.ends_at > at)
                .cloned()
                .collect(),
        }))
    }

    async fn active_rules(&self, tenant_id: TenantId) -> Result<Vec<RuleId>, StoreError> {
        let kept = self.kept();
        let is_meant = |rule: &&Rule| rule.tenant_id == tenant_id && rule.definition.is_active;
        let mut rules: Vec<RuleId> = kept.rules.iter().filter(is_meant).map(|rule| rule.id).collect();
        rules.sort();
        Ok(rules)
    }

    async fn observe(&self, tenant_id: TenantId, query: &ObservationQuery) -> Result<Observed, StoreError> {
        Ok(observe::observe(&self.events_of(tenant_id), query))
    }

    async fn examples(&self, tenant_id: TenantId, query: &ExampleQuery) -> Result<Vec<Example>, StoreError> {
        Ok(observe::examples(&self.events_of(tenant_id), query))
    }

    async fn series(&self, tenant_id: TenantId, query: &SeriesQuery) -> Result<Vec<Portion>, StoreError> {
        Ok(observe::series(&self.events_of(tenant_id), query))
    }

    async fn commit(&self, evaluation: &Evaluation, now: Timestamp) -> Result<Committed, StoreError> {
        let mut kept = self.kept();
        let transition = &evaluation.transition;
        if let Some((lease, _)) = &evaluation.settlement
            && kept.holds(*lease, now).is_none()
        {
            return Ok(Committed::LeaseLost);
        }
        let rule = kept.rule(evaluation.tenant_id, evaluation.rule_id);
        let is_as_before =
            rule.is_some_and(|rule| rule.revision == evaluation.revision && rule.definition.is_active);
        if !is_as_before || !transition.opened.iter().all(|alert| kept.can_open(alert)) {
            return Ok(Committed::Changed);
        }
        if let Some((lease, settlement)) = &evaluation.settlement {
            kept.settle(*lease, settlement, now);
        }
        let is_gone = |id: &AlertId| transition.discarded.contains(id);
        let is_changed = |id: &AlertId| transition.changed.iter().any(|changed| changed.id == *id);
        kept.alerts.retain(|alert| !is_gone(&alert.id) && !is_changed(&alert.id));
        kept.timeline.retain(|entry| !is_gone(&entry.alert_id));
        kept.alerts.extend(transition.opened.iter().chain(&transition.changed).cloned());
        kept.timeline.extend(transition.timeline.iter().cloned());
        kept.deliveries.extend(transition.deliveries.iter().cloned());
        let rule =
            kept.rules.iter_mut().find(|rule| rule.id == evaluation.rule_id).expect("it was found above");
        rule.revision += 1;
        if !transition.triggered.is_empty() {
            rule.last_triggered_at = Some(evaluation.at);
            rule.total_triggers += i64::try_from(transition.triggered.len()).unwrap_or(i64::MAX);
        }
        Ok(Committed::Committed)
    }
}
