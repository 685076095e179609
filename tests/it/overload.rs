//! Clients that stall and clients in crowds: refused in time, at the expense of nobody else.

use std::time::{Duration, Instant};

use pulsestream_tests::{
    App, Combination, Overheard, Tenant, Trial, event, event_with_id, on_some, trials::DEFAULT_CAP,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) fn trials() -> Vec<Trial> {
    on_some!(
        &[Combination::SQLITE, Combination::POSTGRES_REDIS], within DEFAULT_CAP;
        a_body_that_stalls_is_given_up,
        a_body_that_drips_is_given_up,
        requests_over_the_cap_are_refused_at_once,
        bodies_over_the_cap_are_refused_at_once,
        a_body_that_is_too_large_is_refused_before_it_is_read,
    )
}

/// The head of a POST of one event, and `sent` bytes of its body of `length`.
async fn begin(app: &App, tenant: &Tenant, length: usize, sent: usize) -> Overheard<TcpStream> {
    let mut stream = app.connect().await;
    let head = format!(
        "POST /api/v1/ingestion/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n",
        tenant.key
    );
    stream.write_all(head.as_bytes()).await.expect("the server listens");
    stream.write_all(&vec![b' '; sent]).await.expect("the server listens");
    stream
}

/// All that comes until the connection is closed.
async fn until_closed(mut stream: Overheard<TcpStream>, within: Duration) -> String {
    let mut answer = Vec::new();
    let read = timeout(within, stream.read_to_end(&mut answer)).await;
    // A reset after the answer closes it as well.
    _ = read.expect("the connection is closed in time");
    String::from_utf8(answer).expect("an answer is text")
}

async fn a_body_that_stalls_is_given_up(combination: Combination) {
    let app = App::builder(combination).set("server.body_timeout", "1s").start().await;
    let tenant = app.tenant().await;

    let begun = Instant::now();
    let stalled = begin(&app, &tenant, 1_000, 10).await;
    tenant.send(&event(json!({}))).await.expect(200);
    let answer = until_closed(stalled, Duration::from_secs(5)).await;

    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(begun.elapsed() >= Duration::from_millis(900), "too soon: {:?}", begun.elapsed());
    assert_eq!(app.rows(&tenant).await.len(), 1);
}

async fn a_body_that_drips_is_given_up(combination: Combination) {
    let app = App::builder(combination).set("server.body_timeout", "1s").start().await;
    let tenant = app.tenant().await;

    let (mut reader, mut writer) = tokio::io::split(begin(&app, &tenant, 1_000, 0).await);
    let dripping = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut answer = Vec::new();
    _ = timeout(Duration::from_secs(5), reader.read_to_end(&mut answer))
        .await
        .expect("it is given up in time");
    dripping.abort();

    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

async fn requests_over_the_cap_are_refused_at_once(combination: Combination) {
    let app = App::builder(combination).set("server.max_requests_in_flight", 4).start().await;
    let tenant = app.tenant().await;
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(begin(&app, &tenant, 1_000, 10).await);
    }

    // Those four arrive when they arrive; one that met the last place taken by this question was refused.
    let refused = loop {
        let asked = Instant::now();
        let answer = tenant.send(&event_with_id("the-same")).await;
        assert!(asked.elapsed() < Duration::from_secs(1), "answered, but not at once");
        if answer.status == 503 {
            break answer;
        }
        stalled.push(begin(&app, &tenant, 1_000, 10).await);
        assert!(stalled.len() < 100, "never refused");
    };
    assert_eq!(refused.code(), "overloaded");
    assert!((1..=30).contains(&refused.number("Retry-After")));
    app.anonymous().get("/livez").await.expect(200);
    app.anonymous().get("/readyz").await.expect(200);
    app.anonymous().get("/metrics").await.expect(200);

    drop(stalled);
    stored_in_time(&tenant, &event_with_id("the-same")).await;
}

async fn bodies_over_the_cap_are_refused_at_once(combination: Combination) {
    let settings = App::builder(combination).set("server.max_body", "1MiB");
    let app = settings.set("server.max_body_in_flight", "1MiB").start().await;
    let tenant = app.tenant().await;
    let large = || event(json!({"payload": {"blob": "x".repeat(600 * 1024)}}));
    let mut stalled = vec![begin(&app, &tenant, 700 * 1024, 600 * 1024).await];

    // Its bytes arrive when they arrive; if they met those of a question, it was the one that was refused.
    let refused = loop {
        let answer = tenant.send(&large()).await;
        if answer.status == 503 {
            break answer;
        }
        stalled.push(begin(&app, &tenant, 700 * 1024, 600 * 1024).await);
        assert!(stalled.len() < 100, "never refused");
    };
    assert_eq!(refused.code(), "overloaded");
    // What it left has room for others, as soon as nobody else is being refused.
    stored_in_time(&tenant, &event_with_id("small")).await;

    drop(stalled);
    stored_in_time(&tenant, &large()).await;
}

async fn stored_in_time(tenant: &Tenant, event: &Value) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while tenant.send(event).await.status != 200 {
        assert!(Instant::now() < deadline, "refused for ever");
    }
}

async fn a_body_that_is_too_large_is_refused_before_it_is_read(combination: Combination) {
    let app = App::shared(combination).await;
    let tenant = app.tenant().await;

    let begun = Instant::now();
    let declared = begin(&app, &tenant, 12 * 1024 * 1024, 0).await;
    let answer = until_closed(declared, Duration::from_secs(10)).await;

    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for the body");
}
