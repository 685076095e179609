//! People: who they are, what they may do, and for how long.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use pulsestream_tests::{
    Answer, App, Client, Combination, Person, Trial, command, event_with_id, on_all_four,
    person::{PASSWORD, with_token},
    token, unique,
};
use reqwest::Method;
use serde_json::{Value, json};

const SEARCH: &str = "/api/v1/ingestion/events/search";
const LOGIN: &str = "/api/v1/auth/login";
const REFRESH: &str = "/api/v1/auth/refresh";
const USERS: &str = "/api/v1/auth/users";
const KEYS: &str = "/api/v1/auth/api-keys";
const BOOK: &str = "/api/v1/auth/audit-log";
/// How long somebody who was shut out may still get in, on any instance.
const REVOCATION: Duration = Duration::from_secs(5);

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![
        a_tenant_registers_and_its_owner_gets_in,
        tokens_that_are_not_ours_open_nothing,
        a_token_is_good_from_a_minute_before_to_a_minute_after_its_time,
        what_belongs_to_another_tenant_is_the_same_as_nothing,
        wrong_passwords_hold_an_account_up_on_every_instance_that_shares_a_limiter,
        many_accounts_from_one_address_are_held_up,
        a_password_of_a_mebibyte_is_refused_before_it_is_hashed,
        a_refresh_token_that_comes_twice_ends_the_session_on_every_instance,
        who_is_shut_out_is_out_within_five_seconds_on_every_instance,
        a_signed_request_is_taken_once_by_all_instances,
        a_password_is_reset_with_a_link_of_the_command_line,
        the_book_tells_what_was_done_over_http_and_at_the_command_line,
    ]
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

async fn a_tenant_registers_and_its_owner_gets_in(combination: Combination) {
    let app = App::shared(combination).await;
    let slug = unique("registered");
    let body = json!({"name": "Acme", "slug": slug, "contact_email": "owner@acme.example"});
    let made = app.anonymous().post("/api/v1/auth/register/tenant", &body).await.expect(200).json();
    let with_key = app.anonymous().with_key(&text(&made["api_key"]));
    with_key.send(&event_with_id("first")).await.expect(200);

    let login = async |password: &str| {
        let body = json!({"email": "Owner@Acme.example", "password": password, "tenant_slug": slug});
        app.anonymous().post(LOGIN, &body).await
    };
    let once = text(&made["owner"]["one_time_password"]);
    let owner = with_token(&app, &login(&once).await.expect(200).json());
    assert_eq!(owner.get(SEARCH).await.expect(403).code(), "password_change_required");
    let change = json!({"current_password": once, "new_password": PASSWORD});
    owner.post("/api/v1/auth/change-password", &change).await.expect(200);

    assert_eq!(owner.found(&[]).await, ["first"]);
    login(PASSWORD).await.expect(200);
    assert_eq!(
        app.anonymous().post("/api/v1/auth/register/tenant", &body).await.expect(409).code(),
        "slug_taken"
    );
}

#[track_caller]
fn without_request_id(refused: &Answer) -> Value {
    assert_eq!(refused.status, 401, "{}", refused.text());
    let mut body = refused.json();
    body.as_object_mut().expect("a problem").remove("request_id");
    body
}

async fn tokens_that_are_not_ours_open_nothing(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let tokens = Person::create(&app, &tenant, "owner").await.tokens(&app).await;
    let good = text(&tokens["access_token"]);
    app.anonymous().with_token(&good).get(SEARCH).await.expect(200);
    let expected = without_request_id(&app.anonymous().get(SEARCH).await);

    let (secret, claims) = (app.ground().secret_key(), token::claims(&good));
    let by_hand = token::token(secret, &token::header(), &claims);
    app.anonymous().with_token(&by_hand).get(SEARCH).await.expect(200);
    let mut bad: Vec<String> = Vec::new();
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS384")),
        ("alg", json!("RS256")),
        ("kid", json!("unknown")),
        ("kid", json!("../../dev/null")),
        ("kid", json!("' UNION SELECT 'x")),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/cert")),
        ("jwk", json!({"kty": "oct", "k": "AA"})),
        ("crit", json!(["exp"])),
    ] {
        let mut header = token::header();
        header[name] = value;
        bad.push(token::token(secret, &header, &claims));
    }
    let (signed, _) = good.rsplit_once('.').expect("three parts");
    bad.push(format!("{signed}."));
    bad.push(format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(token::tag("another secret of 32 bytes or more", signed))
    ));
    for (name, value) in [
        ("iss", json!("somebody")),
        ("aud", json!("somebody")),
        ("typ", json!("refresh")),
        ("tenant", json!("00000000-0000-0000-0000-000000000000")),
        ("sub", json!("00000000-0000-0000-0000-000000000000")),
        ("sid", json!("00000000-0000-0000-0000-000000000000")),
        ("role", json!("owner")),
    ] {
        let mut changed = claims.clone();
        changed[name] = value;
        bad.push(token::token(secret, &token::header(), &changed));
    }
    bad.push(text(&tokens["refresh_token"]));
    for token in bad {
        let refused = app.anonymous().with_token(&token).get(SEARCH).await;
        assert_eq!(without_request_id(&refused), expected, "{token}");
    }
}

