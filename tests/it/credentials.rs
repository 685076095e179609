//! Who may do what, and what strangers are told: nothing.

use std::time::{Duration, Instant};

use pulsestream_tests::{
    Answer, App, Client, Combination, Overheard, Person, Trial, event, event_with_id, on_all_four,
    person::with_token,
};
use reqwest::Method;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::corpus::names::forged;

const SEARCH: &str = "/api/v1/ingestion/events/search";
/// How long a revoked key may still be taken, on any instance.
const REVOCATION: Duration = Duration::from_secs(5);
/// How often each kind of refusal is timed.
const ROUNDS: usize = 101;

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        a_key_is_taken_in_either_header,
        strangers_all_get_the_same_answer,
        a_key_may_do_what_its_scopes_say,
        how_long_a_refusal_takes_tells_nothing_of_a_key,
        an_expired_key_is_refused,
        a_revoked_key_is_refused_within_five_seconds_on_every_instance,
        an_export_ends_within_five_seconds_after_its_credential_was_revoked_elsewhere,
        another_tenants_event_is_the_same_as_no_event,
        nothing_of_another_tenant_is_seen,
    ]
}

async fn a_key_is_taken_in_either_header(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let bearer = format!("Bearer {}", tenant.key);

    for (name, value) in [("X-API-Key", tenant.key.as_str()), ("Authorization", &bearer)] {
        let request = app.anonymous().request(Method::GET, SEARCH).header(name, value);
        app.anonymous().execute(request).await.expect(200);
    }
    let in_query = app.anonymous().get(&format!("{SEARCH}?api_key={}", tenant.key)).await;
    assert!([401, 422].contains(&in_query.status), "keys don't belong in addresses");
}

async fn strangers_all_get_the_same_answer(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let revoked = tenant.create_key(&app, &["--scope", "events:read"]).await;
    tenant.revoke_key(&app, &revoked.id).await;
    let expired = tenant.create_key(&app, &["--scope", "events:read", "--expires-at", &in_seconds(2)]).await;
    until_refused(&expired.client, Duration::from_secs(2) + REVOCATION).await;
    let mut mistyped = tenant.key.clone();
    mistyped.replace_range(mistyped.len() - 1.., if mistyped.ends_with('0') { "1" } else { "0" });

    let missing = app.anonymous().get(SEARCH).await;
    let expected = without_request_id(&missing);
    for stranger in
        ["short", "ps_live_unknown", "an-adopted-key-of-nobody", &mistyped, &revoked.key, &expired.key]
    {
        let refused = app.anonymous().with_key(stranger).get(SEARCH).await;
        assert_eq!(without_request_id(&refused), expected, "{stranger}");
        let posted = app.anonymous().with_key(stranger).send(&event(json!({}))).await;
        assert_eq!(without_request_id(&posted), expected, "{stranger}");
    }
    let basic = app.anonymous().request(Method::GET, SEARCH).header("Authorization", "Basic YTpi");
    assert_eq!(without_request_id(&app.anonymous().execute(basic).await), expected);
}

#[track_caller]
fn without_request_id(refused: &Answer) -> Value {
    assert_eq!(refused.status, 401, "{}", refused.text());
    assert!(refused.header("WWW-Authenticate").starts_with("Bearer"));
    let mut body = refused.json();
    body.as_object_mut().expect("a problem").remove("request_id");
    body
}

async fn a_key_may_do_what_its_scopes_say(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    tenant.send(&event_with_id("one")).await.expect(200);

    let (read, write) = ("events:read", "events:write");
    for (scopes, may_read, may_write) in [
        (vec![read], true, false),
        (vec![write], false, true),
        (vec![read, write], true, true),
        (vec!["rules:write"], false, false),
    ] {
        let options: Vec<&str> = scopes.iter().flat_map(|scope| ["--scope", scope]).collect();
        let client = tenant.create_key(&app, &options).await.client;
        let answer_to = |may: bool, answer: Answer| {
            let status = answer.status;
            assert_eq!(status, if may { 200 } else { 403 }, "{scopes:?}: {}", answer.text());
            if !may {
                assert_eq!(answer.code(), "insufficient_scope");
            }
        };
        for path in [
            "events/search",
            "events/one",
            "stats",
            "events/histogram?interval=1h",
            "events/export?format=csv",
        ] {
            answer_to(may_read, client.get(&format!("/api/v1/ingestion/{path}")).await);
        }
        answer_to(may_write, client.send(&event(json!({}))).await);
        answer_to(may_write, client.send_batch(&[event(json!({}))]).await);
        answer_to(may_write, client.post("/api/v1/ingestion/events/one/retry", &json!({})).await);
    }
}

async fn how_long_a_refusal_takes_tells_nothing_of_a_key(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let revoked = tenant.create_key(&app, &["--scope", "events:read"]).await;
    tenant.revoke_key(&app, &revoked.id).await;
    until_refused(&revoked.client, REVOCATION).await;
    let unknown = app.anonymous().with_key(&forged(&tenant.key));
    unknown.get(SEARCH).await.expect(401);

    // Turn by turn, so that what else the machine does meets both alike. The middle one of many tells nothing of a
    // moment that was slow.
    let (mut of_revoked, mut of_unknown) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (client, times) in [(&revoked.client, &mut of_revoked), (&unknown, &mut of_unknown)] {
            let begun = Instant::now();
            client.get(SEARCH).await.expect(401);
            times.push(begun.elapsed());
        }
    }
    let middle = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let (known, unknown) = (middle(of_revoked), middle(of_unknown));
    let (less, more) = (known.min(unknown), known.max(unknown));
    assert!(
        more < less * 2 + Duration::from_millis(2),
        "a key that was {known:?}, one that never was {unknown:?}"
    );
}

