//! The first minute with the product, and what it refuses to start with.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use pulsestream_testing::{postgres::PostgresServer, shared};
use pulsestream_tests::{App, Combination, Trial, command, on_all_four, once, process::Process, sandbox};
use serde_json::Value;

/// How soon a server that can't start says so.
const REFUSAL: Duration = Duration::from_secs(2);
const SECRET: &str = "hunter2secret";

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_all_four![the_first_start_shows_a_key_and_lines_that_work];
    all.extend(once![
        a_plain_start_needs_no_settings,
        strangers_may_register_at_a_plain_start_alone,
        bad_settings_are_refused_in_one_line,
        a_tenant_without_a_limit_is_refused,
        databases_that_could_lose_events_are_refused,
        postgres_needs_a_secret_and_sqlite_keeps_its_own,
        a_database_that_is_not_there_is_refused,
        settings_are_printed_without_secrets,
    ]);
    all
}

async fn the_first_start_shows_a_key_and_lines_that_work(combination: Combination) {
    let app = App::start(combination).await;
    let welcome = app.process().stdout();
    let key = key_in(&welcome);
    let shown_alone = welcome.lines().filter(|line| line.trim() == key).count();
    assert_eq!(shown_alone, 1, "{welcome}");

    let lines: Vec<&str> = welcome.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    let mut answers = Vec::new();
    for line in &lines {
        answers.push(pasted(line).await);
    }
    let [sent, batch, found, limit] = answers.as_slice() else { panic!("four lines to paste: {welcome}") };
    assert_eq!(sent["status"], "accepted", "{sent}");
    assert_eq!(batch["successful_count"], 2, "{batch}");
    assert_eq!(found["total_count"], 3, "{found}");
    assert_eq!(limit["remaining"], 97, "{limit}");

    assert!(!app.process().log().contains(key), "the key is in the log");
    let second = app.another().await;
    for text in [second.process().stdout(), second.process().log()] {
        assert!(!text.contains("ps_live_"), "a later start shows a key: {text}");
    }
    second.anonymous().with_key(key).search(&[]).await.expect(200);
}

/// The first key in a text.
fn key_in(text: &str) -> &str {
    let start = text.find("ps_live_").expect("the first start shows a key");
    let end = text[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[start..start + end.unwrap_or(text.len() - start)]
}

/// What a line prints when it is pasted into a shell.
async fn pasted(line: &str) -> Value {
    let mut shell = Command::new("bash");
    shell.args(["-c", line]);
    let output = command::output(shell).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{line}: {}: {text}", output.status);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {line} printed {text}"))
}

async fn a_plain_start_needs_no_settings() {
    let directory = sandbox::directory();
    let mut plain = command::bare();
    plain.current_dir(&directory);
    // The one setting that a test can't do without: the usual port may be in use.
    command::set(&mut plain, "server.bind", "127.0.0.1:0");
    let server = Process::start(plain, &directory).await;

    assert!(directory.join("data").is_dir(), "it keeps its data in ./data");
    let stdout = server.stdout();
    assert!(stdout.contains(&format!("listening on http://{}", server.address())), "{stdout}");
    pasted(&format!("curl -sf http://{}/readyz", server.address())).await;
    assert_eq!(server.stop().and_then(|status| status.code()), Some(0));
}

async fn strangers_may_register_at_a_plain_start_alone() {
    for (settings, expected) in [
        (&[][..], "open"),
        (&[("database.url", "sqlite://events.db"), ("auth.secret_key", &"x".repeat(32))], "closed"),
        (&[("auth.registration", "invite")], "invite"),
    ] {
        let directory = sandbox::directory();
        let mut plain = command::bare();
        plain.current_dir(&directory);
        command::set(&mut plain, "server.bind", "127.0.0.1:0");
        for (path, value) in settings {
            command::set(&mut plain, path, value);
        }
        let server = Process::start(plain, &directory).await;
        let health = pasted(&format!("curl -sf http://{}/api/v1/auth/health", server.address())).await;
        assert_eq!(health["registration"], expected, "{settings:?}: {health}");
        server.stop();
    }
}