async fn a_token_is_good_from_a_minute_before_to_a_minute_after_its_time(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let tokens = Person::create(&app, &tenant, "viewer").await.tokens(&app).await;
    let claims = token::claims(&text(&tokens["access_token"]));
    let now = claims["iat"].as_i64().expect("a number");

    for (name, value, status) in [
        ("exp", json!(now - 5), 200),
        ("exp", json!(now - 61), 401),
        ("exp", json!(1e20), 401),
        ("exp", json!((now + 600).to_string()), 401),
        ("exp", Value::Null, 401),
        // The server's clock goes on while this runs: well beyond the minute.
        ("nbf", json!(now + 30), 200),
        ("nbf", json!(now + 130), 401),
        ("iat", json!(now + 130), 401),
    ] {
        let mut changed = claims.clone();
        changed[name] = value.clone();
        let token = token::token(app.ground().secret_key(), &token::header(), &changed);
        let answer = app.anonymous().with_token(&token).get(SEARCH).await;
        assert_eq!(answer.status, status, "{name} {value}: {}", answer.text());
    }
}

async fn what_belongs_to_another_tenant_is_the_same_as_nothing(combination: Combination) {
    let app = App::shared(combination).await;
    let (tenant, other) = (app.tenant().await, app.tenant().await);
    let owner = with_token(&app, &Person::create(&app, &tenant, "owner").await.tokens(&app).await);
    let stranger = Person::create(&app, &other, "viewer").await;
    let key = other.create_key(&app, &["--scope", "events:read"]).await;

    let user = |id: &str| (Method::PUT, format!("{USERS}/{id}"));
    let rotated = |id: &str| (Method::POST, format!("{KEYS}/{id}/rotate"));
    let revoked = |id: &str| (Method::DELETE, format!("{KEYS}/{id}"));
    for [foreign, missing, malformed] in [
        [user(&stranger.id), user("0190aaaa-bbbb-7ccc-8ddd-111122223333"), user("x")],
        [rotated(&key.id), rotated("AAAAAAAA"), rotated("%00")],
        [revoked(&key.id), revoked("AAAAAAAA"), revoked("..%2f")],
    ] {
        let ask = async |(method, path): (Method, String)| {
            let request = owner.request(method, &path).json(&json!({}));
            let mut body = owner.execute(request).await.expect(404).json();
            body.as_object_mut().expect("a problem").remove("request_id");
            body
        };
        let expected = ask(missing).await;
        assert_eq!(ask(foreign).await, expected);
        assert_eq!(ask(malformed).await["code"], "not_found");
    }
    stranger.tokens(&app).await;
    key.client.get(SEARCH).await.expect(200);
    let listed = owner.get(USERS).await.expect(200).json();
    assert_eq!(listed["total_count"], 1);
    assert!(!owner.get(BOOK).await.expect(200).text().contains(&stranger.id));
}

async fn wrong_passwords_hold_an_account_up_on_every_instance_that_shares_a_limiter(
    combination: Combination,
) {
    let app = App::start(combination).await;
    let other = app.another().await;
    let tenant = app.tenant().await;
    let (ann, bob) =
        (Person::create(&app, &tenant, "viewer").await, Person::create(&app, &tenant, "viewer").await);

    let mut statuses = Vec::new();
    for _ in 0..20 {
        let wrong = ann.login(&app, "wrong horse battery").await;
        if wrong.status == 429 {
            assert_eq!(wrong.code(), "too_many_tries");
            assert!((1..=61).contains(&wrong.number("Retry-After")));
        }
        statuses.push(wrong.status);
    }
    assert_eq!(statuses, [[401; 10], [429; 10]].concat());

    assert_eq!(ann.login(&app, PASSWORD).await.status, 429, "the right password is held up as well");
    bob.tokens(&app).await;
    let is_shared = combination.to_string().ends_with("redis");
    let elsewhere = ann.login(&other, PASSWORD).await.status;
    assert_eq!(elsewhere, if is_shared { 429 } else { 200 });
}

