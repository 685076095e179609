//! Secrets stay where they belong: a server that logs everything is used and misused with known ones, and then
//! whatever came out of it is looked through.
//!
//! A panic can't be provoked from outside; of one the log has the place and the message, and no type that holds a
//! secret shows it in `Debug`.

mod scanner;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pulsestream_testing::shared;
use pulsestream_tests::{
    Answer, App, Client, Combination, Database, Tenant, Trial, command, event_with_id, on_some, once,
    person::with_token, unique,
};
use reqwest::Method;
use scanner::Scanner;
use serde_json::{Value, json};

use crate::{alerting::Receiver, mail_server::MailServer};

const EACH_DATABASE: [Combination; 2] = [Combination::SQLITE, Combination::POSTGRES];
const LOGIN: &str = "/api/v1/auth/login";
const CHANNELS: &str = "/api/v1/alerting/channels";

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_some!(
        &EACH_DATABASE, within Duration::from_secs(180);
        no_secret_is_in_anything_that_comes_out,
    );
    all.extend(once![the_scanner_finds_a_secret_however_it_is_written]);
    all
}

async fn the_scanner_finds_a_secret_however_it_is_written() {
    let secret = "psr_0123456789-secret";
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = |before: &str| BASE64.encode(format!("{before}{secret} and more"));
    for text in
        [secret.to_owned(), hex.to_uppercase(), hex, base64(""), base64("a"), base64("ab"), base64("abc")]
    {
        let mut scanner = Scanner::default();
        scanner.plant("refresh token", secret);
        scanner.scan("log", format!("{{\"message\":\"{text}\"}}"));
        assert_eq!(scanner.hits().len(), 1, "{text}");
    }
    let mut scanner = Scanner::default();
    scanner.plant("refresh token", secret);
    scanner.scan("log", "psr_0123456789-secre nothing else");
    assert!(scanner.hits().is_empty());
}

/// A server with planted settings, and what is known of them.
struct Stage {
    app: App,
    scanner: Scanner,
    mails: MailServer,
    // Dropped last: the server uses it.
    _database: Option<pulsestream_testing::databases::FreshDatabase>,
}

async fn no_secret_is_in_anything_that_comes_out(combination: Combination) {
    let mut stage = start(combination).await;
    let tenant = stage.app.tenant().await;
    let credentials = people_and_keys(&mut stage, &tenant).await;
    channels(&mut stage, &tenant, &credentials[0]).await;
    every_operation(&mut stage, &credentials).await;
    starts_that_fail(&mut stage).await;

    let Stage { app, mut scanner, mails, _database } = stage;
    let metrics = app.anonymous().get("/metrics").await.expect(200);
    scanner.scan("metrics", &metrics.body);
    let print = run(&app, &["config", "print"], &[]).await;
    assert!(print.status.success());
    scanner.scan("config print", print.stdout);
    let cmdline = fs::read(format!("/proc/{}/cmdline", app.process().pid())).expect("it runs");
    scanner.scan("process arguments", cmdline);
    scanner.scan("log", app.process().log());
    for dump in dump(&app) {
        scanner.scan("database", dump);
    }
    drop(mails);

    println!("{combination}: {} secrets, bytes looked through: {:?}", scanner.secrets(), scanner.scanned());
    assert!(scanner.secrets() >= 12, "{}", scanner.secrets());
    assert!(scanner.scanned().values().all(|bytes| *bytes > 0), "{:?}", scanner.scanned());
    let log = app.process().log();
    for said in [r#""level":"DEBUG""#, "a mail about an account was not sent"] {
        assert!(log.contains(said), "what was to go wrong did not: {said}");
    }
    assert_eq!(scanner.hits(), [""; 0]);
}