/// It ended soon, with one line that names the culprit and no secret.
#[track_caller]
fn assert_refused(case: &str, output: &Output, took: Duration, named: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{case}: it started");
    assert!(took < REFUSAL, "{case}: it took {took:?}");
    assert_eq!(said.trim_end().lines().count(), 1, "{case}: not one line: {said}");
    assert!(named.iter().any(|name| said.contains(name)), "{case}: none of {named:?} in: {said}");
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stdout));
    for secret in [SECRET, "ps_live_", "panicked"] {
        assert!(!all.contains(secret), "{case}: {secret} is in: {all}");
    }
}

async fn refuse(case: &str, settings: &[(&str, &str)], named: &[&str]) {
    let mut server = command::bare();
    server.current_dir(sandbox::directory());
    command::set(&mut server, "server.bind", "127.0.0.1:0");
    command::set(&mut server, "auth.secret_key", "a secret of the black-box tests, which guards nothing");
    for (path, value) in settings {
        command::set(&mut server, path, value);
    }
    let begun = Instant::now();
    let output = command::output(server).await;
    assert_refused(case, &output, begun.elapsed(), named);
}

async fn bad_settings_are_refused_in_one_line() {
    let mysql = format!("mysql://me:{SECRET}@localhost/events");
    let not_a_url = format!("postgres//me:{SECRET}@localhost");
    for (path, value) in [
        ("server.colour", "red"),
        ("server.bind", "localhost:99999"),
        ("server.bind", "nowhere"),
        ("server.workers", "many"),
        ("server.body_timeout", "15"),
        ("server.max_requests_in_flight", "0"),
        ("server.max_lag", "9ms"),
        ("server.max_body", "0B"),
        ("server.max_connections_per_address", "0"),
        ("server.trusted_proxies", "10.0.0.0/33"),
        ("server.operations_bind", "9000"),
        ("cors.allowed_origins", "*"),
        ("cors.allowed_origins", "https://a.example/"),
        ("database.url", mysql.as_str()),
        ("database.url", not_a_url.as_str()),
        ("database.query_connections", "0"),
        ("search.text_index", "letters"),
        ("redis.url", not_a_url.as_str()),
        ("ingestion.lanes", "0"),
        ("auth.key_cache_life", "1h"),
        ("auth.registration", "perhaps"),
        ("server.public_url", "ftp://example.com"),
        ("log.format", "xml"),
        ("log.filter", "=,="),
    ] {
        refuse(&format!("{path}={value}"), &[(path, value)], &[path]).await;
    }

    let directory = sandbox::directory();
    let secret_file = directory.join("secret.pem");
    std::fs::write(&secret_file, format!("-----BEGIN {SECRET}\n{SECRET}")).expect("the directory is ours");
    let secret_file = secret_file.to_str().expect("it is text");
    for (certificate, key, named) in [
        ("/nonexistent/cert.pem", "", "tls.key"),
        ("", "/nonexistent/key.pem", "tls.certificate"),
        ("/nonexistent/cert.pem", "/nonexistent/key.pem", "tls.certificate"),
        (secret_file, secret_file, "tls.certificate"),
    ] {
        let settings = [("tls.certificate", certificate), ("tls.key", key)];
        refuse(&format!("{settings:?}"), &settings, &[named]).await;
    }
    for (text, named) in [
        ("[server]\ncolour = \"red\"\n", "server.colour"),
        ("[sever]\nbind = \"127.0.0.1:0\"\n", "sever"),
        (&format!("[redis]\nurl = \"redis://:{SECRET}@h\n"), "line 2"),
    ] {
        let file = directory.join("settings.toml");
        std::fs::write(&file, text).expect("the directory is ours");
        let mut server = command::bare();
        server.current_dir(&directory).arg("--config").arg(file);
        let begun = Instant::now();
        let output = command::output(server).await;
        assert_refused(text, &output, begun.elapsed(), &[named]);
    }
}