async fn many_accounts_from_one_address_are_held_up(combination: Combination) {
    let app = App::start(combination).await;
    let mut refused = 0;
    for number in 0..80 {
        let email = format!("nobody-{number}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "tenant_slug": "default"});
        let answer = app.anonymous().post(LOGIN, &body).await;
        assert!([401, 429].contains(&answer.status), "{}", answer.text());
        refused += u32::from(answer.status == 429);
    }
    // A slow machine may take longer than the minute for all of them.
    assert!(refused >= 1, "{refused}");
}

async fn a_password_of_a_mebibyte_is_refused_before_it_is_hashed(combination: Combination) {
    let app = App::shared(combination).await;
    for (bytes, status) in [(1 << 20, 422), (3 << 20, 413)] {
        let body = json!({"email": "a@example.com", "password": "x".repeat(bytes), "tenant_slug": "default"});
        let begun = Instant::now();
        let refused = app.anonymous().post(LOGIN, &body).await.expect(status);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        if status == 422 {
            assert_eq!(refused.json()["errors"][0]["pointer"], "/password");
        }
    }
}

async fn a_refresh_token_that_comes_twice_ends_the_session_on_every_instance(combination: Combination) {
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.tenant().await;
    let first = Person::create(&app, &tenant, "viewer").await.tokens(&app).await;
    let refresh = async |app: &App, token: &Value| {
        app.anonymous().post(REFRESH, &json!({"refresh_token": token})).await
    };

    let second = refresh(&other, &first["refresh_token"]).await.expect(200).json();
    with_token(&app, &second).get(SEARCH).await.expect(200);
    refresh(&app, &first["refresh_token"]).await.expect(401);

    refresh(&app, &second["refresh_token"]).await.expect(401);
    refresh(&other, &second["refresh_token"]).await.expect(401);
    let since = Instant::now();
    for instance in [&*app, &other] {
        until(&with_token(instance, &second), 401, REVOCATION.saturating_sub(since.elapsed())).await;
    }
}

async fn who_is_shut_out_is_out_within_five_seconds_on_every_instance(combination: Combination) {
    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.tenant().await;
    let owner = with_token(&app, &Person::create(&app, &tenant, "owner").await.tokens(&app).await);
    let (left, disabled) =
        (Person::create(&app, &tenant, "viewer").await, Person::create(&app, &tenant, "viewer").await);
    let demoted = Person::create(&app, &tenant, "admin").await;
    let (left, gone, lower) =
        (left.tokens(&app).await, disabled.tokens(&app).await, demoted.tokens(&app).await);
    for instance in [&*app, &other] {
        for tokens in [&left, &gone, &lower] {
            with_token(instance, tokens).get(SEARCH).await.expect(200);
        }
        with_token(instance, &lower).get(USERS).await.expect(200);
    }

    with_token(&app, &left).post("/api/v1/auth/logout", &json!({})).await.expect(200);
    owner.put(&format!("{USERS}/{}", disabled.id), &json!({"is_active": false})).await.expect(200);
    let mut set_role = command::program(app.ground(), app.settings());
    set_role.args(["user", "set-role", &demoted.email, "viewer", "--tenant", &tenant.slug, "--json"]);
    command::json(set_role).await;

    let since = Instant::now();
    for instance in [&*app, &other] {
        let left_over = || REVOCATION.saturating_sub(since.elapsed());
        until(&with_token(instance, &left), 401, left_over()).await;
        until(&with_token(instance, &gone), 401, left_over()).await;
        let admin = with_token(instance, &lower);
        until_at(&admin, USERS, 403, left_over()).await;
        admin.get(SEARCH).await.expect(200);
    }
    disabled.login(&other, PASSWORD).await.expect(401);
}

async fn until(client: &Client, status: u16, within: Duration) {
    until_at(client, SEARCH, status, within).await;
}

async fn until_at(client: &Client, path: &str, status: u16, within: Duration) {
    // What a slow machine needs for one more request.
    let deadline = Instant::now() + within + Duration::from_millis(500);
    while client.get(path).await.status != status {
        assert!(Instant::now() < deadline, "no {status} within {within:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_signed_request_is_taken_once_by_all_instances(combination: Combination) {
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};

    let app = App::shared(combination).await;
    let other = app.another().await;
    let tenant = app.tenant().await;
    let admin = with_token(&app, &Person::create(&app, &tenant, "admin").await.tokens(&app).await);
    let body = json!({"name": "signed", "require_signature": true});
    let made = admin.post(KEYS, &body).await.expect(200).json();
    let secret = text(&made["signing_secret"]);
    let secret = STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix")).expect("base 64");
    let now = token::claims(&text(
        &Person::create(&app, &tenant, "viewer").await.tokens(&app).await["access_token"],
    ));
    let now = now["iat"].as_i64().expect("a number");

    let send = async |app: &App, message: &str, signed: &str, sent: &str| {
        let mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).expect("HMAC takes keys of any length");
        let tag = mac.chain_update(format!("{message}.{now}.{signed}")).finalize().into_bytes();
        let client = app.anonymous().with_key(&text(&made["api_key"]));
        let request = client
            .request(Method::POST, "/api/v1/ingestion/events")
            .header("Content-Type", "application/json")
            .header("webhook-id", message)
            .header("webhook-timestamp", now)
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(tag)))
            .body(sent.to_owned());
        client.execute(request).await
    };
    let (one, two) = (event_with_id("one").to_string(), event_with_id("two").to_string());
    send(&app, "m1", &one, &one).await.expect(200);
    for instance in [&*app, &other] {
        assert_eq!(send(instance, "m1", &one, &one).await.expect(401).code(), "bad_signature");
        assert_eq!(send(instance, "m2", &one, &two).await.expect(401).code(), "bad_signature");
    }
    send(&other, "m2", &two, &two).await.expect(200);
    let unsigned = app.anonymous().with_key(&text(&made["api_key"]));
    assert_eq!(unsigned.send(&event_with_id("three")).await.expect(401).code(), "bad_signature");
    let mut found = tenant.found(&[]).await;
    found.sort();
    assert_eq!(found, ["one", "two"]);
}

