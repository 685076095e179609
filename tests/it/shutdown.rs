//! SIGTERM under load: what was begun is finished, and the exit says so.

use std::{sync::Arc, time::Duration};

use pulsestream_tests::{
    App, Combination, Trial, event_with_id,
    ledger::Ledger,
    load::{self, Load},
    on_all_four, unique,
};
use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

pub(crate) fn trials() -> Vec<Trial> {
    on_all_four![requests_under_way_are_finished, a_server_under_load_ends_well_and_loses_nothing]
}

/// Requests whose first half was sent before the signal and whose second half comes after.
async fn requests_under_way_are_finished(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.tenant().await;
    let mut begun = Vec::new();
    for _ in 0..8 {
        let body = event_with_id(&unique("late")).to_string();
        let head = format!(
            "POST /api/v1/ingestion/events HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            tenant.key,
            body.len()
        );
        let mut stream = app.connect().await;
        stream.write_all(format!("{head}{}", &body[..20]).as_bytes()).await.expect("the server listens");
        begun.push((stream, body[20..].to_owned()));
    }
    until_in_flight(&app, begun.len()).await;

    app.process().signal(Signal::TERM);
    while TcpStream::connect(app.address()).await.is_ok() {
        assert!(app.process().is_running(), "it ended with requests under way");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for (mut stream, rest) in begun {
        stream.write_all(rest.as_bytes()).await.expect("it is not reset");
        let mut answer = String::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await;
        read.expect("it is closed").expect("it is not reset");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("accepted"), "{answer}");
    }

    assert_eq!(app.process().wait().and_then(|status| status.code()), Some(0));
    assert_eq!(app.rows(&tenant).await.len(), 8);
}

/// Waits until the server is at work on this many requests.
async fn until_in_flight(app: &App, requests: usize) {
    loop {
        let metrics = app.anonymous().get("/metrics").await.expect(200).text();
        let gauge = metrics.lines().find_map(|line| line.strip_prefix("http_requests_in_flight "));
        // The one that asks counts as well.
        if gauge.and_then(|value| value.parse::<f64>().ok()).is_some_and(|now| now > requests as f64) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_server_under_load_ends_well_and_loses_nothing(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&tenant.client, 16, &ledger);
    load.wait_for_success(Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let status = app.process().stop();

    assert_eq!(status.and_then(|status| status.code()), Some(0));
    let statuses = load.stop().await;
    let unexpected: Vec<&u16> = statuses.keys().filter(|status| ![0, 200, 503].contains(*status)).collect();
    assert_eq!(unexpected, [&0; 0], "{statuses:?}");
    assert_eq!(ledger.violations(&app.rows(&tenant).await), [""; 0]);

    let next = app.another().await;
    load::resolve(&tenant.at(&next), &ledger, Duration::from_secs(20)).await;
    assert_eq!(next.rows(&tenant).await.len(), ledger.acknowledged());
}
