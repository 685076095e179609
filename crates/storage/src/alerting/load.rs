//! Reading what decides about evaluations, for many rules of a tenant at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pulsestream_domain::{
    Timestamp,
    alerting::{Alert, Fingerprint, Rule, RuleId, RuleState},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{ConnectionTrait, DbErr, EntityTrait as _, QueryResult, Statement, Value};
use serde_json::json;

use super::{
    channels,
    gather::{Evaluations, Gathering, Question},
    rows, silences,
};
use crate::{
    Store,
    entity::{alerts::Entity as Alerts, rules::Entity as Rules},
    error::UnreadableRow,
    lists::{self, Column, hex},
};

const HOUR_SECS: i64 = 3_600;

const ASKED: [(&str, Column); 4] = [
    ("number", Column::Integer),
    ("of_rule", Column::Uuid),
    ("of_hour", Column::Integer),
    ("of_cooldown", Column::Integer),
];

/// What decides about an evaluation of this rule for this instant?
#[derive(Clone, Copy, Debug)]
pub(super) struct StateQuestion {
    pub(super) rule_id: RuleId,
    pub(super) at: Timestamp,
}

impl Question for StateQuestion {
    type Answer = Option<RuleState>;

    fn gathering(evaluations: &Evaluations) -> &Gathering<Self> {
        &evaluations.states
    }

    async fn answer(
        store: &Store,
        tenant_id: TenantId,
        questions: &[Self],
    ) -> Result<Vec<Self::Answer>, StoreError> {
        store.rule_states(tenant_id, questions).await
    }
}

/// When a rule raised an alert of a group.
type Triggered = (Fingerprint, Timestamp);

impl Store {
    /// See [`AlertStore::load`](pulsestream_domain::ports::AlertStore::load).
    async fn rule_states(
        &self,
        tenant_id: TenantId,
        questions: &[StateQuestion],
    ) -> Result<Vec<Option<RuleState>>, StoreError> {
        let first = questions.iter().map(|question| question.at).min().unwrap_or_default();
        self.read(async {
            let snapshot = self.snapshot(tenant_id).await?;
            let rules = rules(&snapshot, tenant_id, questions).await?;
            let open = open(&snapshot, tenant_id, questions).await?;
            let triggered = triggered(&snapshot, tenant_id, questions, &rules).await?;
            let channels = channels::of_tenant(&snapshot, tenant_id).await?;
            let silences = silences::not_ended(&snapshot, tenant_id, first).await?;
            snapshot.commit().await?;
            let state = |(number, StateQuestion { rule_id, at }): (usize, &StateQuestion)| {
                let rule = rules.get(rule_id)?.clone();
                let triggered = &triggered[number];
                let hour = at.plus_secs(-HOUR_SECS);
                let triggered_last_hour = triggered.iter().map(|(_, at)| *at).filter(|at| *at > hour);
                Some(RuleState {
                    open: open.get(rule_id).cloned().unwrap_or_default(),
                    triggered_last_hour: triggered_last_hour.collect(),
                    last_triggered: last_triggered(triggered, cooled(&rule, *at)),
                    channels: channels.clone(),
                    silences: silences.iter().filter(|silence| silence.ends_at > *at).cloned().collect(),
                    rule,
                })
            };
            Ok(questions.iter().enumerate().map(state).collect())
        })
        .await
    }
}

/// Groups whose last alert was raised then or before may have a new one.
fn cooled(rule: &Rule, at: Timestamp) -> Timestamp {
    at.plus_secs(-60 * i64::from(rule.definition.cooldown_minutes))
}

fn last_triggered(triggered: &[Triggered], cooled: Timestamp) -> BTreeMap<Fingerprint, Timestamp> {
    let mut last_triggered: BTreeMap<Fingerprint, Timestamp> = BTreeMap::new();
    for (fingerprint, at) in triggered.iter().filter(|(_, at)| *at > cooled) {
        let last = last_triggered.entry(*fingerprint).or_insert(*at);
        *last = (*last).max(*at);
    }
    last_triggered
}

