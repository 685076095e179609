//! A rule as clients see it.

use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, Rule, RuleId, resolve},
    tenant::TenantId,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::openapi;

/// A rule.
#[derive(Serialize, ToSchema)]
#[schema(as = Rule)]
pub(super) struct RuleJson {
    #[schema(value_type = String, format = Uuid)]
    id: RuleId,
    #[schema(value_type = String, format = Uuid)]
    tenant_id: TenantId,
    /// What a client says of a rule, in full.
    #[serde(flatten)]
    #[schema(value_type = openapi::alerting::NewRule)]
    definition: Value,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_triggered_at: Option<Timestamp>,
    /// How many alerts it has raised.
    total_triggers: i64,
}

impl RuleJson {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            id: rule.id,
            tenant_id: rule.tenant_id,
            definition: rule.definition.to_json(),
            created_at: rule.created_at,
            updated_at: rule.updated_at,
            last_triggered_at: rule.last_triggered_at,
            total_triggers: rule.total_triggers,
        }
    }
}

/// Which of a rule's channels have no destination: nobody is told through them until one is configured.
pub(super) fn unconfigured(rule: &Rule, channels: &[Channel]) -> Vec<String> {
    let (_, unconfigured) = resolve(&rule.definition.notification_channels, channels);
    unconfigured.into_iter().map(|one| one.as_str().to_owned()).collect()
}
