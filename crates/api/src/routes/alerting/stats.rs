//! `/stats`: rules and alerts, counted.

use actix_web::HttpResponse;
use pulsestream_domain::{
    alerting::{AlertQuery, AlertStatus},
    api_key::Scope,
    tenant::TenantId,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::alert_json::AlertJson;
use crate::{answer, caller::Caller, error::ApiError, openapi, state::State};

const RECENT: u32 = 10;

/// How many rules and alerts a tenant has, and the latest of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertingStats<'a> {
    success: bool,
    stats: AlertCounts,
    /// The ten that began last.
    recent_alerts: Vec<AlertJson<'a>>,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
}

/// How many rules and alerts a tenant has. What is pending has not been raised and does not count.
#[derive(Serialize, ToSchema)]
pub(crate) struct AlertCounts {
    total_alerts: u64,
    active_alerts: u64,
    resolved_alerts: u64,
    total_rules: u64,
    active_rules: u64,
    /// The share of all alerts that are over, from 0 to 1; 0 without alerts.
    alert_resolution_rate: f64,
}

/// Counts rules and alerts.
#[utoipa::path(
    get,
    path = "/api/v1/alerting/stats",
    tag = "alerting",
    responses(
        (status = 200, description = "the figures", body = AlertingStats),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn alerting_stats(state: State, caller: Caller) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let stats = state.store.alert_stats(caller.tenant_id()).await?;
    let raised = AlertStatus::ALL.iter().copied().filter(|status| *status != AlertStatus::Pending);
    let latest = AlertQuery {
        statuses: raised.collect(),
        severities: Vec::new(),
        rule_id: None,
        limit: RECENT,
        offset: 0,
    };
    let recent = state.store.alerts(caller.tenant_id(), &latest).await?;
    answer::json(&AlertingStats {
        success: true,
        stats: AlertCounts {
            total_alerts: stats.total_alerts,
            active_alerts: stats.active_alerts,
            resolved_alerts: stats.resolved_alerts,
            total_rules: stats.total_rules,
            active_rules: stats.active_rules,
            alert_resolution_rate: share(stats.resolved_alerts, stats.total_alerts),
        },
        recent_alerts: recent.items.iter().map(AlertJson::of).collect(),
        tenant_id: caller.tenant_id(),
    })
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
