//! What happens once in the life of a store: a tenant, its key, and how to use them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use pulsestream_domain::{
    api_key::ApiKey,
    ports::{Clock, IdSource},
    tenant::{DuplicatePolicy, Limits, Tenant},
};
use pulsestream_storage::{CreateError, Store};

use crate::tenancy::{Draft, FIRST_KEY_SCOPES, by_operator, new_key, stored_key};

/// The slug of the tenant that a fresh store gets.
pub(crate) const DEFAULT_TENANT: &str = "default";

/// Makes the tenant `default` with a key, if the store has no tenant at all.
///
/// The key is in the answer and nowhere else. Of several instances that start at once one makes the tenant;
/// the others answer `None`, as every later start does.
///
/// # Errors
/// When the store fails, or the system has no randomness.
pub(crate) async fn ensure_default_tenant(
    store: &Store,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> Result<Option<(Tenant, ApiKey)>> {
    if !store.tenants().await.context("reading the tenants")?.is_empty() {
        return Ok(None);
    }
    let draft = Draft {
        slug: DEFAULT_TENANT.parse().expect("it is a slug"),
        name: "Default".to_owned(),
        limits: Limits::default(),
        duplicate_policy: DuplicatePolicy::default(),
    };
    let tenant = draft.into_tenant(clock, ids);
    let key = new_key().context("making an API key")?;
    let stored = stored_key(&key, tenant.id, "first key", &FIRST_KEY_SCOPES, tenant.created_at, None);
    match store.create_tenant(&tenant, Some(&stored), &by_operator(clock, ids)).await {
        Ok(()) => Ok(Some((tenant, key))),
        Err(CreateError::SlugTaken) => Ok(None),
        Err(error) => Err(error).context("making the tenant `default`"),
    }
}

/// The key, and lines to paste.
pub(crate) fn welcome(base_url: &str, key: &ApiKey) -> String {
    let key = key.reveal();
    format!(
        r#"
This store is new. It has a tenant `{DEFAULT_TENANT}` now, with this API key, which is shown only this once:

  {key}

Send an event, send a batch, search, and see the limit:

  curl -s {base_url}/api/v1/ingestion/events -H 'X-API-Key: {key}' -H 'Content-Type: application/json' -d '{{"event_id":"hello-1","event_type":"api_call","title":"GET /hello","source":{{"service":"shop","endpoint":"/hello","method":"GET"}},"metrics":{{"response_time_ms":12.5,"status_code":200}}}}'

  curl -s {base_url}/api/v1/ingestion/events/batch -H 'X-API-Key: {key}' -H 'Content-Type: application/json' -d '{{"events":[{{"event_id":"order-1","event_type":"user_action","title":"Order placed","source":{{"service":"shop","endpoint":"/orders","method":"POST"}}}},{{"event_id":"order-2","event_type":"error_event","severity":"error","title":"Payment failed","source":{{"service":"shop","endpoint":"/orders","method":"POST"}},"metrics":{{"response_time_ms":830,"status_code":502}}}}]}}'

  curl -s '{base_url}/api/v1/ingestion/events/search?service=shop&limit=10' -H 'X-API-Key: {key}'

  curl -s {base_url}/api/v1/ingestion/rate-limit -H 'X-API-Key: {key}'
"#
    )
}

/// How to reach a server that listens on an address, from the same host. The scheme is `http` or `https`.
pub(crate) fn base_url(scheme: &str, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("{scheme}://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_has_the_key_once_alone_and_lines_whose_bodies_are_json() {
        let key = ApiKey::from_entropy([7; 32]);
        let text = welcome("http://127.0.0.1:8000", &key);
        assert_eq!(text.lines().filter(|line| line.trim() == key.reveal()).count(), 1);
        let curls: Vec<&str> = text.lines().filter(|line| line.trim_start().starts_with("curl ")).collect();
        assert_eq!(curls.len(), 4);
        for curl in curls {
            if let Some((_, body)) = curl.split_once(" -d '") {
                let body = body.strip_suffix('\'').expect("quoted");
                serde_json::from_str::<serde_json::Value>(body).expect("the body is JSON");
            }
        }
    }

    #[test]
    fn an_address_for_everybody_is_reached_over_loopback() {
        for (address, expected) in [
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
            ("192.0.2.1:80", "http://192.0.2.1:80"),
        ] {
            assert_eq!(base_url("http", address.parse().expect("an address")), expected);
        }
    }
}
