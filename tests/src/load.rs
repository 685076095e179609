//! Clients that send all the time and keep book.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    Client, event, event_with_id,
    ledger::{Ledger, Outcome},
    unique,
};

/// Longer than a healthy server takes, also a busy one.
const PATIENCE: Duration = Duration::from_secs(15);
/// Events in a batch of the load.
const BATCH: usize = 7;

/// Running clients.
pub struct Load {
    /// What they sent and were told.
    pub ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    statuses: Arc<Mutex<BTreeMap<u16, usize>>>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts this many senders, which keep book in `ledger`. Half of them send batches; every tenth event is
    /// broken.
    pub fn start(client: &Client, senders: usize, ledger: &Arc<Ledger>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let statuses = Arc::new(Mutex::new(BTreeMap::new()));
        let sender = |number: usize| {
            let sender = Sender {
                client: client.clone(),
                ledger: Arc::clone(ledger),
                statuses: Arc::clone(&statuses),
            };
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    if number.is_multiple_of(2) { sender.send_one().await } else { sender.send_batch().await }
                }
            })
        };
        Self { senders: (0..senders).map(sender).collect(), ledger: Arc::clone(ledger), stop, statuses }
    }

    /// Lets every sender finish its request. Answers with how often each status came; 0 is no answer.
    pub async fn stop(self) -> BTreeMap<u16, usize> {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("a sender never panics");
        }
        std::mem::take(&mut self.statuses.lock().expect("no holder panics"))
    }

    /// How often this status came so far.
    pub fn count(&self, status: u16) -> usize {
        self.statuses.lock().expect("no holder panics").get(&status).copied().unwrap_or(0)
    }

    /// Waits until one more answer of 200 has come.
    ///
    /// # Panics
    /// When that takes longer than `within`.
    pub async fn wait_for_success(&self, within: Duration) {
        let (before, deadline) = (self.count(200), Instant::now() + within);
        while self.count(200) == before {
            assert!(Instant::now() < deadline, "nothing was stored for {within:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct Sender {
    client: Client,
    ledger: Arc<Ledger>,
    statuses: Arc<Mutex<BTreeMap<u16, usize>>>,
}

impl Sender {
    async fn send_one(&self) {
        let id = unique("one");
        self.ledger.sent(&id);
        let (status, outcome) = send(&self.client, &id).await;
        self.count(status);
        self.ledger.told(&id, outcome);
    }

    async fn send_batch(&self) {
        let events: Vec<_> = (0..BATCH)
            .map(|index| {
                let id = unique("many");
                self.ledger.sent(&id);
                // The last of each is broken.
                let event = event(if index + 1 == BATCH {
                    json!({"event_id": id, "severity": 7})
                } else {
                    json!({"event_id": id})
                });
                self.client.marked(&event)
            })
            .collect();
        let request = self.client.request(reqwest::Method::POST, "/api/v1/ingestion/events/batch");
        let answer =
            self.client.try_execute(request.timeout(PATIENCE).json(&json!({"events": events}))).await;
        let Ok(answer) = answer else { return self.count(0) };
        self.count(answer.status);
        // Any body with results tells of each event; any other of none.
        if let Some(results) = answer.json()["results"].as_array() {
            results.iter().for_each(|result| self.ledger.told_result(result));
        }
    }

    fn count(&self, status: u16) {
        *self.statuses.lock().expect("no holder panics").entry(status).or_default() += 1;
    }
}

async fn send(client: &Client, id: &str) -> (u16, Outcome) {
    let request = client.request(reqwest::Method::POST, "/api/v1/ingestion/events");
    match client.try_execute(request.timeout(PATIENCE).json(&client.marked(&event_with_id(id)))).await {
        Ok(answer) if answer.status == 200 => (200, Outcome::Acknowledged),
        Ok(answer) if (400..500).contains(&answer.status) => (answer.status, Outcome::Refused),
        Ok(answer) => (answer.status, Outcome::Unknown),
        Err(_) => (0, Outcome::Unknown),
    }
}

/// Sends again what nobody knows of, until somebody does.
///
/// # Panics
/// When that takes longer than `within`.
pub async fn resolve(client: &Client, ledger: &Ledger, within: Duration) {
    let deadline = Instant::now() + within;
    loop {
        let unknown = ledger.unknown();
        if unknown.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{} events are still unknown: {:?}",
            unknown.len(),
            unknown.first()
        );
        for ids in unknown.chunks(500) {
            let events: Vec<_> = ids.iter().map(|id| event_with_id(id)).collect();
            ids.iter().for_each(|id| ledger.sent(id));
            let answer = client.send_batch(&events).await;
            for result in answer.json()["results"].as_array().into_iter().flatten() {
                ledger.told_result(result);
            }
        }
    }
}
