//! `/alerts/{alert_id}/…`: what people do to an alert.

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use pulsestream_alerting::resolved_by_hand;
use pulsestream_domain::{
    Timestamp,
    alerting::{ActedAlert, Action, ActionDraft, Alert, AlertId},
    api_key::Scope,
    ports::{AlertStore as _, StoreError},
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{KEPT_CHANGING, MAX_ROUNDS, alert_json::AlertJson, alerts::ALERT, request};
use crate::{answer, caller::Caller, error::ApiError, openapi, state::State};

/// What was done to an alert.
#[derive(Serialize, ToSchema)]
pub(crate) struct Acted<'a> {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    alert_id: AlertId,
    alert: AlertJson<'a>,
}

/// An alert that is over.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resolved<'a> {
    success: bool,
    message: &'static str,
    #[schema(value_type = String, format = Uuid)]
    alert_id: AlertId,
    resolved_by: Option<&'a str>,
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
    alert: AlertJson<'a>,
}

/// Takes an alert on: no repeats until it resolves or worsens.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/alerts/{alert_id}/acknowledge",
    tag = "alerting",
    params(openapi::alerting::AlertPath),
    request_body(content = openapi::alerting::Acknowledge, content_type = "application/json"),
    responses(
        (status = 200, description = "it is acknowledged, now or already", body = Acted),
        openapi::responses::ActionProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn acknowledge_alert(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let alert = act(&state, &caller, &request, payload, Action::Acknowledge).await?;
    acted(&alert, "Alert acknowledged successfully")
}

/// Stops the notices of an alert until it is reactivated.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/alerts/{alert_id}/suppress",
    tag = "alerting",
    params(openapi::alerting::AlertPath),
    request_body(content = openapi::alerting::Suppress, content_type = "application/json"),
    responses(
        (status = 200, description = "it is suppressed, now or already", body = Acted),
        openapi::responses::ActionProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn suppress_alert(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let alert = act(&state, &caller, &request, payload, Action::Suppress).await?;
    acted(&alert, "Alert suppressed successfully")
}

/// Makes an acknowledged or suppressed alert active again.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/alerts/{alert_id}/reactivate",
    tag = "alerting",
    params(openapi::alerting::AlertPath),
    request_body(content = openapi::alerting::Reactivate, content_type = "application/json"),
    responses(
        (status = 200, description = "it is active, now or already", body = Acted),
        openapi::responses::ActionProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn reactivate_alert(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let alert = act(&state, &caller, &request, payload, Action::Reactivate).await?;
    acted(&alert, "Alert reactivated successfully")
}

/// Ends an alert. If the condition still holds, another one begins after the rule's cooldown.
#[utoipa::path(
    post,
    path = "/api/v1/alerting/alerts/{alert_id}/resolve",
    tag = "alerting",
    params(openapi::alerting::AlertPath),
    request_body(content = openapi::alerting::Resolve, content_type = "application/json"),
    responses(
        (status = 200, description = "it is over, now or already", body = Resolved),
        openapi::responses::ActionProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn resolve_alert(
    state: State,
    caller: Caller,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let alert = act(&state, &caller, &request, payload, Action::Resolve).await?;
    answer::json(&Resolved {
        success: true,
        message: "Alert resolved successfully",
        alert_id: alert.id,
        resolved_by: alert.resolved_by.as_deref(),
        resolved_at: alert.resolved_at,
        alert: AlertJson::of(&alert),
    })
}

fn acted(alert: &Alert, message: &'static str) -> Result<HttpResponse, ApiError> {
    answer::json(&Acted { success: true, message, alert_id: alert.id, alert: AlertJson::of(alert) })
}

/// Does it, and answers with the alert as it then is.
async fn act(
    state: &State,
    caller: &Caller,
    request: &HttpRequest,
    payload: Payload,
    action: Action,
) -> Result<Alert, ApiError> {
    caller.require(Scope::RulesWrite)?;
    let body = request::json_or_nothing(state, request, payload).await?;
    let said = ActionDraft::parse(&body, action)?;
    let alert_id = request::id(request, "alert_id", ALERT)?;
    let by = said.by.as_deref().unwrap_or(caller.name());
    for _ in 0..MAX_ROUNDS {
        let asked = Asked { tenant_id: caller.tenant_id(), alert_id, action, by, note: said.note.as_deref() };
        if let Some(alert) = asked.once(state).await? {
            return Ok(alert);
        }
    }
    Err(StoreError::Busy(KEPT_CHANGING.into()).into())
}

/// What somebody asks for.
struct Asked<'a> {
    tenant_id: TenantId,
    alert_id: AlertId,
    action: Action,
    by: &'a str,
    note: Option<&'a str>,
}

impl Asked<'_> {
    /// Does it, unless somebody else changes the alert or its rule at the same time.
    async fn once(&self, state: &State) -> Result<Option<Alert>, ApiError> {
        let store = &state.store;
        let now = state.clock.now();
        let alert = store.alert(self.tenant_id, self.alert_id).await?.ok_or(ApiError::NoSuch(ALERT))?;
        let rule = store.load(self.tenant_id, alert.rule_id, now).await?;
        // An open alert is read again, together with its rule: the two have to be of one moment.
        let open = rule.as_ref().and_then(|state| state.open.iter().find(|open| open.id == alert.id));
        let mut alert = open.cloned().unwrap_or(alert);
        let was = alert.status;
        let Some(entry) = alert.act(self.action, self.by, self.note, now)? else { return Ok(Some(alert)) };
        let Some(rule) = rule else { return Ok(None) };
        let deliveries =
            resolved_by_hand(&rule.rule, &alert, was, &rule.channels, &rule.silences, now, &*state.ids);
        let acted = ActedAlert { alert, was, rule_revision: rule.rule.revision, entry, deliveries, now };
        Ok(store.apply_action(&acted).await?.then_some(acted.alert))
    }
}