async fn an_expired_key_is_refused(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let expiring = async |seconds| {
        let options = ["--scope", "events:read", "--expires-at", &in_seconds(seconds)];
        tenant.create_key(&app, &options).await.client
    };
    let (brief, lasting) = (expiring(2).await, expiring(3_600).await);

    lasting.get(SEARCH).await.expect(200);
    until_refused(&brief, Duration::from_secs(2) + REVOCATION).await;
    lasting.get(SEARCH).await.expect(200);
}

async fn a_revoked_key_is_refused_within_five_seconds_on_every_instance(combination: Combination) {
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.tenant().await;
    let made = tenant.create_key(&app, &["--scope", "events:read"]).await;
    let clients = [made.client, other.anonymous().with_key(&made.key)];
    for client in &clients {
        client.get(SEARCH).await.expect(200);
    }

    tenant.revoke_key(&app, &made.id).await;

    let revoked = Instant::now();
    for client in &clients {
        until_refused(client, REVOCATION.saturating_sub(revoked.elapsed())).await;
    }
    tenant.get(SEARCH).await.expect(200);
}

async fn an_export_ends_within_five_seconds_after_its_credential_was_revoked_elsewhere(
    combination: Combination,
) {
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.unlimited_tenant().await;
    for batch in 0..8 {
        let large = |number| {
            event(json!({"event_id": format!("{batch}-{number}"), "payload": {"blob": "x".repeat(500_000)}}))
        };
        tenant.send_batch(&(0..10).map(large).collect::<Vec<_>>()).await.expect(200);
    }
    let made = tenant.create_key(&app, &["--scope", "events:read"]).await;
    let owner = with_token(&app, &Person::create(&app, &tenant, "owner").await.tokens(&app).await);
    let viewer = Person::create(&app, &tenant, "viewer").await;
    let token = viewer.tokens(&app).await;
    let token = token["access_token"].as_str().expect("a token");
    let mut exports = [export(&other, &made.key).await, export(&other, token).await];

    tenant.revoke_key(&app, &made.id).await;
    owner.put(&format!("/api/v1/auth/users/{}", viewer.id), &json!({"is_active": false})).await.expect(200);
    sleep(REVOCATION).await;

    for export in &mut exports {
        let mut rest = Vec::new();
        // Cut off or reset: it is all the same to somebody who may not have it.
        let _ = export.read_to_end(&mut rest).await;
        assert!(rest.len() < 30_000_000, "what the system held back, and not all 40 MB: {}", rest.len());
        assert!(!rest.ends_with(b"\r\n0\r\n\r\n"), "it ends as if it were whole");
    }
}

/// An export that has begun, and of which no more is read for now.
async fn export(app: &App, credential: &str) -> Overheard<TcpStream> {
    let mut stream = app.connect().await;
    let request = format!(
        "GET /api/v1/ingestion/events/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {credential}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut begun = [0; 4_096];
    stream.read_exact(&mut begun).await.expect("it begins");
    assert!(begun.starts_with(b"HTTP/1.1 200 "));
    stream
}

/// This many seconds from now, as the command line takes times.
#[expect(clippy::disallowed_methods, reason = "the server under test expires keys by the real clock")]
pub(crate) fn in_seconds(seconds: u64) -> String {
    let at = OffsetDateTime::now_utc() + Duration::from_secs(seconds);
    at.format(&Rfc3339).expect("a time of this century")
}

async fn until_refused(client: &Client, within: Duration) {
    // What a slow machine needs for one more request.
    let deadline = Instant::now() + within + Duration::from_millis(500);
    while client.get(SEARCH).await.status != 401 {
        assert!(Instant::now() < deadline, "still taken after {within:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn another_tenants_event_is_the_same_as_no_event(combination: Combination) {
    let app = App::shared(combination).await;
    let (owner, stranger) = (app.tenant().await, app.tenant().await);
    owner.send(&event_with_id("mine")).await.expect(200);

    for (method, suffix) in [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/retry")] {
        let ask = async |id: &str| {
            let path = format!("/api/v1/ingestion/events/{id}{suffix}");
            let answer = stranger.execute(stranger.request(method.clone(), &path)).await.expect(404);
            let mut body = answer.json();
            body.as_object_mut().expect("a problem").remove("request_id");
            let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
            headers.sort_unstable();
            (body, headers)
        };
        assert_eq!(ask("mine").await, ask("none").await, "{method} {suffix}");
    }
    owner.event("mine").await.expect(200);
}

async fn nothing_of_another_tenant_is_seen(combination: Combination) {
    let app = App::shared(combination).await;
    let (owner, stranger) = (app.tenant().await, app.tenant().await);
    owner
        .send(&event(json!({"title": "zanzibar", "metrics": {"response_time_ms": 1, "status_code": 500}})))
        .await
        .expect(200);

    for path in [
        "events/search",
        "events/search?q=zanzibar",
        "stats",
        "events/histogram?interval=1h",
        "events/facets?field=service",
        "events/export?format=ndjson",
        "events/export?format=csv",
    ] {
        let seen = stranger.get(&format!("/api/v1/ingestion/{path}")).await.expect(200).text();
        for word in ["zanzibar", "shop", owner.id.as_str()] {
            assert!(!seen.contains(word), "{path} shows {word}: {seen}");
        }
    }
    assert_eq!(stranger.get("/api/v1/ingestion/stats").await.json()["total_events"], 0);
    assert_eq!(stranger.found(&[]).await, [""; 0]);
}
