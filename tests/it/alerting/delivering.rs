//! Notices that fail, that are sent again, and that are under way when the server ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use pulsestream_tests::{App, Combination, Tenant, Trial, on_some};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::AbortHandle,
};

use super::{EACH_DATABASE, get, post, rule, schedule::builder, text, with_status};

pub(super) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(60);
        what_a_channel_did_not_get_is_sent_again_from_an_instant_on,
        a_notice_under_way_when_the_server_ends_is_finished,
        a_notice_that_holds_up_the_end_is_sent_by_the_next_server,
    )
}

/// A receiver that says what it is told to, when it is allowed to.
struct Reluctant {
    url: String,
    /// The `webhook-id` of each request that came.
    seen: Arc<Mutex<Vec<String>>>,
    /// One permit per answer.
    answers: Arc<Semaphore>,
    task: AbortHandle,
}

impl Reluctant {
    /// Says the first of these to the first request, and so on; the last stays.
    async fn saying(statuses: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let (seen, answers) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(Semaphore::new(0)));
        let (ids, permits, count) = (Arc::clone(&seen), Arc::clone(&answers), Arc::<AtomicUsize>::default());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ids, permits, count) = (Arc::clone(&ids), Arc::clone(&permits), Arc::clone(&count));
                tokio::spawn(async move {
                    let status = statuses[count.fetch_add(1, Ordering::Relaxed).min(statuses.len() - 1)];
                    // Who ends in the middle is not answered.
                    _ = answer(stream, status, &ids, &permits).await;
                });
            }
        });
        Self { url, seen, answers, task: task.abort_handle() }
    }

    fn ids(&self) -> Vec<String> {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    /// Waits until so many requests have come.
    async fn until(&self, requests: usize) {
        while self.ids().len() < requests {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Reluctant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut stream: TcpStream,
    status: &str,
    seen: &Mutex<Vec<String>>,
    permits: &Semaphore,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header =
                |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            if body.len() >= header("content-length: ").parse().unwrap_or(0) {
                seen.lock().expect("nobody panics with it").push(header("webhook-id: ").to_owned());
                break;
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
    permits.acquire().await.expect("it is not closed").forget();
    let answer = format!("HTTP/1.1 {status}\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\nok");
    stream.write_all(answer.as_bytes()).await
}

/// A rule that fires once, and tells this receiver.
async fn fires_at(tenant: &Tenant, receiver: &Reluctant) -> Value {
    let channel = json!({"name": "hook", "type": "webhook", "url": receiver.url, "send_resolved": false});
    let channel = post(tenant, "/channels", &channel).await;
    let body = rule(&json!({"evaluation_interval": 1, "notification_channels": ["webhook"]}));
    post(tenant, "/rules", &body).await;
    tenant.send_batch(&[with_status(500), with_status(500)]).await.expect(200);
    receiver.until(1).await;
    channel
}

/// Waits until the only delivery is in this state.
async fn until_delivery_is(tenant: &Tenant, state: &str) -> Value {
    loop {
        let found = get(tenant, "/deliveries").await;
        assert_eq!(found["total_count"], 1, "{found}");
        if found["deliveries"][0]["state"] == state {
            return get(tenant, &format!("/deliveries/{}", text(&found["deliveries"][0]["id"]))).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn what_a_channel_did_not_get_is_sent_again_from_an_instant_on(combination: Combination) {
    let app = builder(combination).start().await;
    let tenant = app.tenant().await;
    // A redirect is no answer that comes out better the next time.
    let receiver = Reluctant::saying(&["302 Found", "200 OK"]).await;
    receiver.answers.add_permits(100);
    let channel = fires_at(&tenant, &receiver).await;
    let failed = until_delivery_is(&tenant, "failed").await;
    assert_eq!(failed["attempts"][0]["status_code"], 302, "{failed}");

    let recover = |since: &str| json!({"channel_id": channel["channel"]["id"], "since": since});
    let nothing = post(&tenant, "/deliveries/recover", &recover("2100-01-01T00:00:00Z")).await;
    assert_eq!(nothing["resent_count"], 0, "it was decided before: {nothing}");
    let since = text(&failed["delivery"]["created_at"]).to_owned();
    let resent = post(&tenant, "/deliveries/recover", &recover(&since)).await;
    assert_eq!(resent["resent_count"], 1, "{resent}");

    let delivered = until_delivery_is(&tenant, "delivered").await;
    let statuses: Vec<&Value> = delivered["attempts"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|attempt| &attempt["status_code"])
        .collect();
    assert_eq!(statuses, [302, 200], "{delivered}");
    let ids = receiver.ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the same under its old id");
    let again = post(&tenant, "/deliveries/recover", &recover(&since)).await;
    assert_eq!(again["resent_count"], 0, "what has arrived is not sent again: {again}");
}

/// Until the server is finishing what it has begun.
async fn until_it_ends(app: &App) {
    app.process().signal(Signal::TERM);
    while app.anonymous().get("/readyz").await.status != 503 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_notice_under_way_when_the_server_ends_is_finished(combination: Combination) {
    let app = builder(combination).set("server.drain_delay", "0s").start().await;
    let tenant = app.tenant().await;
    let receiver = Reluctant::saying(&["200 OK"]).await;
    fires_at(&tenant, &receiver).await;

    until_it_ends(&app).await;
    assert!(app.process().is_running(), "it ended with a notice under way");
    receiver.answers.add_permits(100);
    // Not by blocking: the receiver answers on this thread.
    while app.process().is_running() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(app.process().wait().and_then(|status| status.code()), Some(0));

    let next = app.another().await;
    let tenant = tenant.at(&next);
    let found = get_at(&tenant, "/deliveries").await;
    assert_eq!((&found["total_count"], &found["deliveries"][0]["state"]), (&json!(1), &json!("delivered")));
    // The rule is evaluated on, and nothing is said twice.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(receiver.ids().len(), 1, "{:?}", receiver.ids());
    assert_eq!(get_at(&tenant, "/alerts").await["total_count"], 1);
}

async fn a_notice_that_holds_up_the_end_is_sent_by_the_next_server(combination: Combination) {
    let app = builder(combination).set("server.drain_delay", "0s").start().await;
    let tenant = app.tenant().await;
    let receiver = Reluctant::saying(&["200 OK"]).await;
    fires_at(&tenant, &receiver).await;

    until_it_ends(&app).await;
    assert_eq!(app.process().wait().and_then(|status| status.code()), Some(0), "it does not wait for ever");
    let next = app.another().await;
    // At once, and not when the lease would be over.
    tokio::time::timeout(Duration::from_secs(15), receiver.until(2)).await.expect("the job was given back");
    receiver.answers.add_permits(100);
    let tenant = tenant.at(&next);
    while get_at(&tenant, "/deliveries").await["deliveries"][0]["state"] != "delivered" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ids = receiver.ids();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "under the same id");
}

/// As [`get`], of a server that came later.
async fn get_at(client: &pulsestream_tests::Client, path: &str) -> Value {
    client.get(&format!("{}{path}", super::ALERTING)).await.expect(200).json()
}
