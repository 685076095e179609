use std::time::Duration;

use actix_web::{
    dev::Service as _,
    http::{Method, StatusCode},
    test,
};
use futures_util::join;
use pulsestream_api::app;
use pulsestream_domain::tenant::Limits;
use serde_json::json;

use crate::harness::{EVENTS, Surface, event};

#[actix_web::test]
async fn every_ingest_answer_says_where_the_tenant_stands() {
    let surface = Surface::with(Limits { per_minute: 2, burst: 1 }, |_| {}).await;

    let accepted = surface.post(EVENTS, &event("a")).await;
    accepted.ok();
    assert_eq!(accepted.header("ratelimit"), r#""minute";r=1;t=61, "burst";r=0;t=2"#.to_owned());
    assert!(accepted.header("ratelimit-policy").starts_with("\"minute\";q=2;w=60"));

    let throttled = surface.post(EVENTS, &event("b")).await;
    assert_eq!(throttled.problem(), (429, "rate_limited".to_owned()));
    let problem = throttled.json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!(problem["violated-policies"], json!(["burst"]));
    assert_eq!((&problem["event_id"], &problem["retryable"]), (&json!("b"), &json!(true)));

    // At the limit, what was stored is still answered.
    assert_eq!(surface.post(EVENTS, &event("a")).await.ok()["status"], "duplicate");

    let invalid = surface.post(EVENTS, &json!({})).await;
    for answer in [&accepted, &throttled, &invalid] {
        for header in [
            "ratelimit",
            "ratelimit-policy",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ] {
            assert!(answer.headers.contains_key(header), "{} has no {header}", answer.status);
        }
        assert_eq!(answer.header("x-ratelimit-limit"), "2");
    }
}

#[actix_web::test]
async fn the_limit_can_be_asked_for() {
    let surface = Surface::with(Limits::per_minute(1), |_| {}).await;
    let ask = || surface.get("/api/v1/ingestion/rate-limit");
    assert_eq!(
        ask().await.ok(),
        json!({"limit": 1, "remaining": 1, "reset_time": "2027-01-15T08:00:00Z", "window_size_seconds": 60, "exceeded": false})
    );
    surface.post(EVENTS, &event("a")).await.ok();
    let used = ask().await.ok();
    assert_eq!((&used["remaining"], &used["exceeded"]), (&json!(0), &json!(true)));
}

#[actix_web::test]
async fn beyond_the_cap_only_probes_get_in() {
    let surface = Surface::with(Limits::default(), |parts| parts.settings.max_requests_in_flight = 0).await;
    let refused = surface.post(EVENTS, &event("a")).await;
    assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
    for probe in ["/livez", "/health", "/readyz", "/api/v1/ingestion/health"] {
        surface.get(probe).await.ok();
    }
}

#[actix_web::test]
async fn what_a_busy_worker_comes_to_late_is_refused_and_then_it_is_well_again() {
    let max_lag = Duration::from_millis(20);
    let surface = Surface::with(Limits::default(), |parts| parts.settings.max_lag = max_lag).await;
    let app = test::init_service(app(surface.state.clone())).await;
    let send = async |id: &str| {
        let request = surface.request(Method::POST, EVENTS).set_json(event(id));
        app.call(request.to_request()).await.expect("it is answered").status().as_u16()
    };
    let probe = async || {
        app.call(surface.request(Method::GET, "/livez").to_request()).await.expect("it is answered").status()
    };
    // All of these have arrived when the worker comes to the first.
    let late = async {
        std::thread::sleep(2 * max_lag);
        join!(send("b"), send("c"), probe())
    };
    assert_eq!(join!(send("a"), late), (200, (503, 503, StatusCode::OK)));
    for id in ["b", "c"] {
        assert_eq!(surface.get(&format!("{EVENTS}/{id}")).await.problem(), (404, "not_found".to_owned()));
    }
    assert_eq!(send("b").await, 200);
}

#[actix_web::test]
async fn beyond_their_cap_exports_are_refused() {
    let surface = Surface::with(Limits::default(), |parts| parts.settings.max_exports = 0).await;
    let refused = surface.get(&format!("{EVENTS}/export")).await;
    assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
}