async fn a_tenant_without_a_limit_is_refused() {
    let directory = sandbox::directory();
    for limits in
        [["--rate-limit-per-minute", "0"], ["--rate-limit-burst", "0"], ["--duplicate-policy", "maybe"]]
    {
        let mut create = command::bare();
        create.current_dir(&directory).args(["tenant", "create", "acme"]).args(limits);
        let output = command::output(create).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(limits[0]), "{said}");
    }
    assert!(!directory.join("data").exists(), "nothing was made");
}

async fn databases_that_could_lose_events_are_refused() {
    let refuse = |unsafe_setting: &'static str| async move {
        let start = move || PostgresServer::start_with(&[(unsafe_setting, "off")]);
        let postgres = tokio::task::spawn_blocking(start).await.expect("it does not panic");
        let postgres = postgres.unwrap_or_else(|missing| panic!("{missing:#}"));
        refuse(unsafe_setting, &[("database.url", &postgres.url("postgres"))], &[unsafe_setting]).await;
    };
    join_all(["fsync", "synchronous_commit", "full_page_writes"].map(refuse)).await;
}

async fn postgres_needs_a_secret_and_sqlite_keeps_its_own() {
    let database = shared::databases().and_then(|databases| databases.fresh());
    let database = database.unwrap_or_else(|missing| panic!("{missing:#}"));
    let url = database.url();
    refuse("no secret", &[("database.url", &url), ("auth.secret_key", "")], &["auth.secret_key"]).await;
    refuse("short secret", &[("auth.secret_key", SECRET)], &["auth.secret_key"]).await;

    let directory = sandbox::directory();
    let secret = directory.join("data/auth.secret");
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut plain = command::bare();
        plain.current_dir(&directory);
        command::set(&mut plain, "server.bind", "127.0.0.1:0");
        let server = Process::start(plain, &directory).await;
        kept.push(std::fs::read_to_string(&secret).expect("it is made at the first start"));
        assert!(!server.log().contains(kept[0].trim()) && !server.stdout().contains(kept[0].trim()));
        assert_eq!(server.stop().and_then(|status| status.code()), Some(0));
    }
    assert!(kept[0].trim().len() >= 32 && kept[0] == kept[1]);
}

async fn a_database_that_is_not_there_is_refused() {
    let postgres = PostgresServer::start().unwrap_or_else(|missing| panic!("{missing:#}"));
    let nobody = postgres.url("nobody").replace("postgres@", &format!("postgres:{SECRET}@"));
    refuse("no such database", &[("database.url", &nobody)], &["database.url"]).await;
    drop(postgres);
    refuse("no such server", &[("database.url", &nobody)], &["database.url"]).await;
    refuse("no such file", &[("database.url", "sqlite:///nonexistent/events.db")], &["database.url"]).await;
}

async fn settings_are_printed_without_secrets() {
    for arguments in [&["config", "print"][..], &["config", "print", "--json"]] {
        let mut print = command::bare();
        print.args(arguments).current_dir(sandbox::directory());
        command::set(&mut print, "database.url", &format!("postgres://me:{SECRET}@db.example/events"));
        print.env("REDIS_URL", format!("redis://:{SECRET}@redis.example"));
        let output = command::output(print).await;
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("redacted"), "{printed}");
        assert!(!printed.contains(SECRET), "{printed}");
        assert!(printed.contains("body_timeout"), "every setting is there: {printed}");
        let registration = printed
            .lines()
            .find(|line| line.contains("\"registration\"") || line.starts_with("registration"));
        let shown = registration.is_some_and(|line| line.contains("closed"));
        assert!(shown, "what it comes to on a named database: {printed}");
    }
}
