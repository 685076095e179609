use std::time::Duration;

use actix_web::{http::Method, test::TestRequest};
use pulsestream_domain::{
    api_key::{ApiKey, Scope},
    ports::Clock,
    tenant::Limits,
};
use serde_json::Value;

use crate::harness::{BATCH, EVENTS, SEARCH, Surface, event};

#[actix_web::test]
async fn every_bad_credential_gets_the_same_answer() {
    let surface =
        Surface::with(Limits::default(), |parts| parts.settings.key_cache_life = Duration::ZERO).await;
    let (revoked, stored) = surface.new_key(surface.tenant_id, &[Scope::EventsRead]).await;
    surface.store.revoke_key(surface.tenant_id, &stored.id, &surface.origin()).await.expect("revoked");
    let unknown = ApiKey::from_entropy([99; 32]).reveal().to_owned();
    let mistyped = format!("{}x", &surface.key[..surface.key.len() - 1]);

    let mut bodies = Vec::new();
    for key in [Some(revoked), Some(unknown), Some(mistyped), Some(String::new()), None] {
        let mut request = TestRequest::with_uri(SEARCH).insert_header(("x-request-id", "same-request"));
        if let Some(key) = key {
            request = request.insert_header(("x-api-key", key));
        }
        let answer = surface.send(request).await;
        assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()));
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);

    let in_address = surface.get(&format!("{SEARCH}?api_key={}", surface.key)).await;
    assert_eq!(in_address.problem(), (401, "unauthenticated".to_owned()));
}

#[actix_web::test]
async fn a_key_may_do_what_its_scopes_say() {
    let surface = Surface::new().await;
    surface.post(EVENTS, &event("a")).await.ok();
    let (reader, _) = surface.new_key(surface.tenant_id, &[Scope::EventsRead]).await;
    let (writer, _) = surface.new_key(surface.tenant_id, &[Scope::EventsWrite]).await;
    let one = format!("{EVENTS}/a");
    let retry = format!("{EVENTS}/a/retry");
    let base = "/api/v1/ingestion";
    let writes =
        [(Method::POST, EVENTS), (Method::POST, BATCH), (Method::POST, &retry), (Method::DELETE, &one)];
    let histogram = format!("{EVENTS}/histogram");
    let (facets, export) = (format!("{EVENTS}/facets?field=service"), format!("{EVENTS}/export"));
    let stats = format!("{base}/stats");
    let reads: Vec<_> =
        [SEARCH, &one, &histogram, &facets, &export, &stats].map(|path| (Method::GET, path)).into();
    for (key, refused) in [(&reader, writes.to_vec()), (&writer, reads)] {
        for (method, path) in refused {
            let request = TestRequest::with_uri(path).method(method.clone());
            let request = request.insert_header(("authorization", format!("Bearer {key}")));
            let answer = surface.send(request).await;
            assert_eq!(answer.problem(), (403, "insufficient_scope".to_owned()), "{method} {path}");
            assert_eq!(answer.headers.contains_key("ratelimit"), [EVENTS, BATCH].contains(&path));
        }
        let request =
            TestRequest::with_uri("/api/v1/ingestion/rate-limit").insert_header(("x-api-key", key.as_str()));
        surface.send(request).await.ok();
    }
}

#[actix_web::test]
async fn no_tenant_sees_what_another_has() {
    let surface = Surface::new().await;
    surface.post(EVENTS, &event("a")).await.ok();
    let (_, other) = surface.new_tenant("second", Limits::default()).await;
    let get = |path: String| {
        surface.send(
            TestRequest::with_uri(&path)
                .insert_header(("x-api-key", other.as_str()))
                .insert_header(("x-request-id", "same-request")),
        )
    };

    let (foreign, missing) = (get(format!("{EVENTS}/a")).await, get(format!("{EVENTS}/b")).await);
    assert_eq!(foreign.problem(), (404, "not_found".to_owned()));
    assert_eq!(foreign.body, missing.body);
    assert_eq!(get(SEARCH.to_owned()).await.ok()["total_count"], 0);
    assert_eq!(get(format!("{EVENTS}/export")).await.text(), "");
}

#[actix_web::test]
async fn a_store_that_is_away_makes_no_key_unknown() {
    let surface = Surface::new().await;
    surface.store.close().await;
    let answer = surface.get(SEARCH).await;
    assert_eq!(answer.problem(), (503, "store_unavailable".to_owned()));
    assert_eq!(answer.json()["retryable"], true);
}

#[actix_web::test]
async fn what_can_be_no_key_is_refused_without_the_store() {
    let surface = Surface::new().await;
    surface.store.close().await;
    let last = if surface.key.ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &surface.key[..surface.key.len() - 1]);
    for key in [&mistyped[..], "ps_live_short", ""] {
        let request = TestRequest::with_uri(SEARCH).insert_header(("x-api-key", key));
        assert_eq!(surface.send(request).await.problem(), (401, "unauthenticated".to_owned()), "{key}");
    }
}

#[actix_web::test]
async fn the_last_use_of_a_key_is_noted() {
    let surface = Surface::new().await;
    surface.get(SEARCH).await.ok();
    surface.state.finish().await;
    let keys = surface.store.keys(surface.tenant_id).await.expect("the store answers");
    assert_eq!(keys[0].last_used_at, Some(surface.clock.now()));
}

#[actix_web::test]
async fn an_expired_key_is_refused_from_its_last_second_on_even_when_remembered() {
    let surface = Surface::new().await;
    let new = ApiKey::from_entropy([42; 32]);
    let (_, mut stored) = surface.new_key(surface.tenant_id, &[Scope::EventsRead]).await;
    stored.id = new.id().clone();
    stored.digest = new.digest();
    stored.expires_at = Some(surface.clock.now().plus_secs(10));
    surface.store.create_key(&stored, &surface.origin()).await.expect("the key is new");
    let get = || surface.send(TestRequest::with_uri(SEARCH).insert_header(("x-api-key", new.reveal())));

    let _: Value = get().await.ok();
    surface.clock.advance(Duration::from_secs(10));
    assert_eq!(get().await.problem(), (401, "unauthenticated".to_owned()));
}