async fn start(combination: Combination) -> Stage {
    let mut scanner = Scanner::default();
    let mut made = |name: &'static str| {
        let secret = random();
        scanner.plant(name, &secret);
        secret
    };
    let mails = MailServer::start().await;
    // One that the mail server does not take, so that it is the talk of an error.
    let mut builder = mails.used_by(App::builder(combination), &made("SMTP password"));
    builder = builder
        .set("log.filter", "debug")
        .set("auth.secret_key", made("auth.secret_key"))
        .set("alerting.secret_key", made("alerting.secret_key"))
        // Nobody listens there, which is said every time it is tried.
        .set("redis.url", format!("redis://user:{}@127.0.0.1:1/", made("Redis password")))
        .set("alerting.allow_http", true)
        .set("alerting.allow_private_destinations", true)
        .set("alerting.private_ports", "1024-65535");
    let mut database = None;
    if combination.database == Database::Postgres {
        let fresh = shared::databases().and_then(|all| all.fresh()).expect("there is a PostgreSQL");
        let user = format!("postgres:{}@", made("PostgreSQL password"));
        builder = builder.postgres(fresh.url().replacen("postgres@", &user, 1));
        database = Some(fresh);
    }
    Stage { app: builder.start().await, scanner, mails, _database: database }
}

/// 32 letters and digits that nothing else has.
#[expect(
    clippy::disallowed_methods,
    reason = "a secret that could be foretold would be in other places as well"
)]
fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Logs in and out, rightly and wrongly; answers with the owner, a key that may do everything, and nobody.
async fn people_and_keys(stage: &mut Stage, tenant: &Tenant) -> [Client; 3] {
    let Stage { app, scanner, .. } = stage;
    scanner.plant("API key", &tenant.key);
    tenant.send(&event_with_id("first")).await.expect(200);
    let email = format!("{}@example.com", unique("owner"));
    let made =
        cli(app, &["user", "create", &email, "--tenant", &tenant.slug, "--role", "owner", "--json"]).await;
    let (once, password, wrong) = (text(&made, "one_time_password"), random(), random());
    scanner.plant("one-time password", &once);
    scanner.plant("password", &password);
    scanner.plant("wrong password", &wrong);
    let login = async |password: &str| {
        let body = json!({"email": email, "password": password, "tenant_slug": tenant.slug});
        app.anonymous().post(LOGIN, &body).await
    };
    let first = login(&once).await.expect(200).json();
    let change = json!({"current_password": once, "new_password": password});
    with_token(app, &first).post("/api/v1/auth/change-password", &change).await.expect(200);
    scanner.scan("error bodies", login(&wrong).await.expect(401).body);
    let tokens = login(&password).await.expect(200).json();
    let refresh = json!({"refresh_token": text(&tokens, "refresh_token")});
    let renewed = app.anonymous().post("/api/v1/auth/refresh", &refresh).await.expect(200).json();
    for tokens in [&first, &tokens, &renewed] {
        let access = text(tokens, "access_token");
        let (_, signature) = access.rsplit_once('.').expect("three parts");
        scanner.plant("signature of an access token", signature);
        scanner.plant("refresh token", text(tokens, "refresh_token"));
    }
    let owner = with_token(app, &renewed);

    let reset = cli(app, &["user", "reset-password", &email, "--tenant", &tenant.slug, "--json"]).await;
    scanner.plant("password reset token", text(&reset, "token"));
    let weak = json!({"token": text(&reset, "token"), "new_password": "short"});
    let refused = app.anonymous().post("/api/v1/auth/password-reset/confirm", &weak).await.expect(422);
    scanner.scan("error bodies", refused.body);
    let invitation = cli(app, &["tenant", "invite", "--hours", "1", "--json"]).await;
    let (_, signature) =
        invitation["invitation"].as_str().and_then(|one| one.rsplit_once('.')).expect("a token");
    scanner.plant("signature of an invitation", signature);
    // The letters fail: the mail server does not take our password.
    let forgotten = json!({"email": email, "tenant_slug": tenant.slug});
    app.anonymous().post("/api/v1/auth/password-reset/request", &forgotten).await.expect(200);

    let signed = json!({"name": "signed", "scopes": ["events:write"], "require_signature": true});
    let signed = owner.post("/api/v1/auth/api-keys", &signed).await.expect(200).json();
    scanner.plant("key that signs", text(&signed, "api_key"));
    scanner.plant("signing secret", text(&signed, "signing_secret"));
    let unsigned = app.anonymous().with_key(&text(&signed, "api_key")).send(&event_with_id("unsigned")).await;
    scanner.scan("error bodies", unsigned.body);
    let misused = tenant.create_key(app, &["--scope", "admin"]).await;
    scanner.plant("API key in an address", &misused.key);
    let old = app.anonymous().get(&format!("/api/v1/ingestion/stats?api_key={}", misused.key)).await;
    scanner.scan("error bodies", old.expect(401).body);
    [owner, misused.client, app.anonymous()]
}

