//! `/rules/{rule_id}/test` and `/evaluate`: rules, evaluated now.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_alerting::Evaluated;
use pulsestream_domain::{
    Timestamp,
    alerting::{AlertId, HeldBack, RuleId},
    api_key::Scope,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{alert_json::AlertJson, request, rules::RULE};
use crate::{answer, caller::Caller, error::ApiError, openapi, state::State};

/// What a rule found when it was evaluated just now. The first four are null when its condition does not hold.
#[derive(Serialize, ToSchema)]
pub(crate) struct RuleTested<'a> {
    success: bool,
    message: &'static str,
    #[schema(value_type = Option<String>, format = Uuid)]
    alert_id: Option<AlertId>,
    alert_title: Option<&'a str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    triggered_at: Option<Timestamp>,
    #[schema(value_type = String, format = Uuid)]
    rule_id: RuleId,
    /// The groups for which the condition holds and no alert was raised all the same.
    held_back: Vec<HeldBackGroup<'a>>,
}

/// A group for which no alert was raised.
#[derive(Serialize, ToSchema)]
pub(crate) struct HeldBackGroup<'a> {
    labels: &'a BTreeMap<String, String>,
    /// `cooldown` or `hourly_limit`.
    reason: &'static str,
}

/// What all active rules found when they were evaluated just now.
#[derive(Serialize, ToSchema)]
pub(crate) struct RulesEvaluated<'a> {
    success: bool,
    message: &'static str,
    total_rules_evaluated: usize,
    /// How many alerts were raised by it.
    alerts_triggered: usize,
    /// These alerts.
    alerts: Vec<AlertJson<'a>>,
}

/// Evaluates a rule over the window that ends now. When its condition holds, the alert is a real one.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/rules/{rule_id}/test",
    tag = "alerting",
    params(openapi::alerting::RulePath),
    responses(
        (status = 200, description = "what it found", body = RuleTested),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn test_rule(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let rule_id: RuleId = request::id(&request, "rule_id", RULE)?;
    let evaluated = state.alerting.evaluator.evaluate_now(caller.tenant_id(), rule_id).await?;
    let evaluated = evaluated.ok_or(ApiError::NoSuch(RULE))?;
    let alert = evaluated.triggered.first().or(evaluated.raised.first());
    answer::json(&RuleTested {
        success: true,
        message: message(&evaluated),
        alert_id: alert.map(|alert| alert.id),
        alert_title: alert.map(|alert| alert.title.as_str()),
        triggered_at: alert.and_then(|alert| alert.triggered_at),
        rule_id,
        held_back: evaluated.held_back.iter().map(|(labels, why)| held_back(&labels.0, *why)).collect(),
    })
}

/// Evaluates all active rules over the windows that end now. The alerts are real ones.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/evaluate",
    tag = "alerting",
    responses(
        (status = 200, description = "what they found", body = RulesEvaluated),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn evaluate_rules(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let evaluated = state.alerting.evaluator.evaluate_all(caller.tenant_id()).await?;
    let alerts: Vec<AlertJson<'_>> =
        evaluated.iter().flat_map(|one| &one.triggered).map(AlertJson::of).collect();
    answer::json(&RulesEvaluated {
        success: true,
        message: "Rules evaluated successfully",
        total_rules_evaluated: evaluated.len(),
        alerts_triggered: alerts.len(),
        alerts,
    })
}

fn message(evaluated: &Evaluated) -> &'static str {
    match evaluated {
        Evaluated { triggered, .. } if !triggered.is_empty() => "The condition holds: an alert was raised",
        Evaluated { rule, .. } if !rule.definition.is_active => {
            "The rule is not active: nothing was evaluated"
        }
        Evaluated { raised, .. } if !raised.is_empty() => "The alert of this rule is raised already",
        Evaluated { held_back, .. } if !held_back.is_empty() => {
            "The condition holds, but no alert was raised: see held_back"
        }
        _ => "No alert is raised: the condition does not hold, or not yet for long enough",
    }
}

fn held_back(labels: &BTreeMap<String, String>, why: HeldBack) -> HeldBackGroup<'_> {
    let reason = match why {
        HeldBack::Cooldown => "cooldown",
        HeldBack::HourlyLimit => "hourly_limit",
    };
    HeldBackGroup { labels, reason }
}
