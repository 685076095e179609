//! T9. The server dies at each step between a rule's tick and the record of the notice. Each alert is raised, once,
//! and its notice arrives, under one id.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pulsestream_sabotage::ALERT_STEPS;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::{
    App, Client, Combination, event,
    torture::{Wish, report::Report},
    unique,
};

const ALERTING: &str = "/api/v1/alerting";
/// A lease, a tick and a start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

pub(super) async fn run(_: Wish, combination: Combination) -> Report {
    let mut report = Report::default();
    let receiver = Receiver::start().await;
    let first = App::builder(combination)
        .set("alerting.ingest_delay", "0s")
        .set("alerting.allow_http", true)
        .set("alerting.allow_private_destinations", true)
        .set("alerting.private_ports", "1024-65535")
        .set("jobs.lease", "5s")
        .set("jobs.poll_interval", "100ms")
        .set("server.drain_delay", "0s")
        .start()
        .await;
    let tenant = first.unlimited_tenant().await;
    let channel = json!({"name": "hook", "type": "webhook", "url": receiver.url, "send_resolved": false});
    tenant.post(&format!("{ALERTING}/channels"), &channel).await.expect(200);
    let rule = json!({
        "name": "Anything", "severity": "low", "condition": {"type": "match"}, "group_by": ["service"],
        "time_window": "1h", "evaluation_interval": 1, "cooldown_minutes": 0, "max_alerts_per_hour": 1_000,
        "notification_channels": ["webhook"],
    });
    tenant.post(&format!("{ALERTING}/rules"), &rule).await.expect(200);
    first.process().stop();

    for step in ALERT_STEPS {
        // Every tick passes the first three, also before there is something to see.
        let times = if ALERT_STEPS[..3].contains(&step) { 3 } else { 1 };
        let doomed = first.another_with(&[], Some(&format!("abort={step}:{times}"))).await;
        let event = event(json!({
            "event_id": unique("alert"),
            "source": {"service": step, "endpoint": "/", "method": "GET"},
        }));
        let was_sent = tenant.at(&doomed).try_send(&event).await.is_ok_and(|answer| answer.status == 200);
        let died = doomed.process().wait().is_some_and(|status| !status.success());
        report.expect(died, || format!("{step}: it did not die"));

        let next = first.another().await;
        let client = tenant.at(&next);
        if !was_sent {
            client.send(&event).await.expect(200);
        }
        let told = until_told(&client, step).await;
        report.expect(told, || format!("{step}: the alert was not raised, or nobody was told"));
        next.process().stop();
    }

    let last = first.another().await;
    let client = tenant.at(&last);
    let alerts = list(&client, "alerts").await;
    let deliveries = list(&client, "deliveries").await;
    let services: BTreeSet<&str> =
        alerts.iter().filter_map(|one| one["labels"]["service"].as_str()).collect();
    let missed = ALERT_STEPS.iter().filter(|step| !services.contains(*step)).count();
    let (extra, said_twice) =
        (alerts.len().saturating_sub(services.len()), deliveries.len().saturating_sub(alerts.len()));
    let seen = receiver.seen();
    let of = |delivery: &Value| seen.get(delivery["id"].as_str().unwrap_or_default()).copied().unwrap_or(0);
    let lost = deliveries.iter().filter(|delivery| of(delivery) == 0).count();
    let again: usize = deliveries.iter().map(|delivery| of(delivery).saturating_sub(1)).sum();
    report.figure(
        "steps, alerts, notices",
        format!("{}, {}, {}", ALERT_STEPS.len(), alerts.len(), deliveries.len()),
    );
    report
        .figure("missed, extra, said twice, not arrived", format!("{missed}, {extra}, {said_twice}, {lost}"));
    report.figure("sent again under the same id, as nobody knew", again);
    report
        .expect(missed + extra + said_twice + lost == 0, || "alerts are not raised and told once".to_owned());
    report.expect(again > 0, || "no death came between a notice and its record".to_owned());
    report.expect(seen.len() == deliveries.len(), || format!("ids that nobody knows: {seen:?}"));
    report
}

/// Waits until the alert of this service has been told of.
async fn until_told(client: &Client, service: &str) -> bool {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let alerts = list(client, "alerts").await;
        if let Some(alert) = alerts.iter().find(|alert| alert["labels"]["service"] == service) {
            let path = format!("deliveries?alert_id={}", alert["id"].as_str().unwrap_or_default());
            let deliveries = list(client, &path).await;
            if !deliveries.is_empty() && deliveries.iter().all(|one| one["state"] == "delivered") {
                return true;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Everything of a kind.
async fn list(client: &Client, what: &str) -> Vec<Value> {
    let answer = client.get(&format!("{ALERTING}/{what}")).await.expect(200).json();
    let name = what.split('?').next().unwrap_or_default();
    answer[name].as_array().cloned().unwrap_or_default()
}

/// Takes every notice, and counts them by their id.
struct Receiver {
    url: String,
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
    task: AbortHandle,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let seen = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let counts = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&counts);
                // Who dies in the middle is not answered.
                tokio::spawn(async move { _ = take(stream, &counts).await });
            }
        });
        Self { url, seen, task: task.abort_handle() }
    }

    fn seen(&self) -> BTreeMap<String, usize> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(mut stream: TcpStream, seen: &Mutex<BTreeMap<String, usize>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header =
                |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            if body.len() >= header("content-length: ").parse().unwrap_or(0) {
                let id = header("webhook-id: ").to_owned();
                *seen.lock().expect("nobody panics with it").entry(id).or_default() += 1;
                return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}
