//! `/rules`: rules, kept.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_alerting::new_job;
use pulsestream_domain::{
    alerting::{Definition, Rule, RuleChange, RuleCreated, RuleId, RuleQuery},
    api_key::Scope,
    job::{JobId, NewJob},
    ports::StoreError,
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    KEPT_CHANGING, MAX_ROUNDS, request,
    rule_json::{RuleJson, unconfigured},
};
use crate::{
    answer,
    caller::{Caller, origin},
    error::ApiError,
    openapi, query,
    state::State,
};

pub(super) const RULE: &str = "rule";

/// A rule that was made or changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleKept {
    success: bool,
    #[schema(value_type = String, format = Uuid)]
    rule_id: RuleId,
    message: &'static str,
    rule: RuleJson,
    /// Which of `notification_channels` mean no enabled channel: nobody is told through them yet.
    unconfigured_channels: Vec<String>,
}

/// One rule.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneRule {
    success: bool,
    rule: RuleJson,
    /// Which of `notification_channels` mean no enabled channel: nobody is told through them yet.
    unconfigured_channels: Vec<String>,
}

/// A page of rules, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleList {
    success: bool,
    rules: Vec<RuleJson>,
    /// How many there are on all pages.
    total_count: u64,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
}

/// A rule that is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleDeleted {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    rule_id: RuleId,
}

/// Makes a rule. It is evaluated from its next interval on.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/rules",
    tag = "alerting",
    request_body(content = openapi::alerting::NewRule, content_type = "application/json"),
    responses(
        (status = 200, description = "the rule is kept", body = RuleKept),
        openapi::responses::WriteProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn create_rule(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json(&state, &request, payload).await?;
    let definition = Definition::parse(&body)?;
    let now = state.clock.now();
    let rule = Rule {
        tenant_id: caller.tenant_id(),
        id: RuleId(state.ids.uuid_v7(now)),
        revision: 0,
        definition,
        created_at: now,
        updated_at: now,
        last_triggered_at: None,
        total_triggers: 0,
    };
    let max = state.alerting.max_rules;
    let origin = origin(&state, &request, caller.actor());
    match state.store.create_rule(&rule, job(&state, &rule).as_ref(), max, &origin).await? {
        RuleCreated::Created => kept(&state, &rule, "Alert rule created successfully").await,
        RuleCreated::QuotaExceeded => Err(ApiError::QuotaExceeded { what: "rules", max }),
    }
}

/// Lists rules.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/rules",
    tag = "alerting",
    params(openapi::alerting::RuleParameters, openapi::alerting::Page),
    responses(
        (status = 200, description = "a page of rules", body = RuleList),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_rules(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let active_only = request::take(&mut parameters, "active_only")?.unwrap_or(false);
    let page = request::take_page(&mut parameters)?;
    request::close(parameters)?;
    let query = RuleQuery { active_only, limit: page.limit, offset: page.offset };
    let listed = state.store.rules(caller.tenant_id(), &query).await?;
    answer::json(&RuleList {
        success: true,
        rules: listed.items.iter().map(RuleJson::of).collect(),
        total_count: listed.total,
        tenant_id: caller.tenant_id(),
    })
}

/// Reads one rule.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/rules/{rule_id}",
    tag = "alerting",
    params(openapi::alerting::RulePath),
    responses(
        (status = 200, description = "the rule", body = OneRule),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_rule(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let rule = find(&state, &caller, &request).await?;
    let channels = state.store.channels(caller.tenant_id()).await?;
    answer::json(&OneRule {
        success: true,
        rule: RuleJson::of(&rule),
        unconfigured_channels: unconfigured(&rule, &channels),
    })
}

/// Changes a rule: what the body has takes the place of what was there, and `null` gives the default back.
#[utoipa::path(
    put,
    path = "/api/v1/alerting/rules/{rule_id}",
    tag = "alerting",
    params(openapi::alerting::RulePath),
    request_body(content = openapi::alerting::RuleChanges, content_type = "application/json"),
    responses(
        (status = 200, description = "the rule is changed", body = RuleKept),
        openapi::responses::ChangeProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn update_rule(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json(&state, &request, payload).await?;
    for _ in 0..MAX_ROUNDS {
        let mut rule = find(&state, &caller, &request).await?;
        let origin = origin(&state, &request, caller.actor());
        rule.definition = rule.definition.updated(&body)?;
        rule.updated_at = origin.at;
        match state.store.change_rule(&rule, job(&state, &rule).as_ref(), &*state.ids, &origin).await? {
            RuleChange::Changed => return kept(&state, &rule, "Alert rule updated successfully").await,
            RuleChange::Moved => {}
            RuleChange::Gone => return Err(ApiError::NoSuch(RULE)),
        }
    }
    Err(StoreError::Busy(KEPT_CHANGING.into()).into())
}

/// Deletes a rule. Its open alerts are resolved; what they were is kept.
#[utoipa::path(
    delete,
    path = "/api/v1/alerting/rules/{rule_id}",
    tag = "alerting",
    params(openapi::alerting::RulePath),
    responses(
        (status = 200, description = "the rule is gone", body = RuleDeleted),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn delete_rule(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let rule_id: RuleId = request::id(&request, "rule_id", RULE)?;
    let origin = origin(&state, &request, caller.actor());
    if !state.store.delete_rule(caller.tenant_id(), rule_id, &*state.ids, &origin).await? {
        return Err(ApiError::NoSuch(RULE));
    }
    answer::json(&RuleDeleted { success: true, message: "Alert rule deleted successfully", rule_id })
}

/// The rule that the path names.
async fn find(state: &State, caller: &Caller, request: &HttpRequest) -> Result<Rule, ApiError> {
    let rule_id = request::id(request, "rule_id", RULE)?;
    state.store.rule(caller.tenant_id(), rule_id).await?.ok_or(ApiError::NoSuch(RULE))
}

/// What evaluates a rule from now on; nothing for one that is not active.
fn job(state: &State, rule: &Rule) -> Option<NewJob> {
    let now = rule.updated_at;
    rule.definition.is_active.then(|| new_job(rule, JobId(state.ids.uuid_v7(now)), now))
}

async fn kept(state: &State, rule: &Rule, message: &'static str) -> Result<HttpResponse, ApiError> {
    let channels = state.store.channels(rule.tenant_id).await?;
    answer::json(&RuleKept {
        success: true,
        rule_id: rule.id,
        message,
        rule: RuleJson::of(rule),
        unconfigured_channels: unconfigured(rule, &channels),
    })
}
