//! `/alerts`: alerts, read.

use actix_web::{HttpRequest, HttpResponse};
use pulsestream_domain::{
    alerting::{AlertId, AlertQuery},
    api_key::Scope,
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    alert_json::{AlertJson, EntryJson},
    request,
};
use crate::{answer, caller::Caller, error::ApiError, openapi, query, state::State};

pub(super) const ALERT: &str = "alert";

/// A page of alerts, the newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertList<'a> {
    success: bool,
    alerts: Vec<AlertJson<'a>>,
    /// How many there are on all pages.
    total_count: u64,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
}

/// One alert.
#[derive(Serialize, ToSchema)]
pub(crate) struct OneAlert<'a> {
    success: bool,
    alert: AlertJson<'a>,
}

/// What happened to an alert, in order.
#[derive(Serialize, ToSchema)]
pub(crate) struct Timeline<'a> {
    success: bool,
    #[schema(value_type = String, format = Uuid)]
    alert_id: AlertId,
    timeline: Vec<EntryJson<'a>>,
}

/// Lists alerts.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/alerts",
    tag = "alerting",
    params(openapi::alerting::AlertParameters, openapi::alerting::Page),
    responses(
        (status = 200, description = "a page of alerts", body = AlertList),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn list_alerts(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let statuses = request::take_list(&mut parameters, "status_filter")?;
    let severities = request::take_list(&mut parameters, "severity_filter")?;
    let rule_id = request::take(&mut parameters, "rule_id")?;
    let page = request::take_page(&mut parameters)?;
    request::close(parameters)?;
    let query = AlertQuery { statuses, severities, rule_id, limit: page.limit, offset: page.offset };
    let listed = state.store.alerts(caller.tenant_id(), &query).await?;
    answer::json(&AlertList {
        success: true,
        alerts: listed.items.iter().map(AlertJson::of).collect(),
        total_count: listed.total,
        tenant_id: caller.tenant_id(),
    })
}

/// Reads one alert.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/alerts/{alert_id}",
    tag = "alerting",
    params(openapi::alerting::AlertPath),
    responses(
        (status = 200, description = "the alert", body = OneAlert),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn get_alert(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let alert_id = request::id(&request, "alert_id", ALERT)?;
    let alert = state.store.alert(caller.tenant_id(), alert_id).await?.ok_or(ApiError::NoSuch(ALERT))?;
    answer::json(&OneAlert { success: true, alert: AlertJson::of(&alert) })
}

/// Tells what happened to an alert.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/alerts/{alert_id}/timeline",
    tag = "alerting",
    params(openapi::alerting::AlertPath),
    responses(
        (status = 200, description = "its history", body = Timeline),
        openapi::responses::ObjectProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn alert_timeline(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let alert_id = request::id(&request, "alert_id", ALERT)?;
    let entries = state.store.timeline(caller.tenant_id(), alert_id).await?.ok_or(ApiError::NoSuch(ALERT))?;
    answer::json(&Timeline { success: true, alert_id, timeline: entries.iter().map(EntryJson::of).collect() })
}