async fn rules(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    questions: &[StateQuestion],
) -> Result<HashMap<RuleId, Rule>, DbErr> {
    let statement = about(db, tenant_id, each(questions), |rules| {
        format!(
            "SELECT rules.* FROM {rules} JOIN rules ON rules.tenant_id = $3 AND rules.id = listed.of_rule"
        )
    });
    let found = Rules::find().from_raw_sql(statement).all(db).await?;
    let rule = |row| rows::rule(row).map(|rule| (rule.id, rule)).map_err(DbErr::from);
    found.into_iter().map(rule).collect()
}

async fn open(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    questions: &[StateQuestion],
) -> Result<HashMap<RuleId, Vec<Alert>>, DbErr> {
    // The last condition literally, as in the index.
    let statement = about(db, tenant_id, each(questions), |rules| {
        format!(
            "SELECT alerts.* FROM {rules} JOIN alerts
             ON alerts.tenant_id = $3 AND alerts.rule_id = listed.of_rule AND status <> 'resolved'"
        )
    });
    let mut open: HashMap<RuleId, Vec<Alert>> = HashMap::new();
    for row in Alerts::find().from_raw_sql(statement).all(db).await? {
        let alert = rows::alert(row)?;
        open.entry(alert.rule_id).or_default().push(alert);
    }
    Ok(open)
}

/// By question. Each alert of the last hour counts; of those before, a group's latest does.
async fn triggered(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    questions: &[StateQuestion],
    rules: &HashMap<RuleId, Rule>,
) -> Result<Vec<Vec<Triggered>>, DbErr> {
    let asked = questions.iter().enumerate().filter_map(|(number, StateQuestion { rule_id, at })| {
        Some(json!({
            "number": number,
            "of_rule": hex(rule_id.0),
            "of_hour": at.plus_secs(-HOUR_SECS).as_micros(),
            "of_cooldown": cooled(rules.get(rule_id)?, *at).as_micros(),
        }))
    });
    let statement = about(db, tenant_id, asked, |rules| {
        format!(
            "SELECT number, fingerprint, triggered_at FROM {rules} JOIN alerts
             ON tenant_id = $3 AND rule_id = of_rule AND triggered_at > of_hour
             UNION ALL
             SELECT number, fingerprint, max(triggered_at) FROM {rules} JOIN alerts
             ON tenant_id = $3 AND rule_id = of_rule AND triggered_at > of_cooldown AND triggered_at <= of_hour
             GROUP BY number, fingerprint"
        )
    });
    let mut triggered = vec![Vec::new(); questions.len()];
    for row in db.query_all_raw(statement).await? {
        let number = row.try_get_by_index::<i64>(0)? as usize;
        let at = Timestamp::from_micros(row.try_get_by_index(2)?);
        triggered[number].push((fingerprint(&row, tenant_id, questions[number].rule_id)?, at));
    }
    Ok(triggered)
}

fn fingerprint(row: &QueryResult, tenant_id: TenantId, rule_id: RuleId) -> Result<Fingerprint, DbErr> {
    let unreadable = rows::unreadable("alerts", tenant_id.0, rule_id.0);
    let bytes: Result<[u8; 16], UnreadableRow> =
        row.try_get_by_index::<Vec<u8>>(1)?.try_into().map_err(|_| unreadable("fingerprint"));
    Ok(Fingerprint(bytes?))
}

/// Each rule once, whoever asks for it.
fn each(questions: &[StateQuestion]) -> impl Iterator<Item = serde_json::Value> {
    let rules: BTreeSet<RuleId> = questions.iter().map(|question| question.rule_id).collect();
    rules.into_iter().map(|rule_id| json!({"of_rule": hex(rule_id.0)}))
}

/// A statement on a list of rules and, as `$3`, their tenant.
fn about(
    db: &impl ConnectionTrait,
    tenant_id: TenantId,
    rules: impl Iterator<Item = serde_json::Value>,
    text: impl Fn(&str) -> String,
) -> Statement {
    let backend = db.get_database_backend();
    let values = lists::values(rules.collect()).into_iter().chain([Value::from(tenant_id.0)]);
    Statement::from_sql_and_values(backend, text(&lists::rows(backend, &ASKED)), values)
}
