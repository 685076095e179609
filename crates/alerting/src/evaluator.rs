//! The work around an evaluation: reading what it needs, storing what it changes.

use std::sync::Arc;

use async_trait::async_trait;
use pulsestream_domain::{
    Timestamp,
    alerting::{
        Alert, AlertId, Committed, Definition, EVALUATE_RULE, Evaluation, ExampleQuery, HeldBack, Labels,
        Rule, RuleId, RuleState, Span, Transition,
    },
    job::{JobId, JobKind, Lease, LeasedJob, NewJob, Settlement},
    ports::{AlertStore, Clock, IdSource, StoreError},
    tenant::TenantId,
};
use pulsestream_jobs::{Handler, KindSettings, Verdict};

use crate::{causes::causes, evaluate, question, window_before, window_now, words};

/// Evaluating one rule at one tick. The key of the job is the rule's id; it has no payload.
pub const KIND: JobKind = EVALUATE_RULE;

/// The job that evaluates a rule from its first tick after `now` on. It is made in the transaction that makes
/// or activates the rule.
pub fn new_job(rule: &Rule, id: JobId, now: Timestamp) -> NewJob {
    NewJob {
        unique_key: Some(rule.id.to_string()),
        ..NewJob::new(rule.tenant_id, id, KIND, next_tick(&rule.definition, now))
    }
}

/// The first tick of a rule after this instant: ticks are the multiples of its interval since 1970.
pub fn next_tick(definition: &Definition, at: Timestamp) -> Timestamp {
    let interval = i64::from(definition.evaluation_interval.max(1));
    Timestamp::from_secs((at.as_secs().div_euclid(interval) + 1) * interval)
}

/// How rules are evaluated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How many seconds before its tick a window ends, so that late events are part of it.
    pub ingest_delay_secs: u32,
}

impl Default for Settings {
    /// Ten seconds.
    fn default() -> Self {
        Self { ingest_delay_secs: 10 }
    }
}

/// Evaluates rules against a store.
pub struct Evaluator {
    store: Arc<dyn AlertStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    settings: Settings,
}

/// What an evaluation that somebody asked for found.
#[derive(Clone, PartialEq, Debug)]
pub struct Evaluated {
    /// The rule.
    pub rule: Rule,
    /// The alerts that were raised just now.
    pub triggered: Vec<Alert>,
    /// All alerts that are raised and not over, those raised just now included.
    pub raised: Vec<Alert>,
    /// Groups for which the condition holds and no alert was raised, and why.
    pub held_back: Vec<(Labels, HeldBack)>,
}

/// Evaluations that meet somebody else's change begin again, so often at most.
const MAX_ROUNDS: u32 = 5;
const KEPT_CHANGING: &str = "the rule or its alerts kept being changed by others";
/// So many of the alerts that one evaluation raises are given examples.
const MAX_QUOTED: usize = 10;
const EXAMPLES: u32 = 5;