/// Makes, tries, turns and shows channels of each kind.
async fn channels(stage: &mut Stage, tenant: &Tenant, owner: &Client) {
    let receiver = Receiver::answering(tenant, "500 Internal Server Error").await;
    let scanner = &mut stage.scanner;
    let (header, slack, routing_key) = (random(), random(), random());
    scanner.plant("header of a webhook", &header);
    scanner.plant("Slack URL", &slack);
    scanner.plant("PagerDuty routing key", &routing_key);
    for channel in [
        json!({"name": "hook", "type": "webhook", "url": receiver.url(), "headers": {"x-token": header}}),
        json!({"name": "chat", "type": "slack", "url": format!("https://127.0.0.1:1443/services/{slack}")}),
        json!({"name": "pager", "type": "pagerduty", "routing_key": routing_key}),
        json!({"name": "post", "type": "email", "to": ["on-call@example.com"]}),
    ] {
        let made = owner.post(CHANNELS, &channel).await.expect(200).json();
        let path = format!("{CHANNELS}/{}", text(&made["channel"], "id"));
        if let Some(secret) = made["channel"]["secret"].as_str() {
            plant_signing(scanner, secret);
            let turned = owner.post(&format!("{path}/rotate-secret"), &json!({})).await.expect(200).json();
            plant_signing(scanner, &text(&turned, "secret"));
        }
        // PagerDuty is on the internet, where no test goes.
        if channel["type"] != "pagerduty" {
            let tried = owner.post(&format!("{path}/test"), &json!({})).await.expect(200);
            scanner.scan("other bodies", tried.body);
        }
        scanner.scan("other bodies", owner.get(&path).await.expect(200).body);
    }
}

/// As text, and the bytes that the text stands for.
fn plant_signing(scanner: &mut Scanner, secret: &str) {
    let encoded = secret.strip_prefix("whsec_").expect("a secret of webhooks");
    scanner.plant("webhook secret", encoded);
    scanner.plant("webhook secret, decoded", BASE64.decode(encoded).expect("base64"));
}

/// Asks for everything that there is, as everybody, with secrets in places where they don't belong.
async fn every_operation(stage: &mut Stage, credentials: &[Client; 3]) {
    let Stage { app, scanner, .. } = stage;
    let stray = random();
    scanner.plant("secret in a wrong place", &stray);
    let wrong: Value = [
        "email",
        "password",
        "current_password",
        "new_password",
        "token",
        "refresh_token",
        "tenant_slug",
        "url",
        "routing_key",
        "headers",
        "secret",
        "name",
        "slug",
        "condition",
        "scopes",
        "events",
        "to",
        "q",
        "role",
    ]
    .iter()
    .map(|name| ((*name).to_owned(), json!(stray)))
    .collect::<serde_json::Map<_, _>>()
    .into();
    let document = app.anonymous().get("/openapi.json").await.expect(200).json();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let path: String = path.split('/').map(filled).collect::<Vec<_>>().join("/");
        for method in item.as_object().expect("methods").keys() {
            let method: Method = method.to_uppercase().parse().expect("a method");
            for client in credentials {
                let asked = client.request(method.clone(), &format!("{path}?api_key={stray}&token={stray}"));
                let answers = [
                    client.execute(asked).await,
                    client.execute(client.request(method.clone(), &path).json(&wrong)).await,
                    client.execute(client.request(method.clone(), &path).body(format!("{{\"{stray}"))).await,
                ];
                answers.iter().for_each(|answer| scan_answer(scanner, answer));
            }
        }
    }
}

