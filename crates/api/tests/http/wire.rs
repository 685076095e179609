//! What only shows on a connection: which bytes are read, and how answers end.

use std::time::Duration;

use actix_web::{HttpServer, dev::ServerHandle};
use pulsestream_api::app;
use pulsestream_domain::tenant::Limits;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{BATCH, EVENTS, Surface, event};

/// Serves a surface on a free port of the loopback interface.
async fn serve(surface: &Surface) -> (std::net::SocketAddr, ServerHandle) {
    let state = surface.state.clone();
    let server = HttpServer::new(move || app(state.clone()))
        .workers(1)
        .client_disconnect_timeout(Duration::from_millis(500))
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .expect("a free port");
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    (address, handle)
}

/// Sends bytes and reads until the other side closes.
async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    connection.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    let reading = connection.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("it closes").expect("it answers");
    String::from_utf8(answer).expect("UTF-8")
}

fn head(surface: &Surface, method: &str, path: &str, more: &str) -> String {
    let key = &surface.key;
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n{more}\r\n"
    )
}

#[actix_web::test]
async fn a_body_announced_too_large_is_refused_unread_and_one_that_stalls_is_given_up() {
    let surface = Surface::with(Limits::default(), |parts| {
        parts.settings.max_body_bytes = 1_000;
        parts.settings.body_timeout = Duration::from_millis(100);
    })
    .await;
    let (address, server) = serve(&surface).await;

    let large = exchange(address, &head(&surface, "POST", EVENTS, "content-length: 1001\r\n")).await;
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    assert!(large.contains("connection: close") && large.contains("\"code\":\"body_too_large\""), "{large}");

    let stalled = exchange(address, &head(&surface, "POST", EVENTS, "content-length: 10\r\n")).await;
    assert!(stalled.starts_with("HTTP/1.1 408 "), "{stalled}");
    assert!(
        stalled.contains("connection: close") && stalled.contains("\"code\":\"body_timeout\""),
        "{stalled}"
    );
    server.stop(false).await;
}

#[actix_web::test]
async fn a_chunked_body_that_stalls_after_its_answer_does_not_keep_its_connection() {
    let surface = Surface::with(Limits::default(), |parts| {
        parts.settings.max_body_bytes = 1_000;
        parts.settings.body_timeout = Duration::from_millis(100);
    })
    .await;
    let (address, server) = serve(&surface).await;
    let chunked = |key: &str| {
        head(&surface, "POST", EVENTS, "transfer-encoding: chunked\r\n").replace(&surface.key, key)
    };
    for (key, chunk, status) in [
        (surface.key.as_str(), "5\r\n{\"a\":".to_owned(), "408"),
        (surface.key.as_str(), format!("7d0\r\n{}", "x".repeat(2_000)), "413"),
        ("nobody's", "5\r\n{\"a\":".to_owned(), "401"),
    ] {
        let answer = exchange(address, &(chunked(key) + &chunk)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    server.stop(false).await;
}

#[actix_web::test]
async fn a_connection_serves_many_requests_and_head_has_no_body() {
    let surface = Surface::new().await;
    let (address, server) = serve(&surface).await;
    let body = event("a").to_string();
    let post = head(&surface, "POST", EVENTS, &format!("content-length: {}\r\n", body.len())) + &body;
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    for status in ["accepted", "duplicate"] {
        connection.write_all(post.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        while !answer.ends_with('}') {
            answer.push(char::from(connection.read_u8().await.expect("it goes on")));
        }
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(status), "{answer}");
    }

    let answer = exchange(address, &head(&surface, "HEAD", "/health", "connection: close\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n"), "{answer}");
    server.stop(false).await;
}

#[actix_web::test]
async fn an_export_that_cannot_be_finished_breaks_off_instead_of_ending() {
    let surface = Surface::new().await;
    for batch in 0..3 {
        // Large enough that the server can't have read the last page when the first is on its way.
        let events: Vec<_> = (0..500)
            .map(|i| {
                let mut event = event(&format!("e{batch}-{i}"));
                event["payload"] = json!({"text": "x".repeat(20_000)});
                event
            })
            .collect();
        assert_eq!(surface.post(BATCH, &json!(events)).await.ok()["processing_status"], "completed");
    }
    let (address, server) = serve(&surface).await;
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let request = head(&surface, "GET", &format!("{EVENTS}/export"), "connection: close\r\n");
    connection.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = vec![0; 1_000];
    connection.read_exact(&mut answer).await.expect("it begins to answer");
    surface.store.close().await;
    let _ = connection.read_to_end(&mut answer).await;

    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200 OK") && text.contains("transfer-encoding: chunked"));
    assert!(!text.ends_with("0\r\n\r\n"), "it pretends to be whole");
    server.stop(false).await;
}

#[actix_web::test]
async fn a_refused_client_keeps_its_connection_when_all_of_its_request_has_arrived() {
    let surface = Surface::with(Limits::default(), |parts| parts.settings.max_requests_in_flight = 0).await;
    let (address, server) = serve(&surface).await;
    let body = event("a").to_string();
    let length = format!("content-length: {}\r\n", body.len());
    let whole = head(&surface, "POST", EVENTS, &length) + &body;
    let chunked = head(&surface, "POST", EVENTS, "transfer-encoding: chunked\r\n")
        + &format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    for request in [&whole, &chunked, &whole] {
        connection.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        while !answer.ends_with('}') {
            answer.push(char::from(connection.read_u8().await.expect("it goes on")));
        }
        assert!(answer.starts_with("HTTP/1.1 503 ") && !answer.contains("connection: close"), "{answer}");
    }

    // One whose body is still to come is not waited for.
    let refused = exchange(address, &head(&surface, "POST", EVENTS, &length)).await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("connection: close"), "{refused}");
    server.stop(false).await;
}