async fn a_password_is_reset_with_a_link_of_the_command_line(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let person = Person::create(&app, &tenant, "viewer").await;
    let before = with_token(&app, &person.tokens(&app).await);
    let mut reset = command::program(app.ground(), app.settings());
    reset.args(["user", "reset-password", &person.email, "--tenant", &tenant.slug, "--json"]);
    let made = command::json(reset).await;
    let token = text(&made["token"]);
    assert!(text(&made["link"]).ends_with(&format!("#{token}")));

    let confirm = async |token: &str| {
        let body = json!({"token": token, "new_password": "staple correct horse"});
        app.anonymous().post("/api/v1/auth/password-reset/confirm", &body).await
    };
    confirm(&token[..token.len() - 1]).await.expect(400);
    confirm(&token).await.expect(200);
    assert_eq!(confirm(&token).await.expect(400).code(), "invalid_token");
    person.login(&app, "staple correct horse").await.expect(200);
    person.login(&app, PASSWORD).await.expect(401);
    until(&before, 401, REVOCATION).await;
}

async fn the_book_tells_what_was_done_over_http_and_at_the_command_line(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;
    let person = Person::create(&app, &tenant, "owner").await;
    let owner = with_token(&app, &person.tokens(&app).await);
    let request = owner.request(Method::POST, KEYS).header("X-Request-Id", "made-over-http");
    owner.execute(request.json(&json!({"name": "ci"}))).await.expect(200);

    let mut audit = command::program(app.ground(), app.settings());
    audit.args(["audit", "--tenant", &tenant.slug, "--json"]);
    let printed = command::json(audit).await;
    let told = owner.get(BOOK).await.expect(200).json()["entries"].clone();

    assert_eq!(printed, told);
    let mut lines: Vec<(String, String)> = Vec::new();
    for entry in told.as_array().expect("an array").iter().rev() {
        let actor = text(&entry["actor"]).replace(&person.id, "owner");
        lines.push((text(&entry["action"]), actor));
        let from_http = text(&entry["actor"]) != "operator";
        assert_eq!(entry["ip"].is_string() && entry["request_id"].is_string(), from_http, "{entry}");
    }
    let expected = [
        ("tenant.created", "operator"),
        ("key.created", "operator"),
        ("user.created", "operator"),
        ("login.succeeded", "user:owner"),
        ("password.changed", "user:owner"),
        ("login.succeeded", "user:owner"),
        ("key.created", "user:owner"),
    ];
    assert_eq!(lines, expected.map(|(action, actor)| (action.to_owned(), actor.to_owned())));
    assert_eq!(told[0]["request_id"], "made-over-http");

    let changed = app.ground().try_execute("UPDATE audit_log SET actor = 'operator'").await;
    assert!(changed.expect_err("it has to be refused").contains("append-only"));
}