fn scan_answer(scanner: &mut Scanner, answer: &Answer) {
    let surface = if answer.status < 400 { "other bodies" } else { "error bodies" };
    scanner.scan(surface, &answer.body);
    for value in answer.headers.values() {
        scanner.scan("headers", value.as_bytes());
    }
}

/// A segment of a path with its parameter filled in.
fn filled(segment: &str) -> &str {
    match segment {
        "{event_id}" => "first",
        segment if segment.starts_with('{') => "0190aaaa-bbbb-7ccc-8ddd-111122223333",
        segment => segment,
    }
}

/// Starts that end with an error about something secret.
async fn starts_that_fail(stage: &mut Stage) {
    let Stage { app, scanner, .. } = stage;
    let pair = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (one, other) = (pair(), pair());
    let file = |name: &str, text: String| {
        let path = app.ground().directory().join(name);
        fs::write(&path, text).expect("the directory is ours");
        path.display().to_string()
    };
    let der = other.signing_key.serialize_der();
    scanner.plant("TLS private key", &der[der.len() / 2..]);
    let certificate = file("certificate.pem", one.cert.pem());
    let key = file("key.pem", other.signing_key.serialize_pem());
    let password = random();
    scanner.plant("password of a database that is away", &password);
    let away = format!("postgres://user:{password}@127.0.0.1:1/events");
    for settings in [
        vec![("tls.certificate", certificate.as_str()), ("tls.key", key.as_str())],
        vec![("tls.certificate", key.as_str()), ("tls.key", key.as_str())],
        vec![("database.url", away.as_str())],
        vec![("database.url", password.as_str())],
        vec![("auth.secret_key", &password[..16])],
    ] {
        let failed = run(app, &["serve"], &settings).await;
        assert!(!failed.status.success(), "{settings:?}");
        scanner.scan("output of starts that fail", failed.stdout);
        scanner.scan("output of starts that fail", failed.stderr);
    }
}

/// Runs a command beside the server, with other settings over the same.
async fn run(app: &App, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut program = command::program(app.ground(), app.settings());
    settings.iter().for_each(|(path, value)| command::set(&mut program, path, value));
    program.args(arguments);
    command::output(program).await
}

async fn cli(app: &App, arguments: &[&str]) -> Value {
    let mut program = command::program(app.ground(), app.settings());
    program.args(arguments);
    command::json(program).await
}

/// Everything that the database holds, as bytes.
fn dump(app: &App) -> Vec<Vec<u8>> {
    let url = app.ground().database_url();
    if let Some(path) = url.strip_prefix("sqlite://") {
        let read =
            |suffix: &str| fs::read(format!("{path}{suffix}")).expect("it is there while the server runs");
        return vec![read(""), read("-wal")];
    }
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut programs: Vec<_> = installed.map(|version| version.path().join("bin/pg_dump")).collect();
    programs.retain(|program| program.exists());
    let program = programs.pop().unwrap_or_else(|| Path::new("pg_dump").to_owned());
    let mut command = Command::new(program);
    let dumped = command.arg("--no-password").arg(url).stdin(Stdio::null()).output();
    let dumped = dumped.expect("pg_dump is installed with PostgreSQL");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    vec![dumped.stdout]
}

#[track_caller]
fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}
