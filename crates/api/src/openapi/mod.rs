//! The OpenAPI document. Routes describe themselves; here they are listed, with what they have in common.

pub(crate) mod alerting;
mod common;
pub(crate) mod parameters;
pub(crate) mod responses;
pub(crate) mod schemas;
pub(crate) mod words;

use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::routes::{
    alerting::{
        actions, alerts, backtest, channel_secrets, channel_test, channels, deliveries, evaluation, rules,
        silences, stats as alerting_stats,
    },
    auth::{
        api_keys, audit_log, audit_log_export, change_password, health as auth_health, login, logout,
        password_reset, profile, refresh, regenerate_api_key, register_tenant, register_user, rotate_api_key,
        tenant_profile, users,
    },
    ingestion::{
        event, export, facets, health as ingestion_health, histogram, post_batch, post_event, rate_limit,
        search, stats, vocabulary,
    },
    service::{docs, health, metrics, openapi_json, ready, root},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "PulseStream",
        description = "Takes in events of APIs and services, stores each exactly once, and finds them at once.\n\n\
            2xx: stored once, durable and searchable now. 4xx: not stored; do not resend unchanged. 429 and 503: \
            not stored, or not known; resend with the same `event_id`.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(
        post_event::post_event,
        post_batch::post_batch,
        search::search,
        search::search_by_body,
        histogram::histogram,
        facets::facets,
        export::export,
        vocabulary::event_types,
        vocabulary::severities,
        event::get_event,
        event::get_event_by_query,
        event::delete_event,
        event::delete_event_by_query,
        event::retry_event,
        stats::stats,
        ingestion_health::health,
        rate_limit::rate_limit,
        register_tenant::register_tenant,
        register_user::register_user,
        login::login,
        refresh::refresh,
        logout::logout,
        profile::get_profile,
        profile::put_profile,
        change_password::change_password,
        users::list_users,
        users::put_user,
        tenant_profile::get_tenant_profile,
        tenant_profile::put_tenant_profile,
        regenerate_api_key::regenerate_api_key,
        password_reset::request_password_reset,
        password_reset::confirm_password_reset,
        api_keys::list_api_keys,
        api_keys::create_api_key,
        api_keys::revoke_api_key,
        rotate_api_key::rotate_api_key,
        audit_log::audit_log,
        audit_log_export::export_audit_log,
        auth_health::health,
        rules::create_rule,
        rules::list_rules,
        backtest::backtest_rule,
        rules::get_rule,
        rules::update_rule,
        rules::delete_rule,
        evaluation::test_rule,
        evaluation::evaluate_rules,
        alerts::list_alerts,
        alerts::get_alert,
        alerts::alert_timeline,
        actions::acknowledge_alert,
        actions::suppress_alert,
        actions::reactivate_alert,
        actions::resolve_alert,
        alerting_stats::alerting_stats,
        silences::create_silence,
        silences::list_silences,
        silences::get_silence,
        silences::end_silence,
        channels::create_channel,
        channels::list_channels,
        channels::get_channel,
        channels::update_channel,
        channels::delete_channel,
        channel_test::test_channel,
        channel_secrets::rotate_secret,
        deliveries::list_deliveries,
        deliveries::recover_deliveries,
        deliveries::get_delivery,
        deliveries::resend_delivery,
        root::root,
        health::health,
        health::live,
        ready::ready,
        metrics::metrics,
        openapi_json::openapi_json,
        docs::docs,
        docs::file,
    ),
    components(schemas(schemas::Problem, schemas::FieldError)),
    tags(
        (name = "ingestion", description = "Events in, and events out again"),
        (name = "auth", description = "Who somebody is, and what they may do"),
        (name = "alerting", description = "Rules, their alerts, and who is told"),
        (name = "service", description = "The service itself"),
    ),
    modifiers(&Credentials),
)]
struct Document;

/// The OpenAPI document, as `GET /openapi.json` shows it.
pub fn openapi_json() -> String {
    let mut document = serde_json::to_value(Document::openapi()).expect("a document of strings serializes");
    common::complete(&mut document);
    document.to_string()
}

/// The two places a credential may be in.
struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let header = ApiKeyValue::with_description("X-API-Key", "An API key.");
        components.add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(header)));
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, or the access token of a user."));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::app::endpoints;

    fn json() -> serde_json::Value {
        serde_json::from_str(&openapi_json()).expect("JSON")
    }

    fn documented() -> BTreeSet<String> {
        let json = json();
        let paths = json["paths"].as_object().expect("paths");
        paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().expect("methods").keys();
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect()
    }

    #[test]
    fn every_route_is_documented_and_nothing_else() {
        let registered: BTreeSet<String> = endpoints()
            .iter()
            .flat_map(|endpoint| endpoint.listed())
            .map(|(method, template)| format!("{method} {template}"))
            .collect();
        assert_eq!(registered, documented());
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let json = json();
        let operations = json["paths"].as_object().into_iter().flat_map(|paths| paths.values());
        let operations = operations.filter_map(|item| item.as_object()).flat_map(|item| item.values());
        let names: Vec<&str> = operations.filter_map(|operation| operation["operationId"].as_str()).collect();
        assert_eq!(names.len(), documented().len());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn only_bodies_with_events_may_have_other_members() {
        let json = json();
        let schemas = &json["components"]["schemas"];
        for closed in ["NewRule", "Condition", "NewChannel", "LoginBody", "NewUserBody", "Search"] {
            assert_eq!(schemas[closed]["additionalProperties"], false, "{closed}");
        }
        for open in ["NewEvent", "NewEventContext", "Batch", "Problem"] {
            assert!(
                schemas[open].is_object() && schemas[open].get("additionalProperties").is_none(),
                "{open}"
            );
        }
    }

    #[test]
    fn where_a_credential_is_asked_for_two_that_differ_are_an_error() {
        let json = json();
        let operations = json["paths"].as_object().into_iter().flat_map(|paths| paths.values());
        for operation in operations.filter_map(|item| item.as_object()).flat_map(|item| item.values()) {
            let is_open = operation.get("security").is_none();
            assert!(is_open || operation["responses"]["400"].is_object(), "{}", operation["operationId"]);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &serde_json::Value, into: &mut BTreeSet<String>) {
            match value {
                serde_json::Value::Object(members) => {
                    into.extend(members.get("$ref").and_then(|target| target.as_str()).map(str::to_owned));
                    members.values().for_each(|member| references(member, into));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, into)),
                _ => {}
            }
        }
        let json = json();
        let mut found = BTreeSet::new();
        references(&json, &mut found);
        assert!(found.contains("#/components/schemas/Problem"));
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the document");
            assert!(json.pointer(pointer).is_some(), "{reference}");
        }
    }
}