impl Evaluator {
    /// An evaluator on these.
    pub fn new(
        store: Arc<dyn AlertStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Self {
        Self { store, clock, ids, settings }
    }

    /// Evaluates the rule of a job of [`KIND`] at the tick it is due at.
    ///
    /// An evaluation that changes nothing leaves the job to be settled, together with others; one that changes
    /// something has settled it.
    ///
    /// # Errors
    /// When the store fails. Nothing was changed, or, with [`StoreError::OutcomeUnknown`], everything was and
    /// the lease is over.
    pub async fn tick(&self, job: &LeasedJob) -> Result<Verdict, StoreError> {
        let Some(rule_id) = job.unique_key.as_deref().and_then(|key| key.parse::<RuleId>().ok()) else {
            return Ok(Verdict::bury("the key of an evaluation is the id of a rule"));
        };
        for _ in 0..MAX_ROUNDS {
            let tenant_id = job.lease.tenant_id;
            let Some(state) = self.store.load(tenant_id, rule_id, job.due_at).await? else {
                return Ok(Verdict::Done);
            };
            if !state.rule.definition.is_active {
                return Ok(Verdict::Done);
            }
            let window = window_before(&state.rule.definition, job.due_at, self.settings.ingest_delay_secs);
            let due_at = next_tick(&state.rule.definition, job.due_at);
            let transition = self.transition(&state, window, job.due_at).await?;
            if transition.is_empty() {
                return Ok(Verdict::Again { due_at });
            }
            let settlement = Some((job.lease, Settlement::Again { due_at }));
            match self.commit(&state, job.due_at, transition, settlement).await? {
                Committed::Committed | Committed::LeaseLost => return Ok(Verdict::SettledAlready),
                Committed::Changed => {}
            }
        }
        Ok(Verdict::retry(KEPT_CHANGING))
    }

    /// Evaluates a rule over the window that ends now. `None` when there is no such rule; one that is not
    /// active is not evaluated, and finds nothing.
    ///
    /// # Errors
    /// When the store fails; [`StoreError::Busy`] also when others kept changing the rule.
    pub async fn evaluate_now(
        &self,
        tenant_id: TenantId,
        rule_id: RuleId,
    ) -> Result<Option<Evaluated>, StoreError> {
        for _ in 0..MAX_ROUNDS {
            let now = self.clock.now();
            let Some(state) = self.store.load(tenant_id, rule_id, now).await? else { return Ok(None) };
            if !state.rule.definition.is_active {
                return Ok(Some(Evaluated::of(state, &Transition::default())));
            }
            let window = window_now(&state.rule.definition, now);
            let transition = self.transition(&state, window, now).await?;
            if transition.is_empty()
                || self.commit(&state, now, transition.clone(), None).await? == Committed::Committed
            {
                return Ok(Some(Evaluated::of(state, &transition)));
            }
        }
        Err(StoreError::Busy(KEPT_CHANGING.into()))
    }

    /// Evaluates all active rules of a tenant over the windows that end now, one after the other.
    ///
    /// # Errors
    /// As for [`Evaluator::evaluate_now`]; the rules before have been evaluated.
    pub async fn evaluate_all(&self, tenant_id: TenantId) -> Result<Vec<Evaluated>, StoreError> {
        let mut evaluated = Vec::new();
        for rule_id in self.store.active_rules(tenant_id).await? {
            evaluated.extend(self.evaluate_now(tenant_id, rule_id).await?);
        }
        Ok(evaluated)
    }

    async fn transition(
        &self,
        state: &RuleState,
        window: Span,
        at: Timestamp,
    ) -> Result<Transition, StoreError> {
        let rule = &state.rule;
        let query = question(&rule.definition, window);
        let observed = self.store.observe(rule.tenant_id, &query).await?;
        if observed.is_truncated {
            tracing::warn!(
                tenant.id = %rule.tenant_id,
                rule.id = %rule.id,
                group.limit = query.max_groups,
                "a rule has more groups than are evaluated"
            );
        }
        let mut transition = evaluate(state, &observed, window, at, self.clock.now(), &*self.ids);
        let triggered: Vec<AlertId> = transition.triggered.iter().copied().take(MAX_QUOTED).collect();
        for alert_id in triggered {
            let mut alerts = transition.opened.iter().chain(&transition.changed);
            let Some(alert) = alerts.find(|alert| alert.id == alert_id) else { continue };
            let examples = ExampleQuery {
                filter: query.filter.clone(),
                group_by: query.group_by.clone(),
                labels: alert.labels.clone(),
                window,
                limit: EXAMPLES,
            };
            let examples = self.store.examples(rule.tenant_id, &examples).await?;
            words::quote(&mut transition, alert_id, &examples);
        }
        Ok(transition)
    }

    async fn commit(
        &self,
        state: &RuleState,
        at: Timestamp,
        transition: Transition,
        settlement: Option<(Lease, Settlement)>,
    ) -> Result<Committed, StoreError> {
        let evaluation = Evaluation {
            tenant_id: state.rule.tenant_id,
            rule_id: state.rule.id,
            revision: state.rule.revision,
            at,
            transition,
            settlement,
        };
        self.store.commit(&evaluation, self.clock.now()).await
    }
}

#[async_trait]
impl Handler for Evaluator {
    fn kind(&self) -> JobKind {
        KIND
    }

    async fn run(&self, job: &LeasedJob) -> Verdict {
        let rule = job.unique_key.as_deref().unwrap_or_default();
        match self.tick(job).await {
            Ok(verdict) => verdict,
            // If nothing was committed, the job is tried again when its lease is over.
            Err(error @ StoreError::OutcomeUnknown(_)) => {
                tracing::warn!(tenant.id = %job.lease.tenant_id, rule.id = rule, error = %causes(&error), "an evaluation may or may not have been stored");
                Verdict::SettledAlready
            }
            Err(error) => {
                tracing::warn!(tenant.id = %job.lease.tenant_id, rule.id = rule, error = %causes(&error), "a rule could not be evaluated");
                Verdict::retry(error.to_string())
            }
        }
    }
}

/// How jobs of [`KIND`] are worked on. None is ever given up: a rule whose evaluation is dead would be silent
/// for good, and nobody would know.
#[must_use]
pub fn job_settings() -> KindSettings {
    KindSettings { max_attempts: u32::MAX, ..KindSettings::default() }
}

impl Evaluated {
    fn of(state: RuleState, transition: &Transition) -> Self {
        let changed = || transition.changed.iter().chain(&transition.opened);
        let is_changed = |alert: &Alert| changed().any(|changed| changed.id == alert.id);
        let untouched = state.open.iter().filter(|alert| {
            alert.status.is_raised() && !is_changed(alert) && !transition.discarded.contains(&alert.id)
        });
        let triggered = changed().filter(|alert| transition.triggered.contains(&alert.id));
        let raised = changed().filter(|alert| alert.status.is_raised());
        Self {
            triggered: triggered.cloned().collect(),
            raised: raised.chain(untouched).cloned().collect(),
            held_back: transition.held_back.clone(),
            rule: state.rule,
        }
    }
}
