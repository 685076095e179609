use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use actix_web::{http::Method, test::TestRequest};
use pulsestream_domain::tenant::Limits;
use serde_json::json;

use crate::harness::{EVENTS, SEARCH, Surface};

#[actix_web::test]
async fn the_service_tells_what_it_is_and_how() {
    let surface = Surface::new().await;
    let get = |path: &'static str| surface.send(TestRequest::with_uri(path));
    let about = get("/").await.ok();
    assert_eq!((&about["name"], &about["docs_url"]), (&json!("PulseStream"), &json!("/docs")));
    assert_eq!(get("/health").await.ok()["status"], "healthy");
    assert_eq!(get("/livez").await.ok()["status"], "healthy");
    assert_eq!(get("/readyz").await.ok(), json!({"status": "ready", "reasons": [], "queue_size": 0}));
    assert!(get("/metrics").await.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(
        get("/openapi.json").await.ok()["openapi"].as_str().is_some_and(|version| version.starts_with("3."))
    );
}

#[actix_web::test]
async fn readiness_tells_why_traffic_should_go_elsewhere() {
    let redis_is_away = Arc::new(AtomicBool::new(true));
    let is_away = Arc::clone(&redis_is_away);
    let surface = Surface::with(Limits::default(), |parts| {
        parts.degraded = Arc::new(move || match is_away.load(Ordering::Relaxed) {
            true => vec!["redis"],
            false => vec![],
        });
    })
    .await;
    let ready = || surface.get("/readyz");

    assert_eq!(ready().await.ok(), json!({"status": "degraded", "reasons": ["redis"], "queue_size": 0}));
    redis_is_away.store(false, Ordering::Relaxed);
    assert_eq!(ready().await.ok()["status"], "ready");

    surface.state.start_draining();
    let draining = ready().await;
    assert_eq!(draining.status.as_u16(), 503);
    assert_eq!(draining.json()["reasons"], json!(["draining"]));
}

#[actix_web::test]
async fn a_database_that_is_away_makes_it_not_ready_and_unhealthy_but_alive() {
    let surface = Surface::new().await;
    surface.store.close().await;
    assert_eq!(surface.get("/readyz").await.json()["reasons"], json!(["database_unreachable"]));
    let health = surface.get("/api/v1/ingestion/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (503, &json!("unhealthy")));
    surface.get("/livez").await.ok();
}

#[actix_web::test]
async fn the_documentation_comes_from_the_binary_alone() {
    let surface = Surface::new().await;
    let moved = surface.get("/docs").await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (308, "/docs/"));

    let page = surface.get("/docs/").await;
    assert!(page.text().contains("swagger-ui"));
    assert!(!page.text().contains("http://") && !page.text().contains("https://"));
    assert!(page.header("content-security-policy").starts_with("default-src 'self';"));
    assert!(surface.get("/docs/swagger-initializer.js").await.text().contains("\"/openapi.json\""));
    assert!(surface.get("/docs/swagger-ui-bundle.js").await.header("content-type").contains("javascript"));
    assert_eq!(surface.get("/docs/nothing").await.problem(), (404, "not_found".to_owned()));
}

#[actix_web::test]
async fn every_answer_has_its_headers() {
    let surface = Surface::new().await;
    for path in ["/", "/nowhere", SEARCH, EVENTS] {
        let answer = surface.get(path).await;
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(header), value, "{path}");
        }
        assert_eq!(answer.header("x-request-id").len(), 36, "{path}");
        assert!(answer.header("x-process-time").parse::<f64>().is_ok_and(|seconds| seconds >= 0.0), "{path}");
        assert!(!answer.headers.contains_key("server"));
    }
    let kept =
        surface.send(TestRequest::with_uri("/").insert_header(("x-request-id", "client-made-1"))).await;
    assert_eq!(kept.header("x-request-id"), "client-made-1");
    let replaced =
        surface.send(TestRequest::with_uri("/").insert_header(("x-request-id", "a b c d e f"))).await;
    assert_eq!(replaced.header("x-request-id").len(), 36);
}

#[actix_web::test]
async fn requests_that_lead_nowhere_are_told_so() {
    let surface = Surface::new().await;
    for path in ["/nowhere", "/api/v1/ingestion/events/", "/api/v1/events", "//api/v1/ingestion/events"] {
        assert_eq!(surface.get(path).await.problem(), (404, "not_found".to_owned()), "{path}");
    }
    for (method, path, allow) in [
        (Method::PUT, EVENTS, "POST, GET, HEAD, DELETE"),
        (Method::PUT, SEARCH, "GET, HEAD, POST"),
        (Method::DELETE, SEARCH, "GET, HEAD, POST"),
        (Method::PATCH, "/api/v1/ingestion/events/a", "GET, HEAD, DELETE"),
        (Method::POST, "/api/v1/ingestion/events/a", "GET, HEAD, DELETE"),
        (Method::TRACE, "/health", "GET, HEAD"),
    ] {
        let answer = surface.call(method.clone(), path).await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".to_owned()), "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let long = surface.get(&format!("{SEARCH}?q={}", "a".repeat(8 * 1024))).await;
    assert_eq!(long.problem(), (414, "uri_too_long".to_owned()));
    assert_eq!(surface.call(Method::HEAD, "/health").await.status.as_u16(), 200);
}

#[actix_web::test]
async fn a_panic_is_an_answer_and_not_the_end() {
    let surface = Surface::with(Limits::default(), |parts| {
        parts.degraded = Arc::new(|| panic!("a bug, made on purpose"));
    })
    .await;
    for _ in 0..3 {
        let answer = surface
            .send(TestRequest::with_uri("/readyz").insert_header(("x-request-id", "panics-here")))
            .await;
        assert_eq!(answer.problem(), (500, "internal".to_owned()));
        assert_eq!(answer.json()["request_id"], "panics-here");
        assert!(!answer.text().contains("purpose"));
    }
    surface.get("/health").await.ok();
    surface.get(SEARCH).await.ok();
}
