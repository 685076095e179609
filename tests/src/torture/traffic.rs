//! Clients that send all the time, every kind of request, and keep book of every try.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{rng::Rng, timing::Timing};
use crate::{
    Answer, Client, event, event_with,
    ledger::{Ledger, Outcome, outcome_of},
    unique,
};

const EVENTS: &str = "/api/v1/ingestion/events";
const BATCH: &str = "/api/v1/ingestion/events/batch";

/// How long a client waits for an answer. Shorter than the server's own limits, so that answers get lost.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// How long it then waits before it sends something else.
const AFTER_SILENCE: Duration = Duration::from_millis(100);
/// What a healthy or an ailing server may answer; 0 is no answer. Anything else is a bug.
const EXPECTED: [u16; 7] = [0, 200, 400, 408, 409, 422, 503];

/// Running clients.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    heard: Arc<Mutex<Heard>>,
    successes: Arc<AtomicUsize>,
    senders: Vec<JoinHandle<()>>,
}

/// What clients were answered.
#[derive(Clone, Default, Debug)]
pub struct Heard {
    /// How often each status came; 0 is no answer.
    pub statuses: BTreeMap<u16, usize>,
    /// How often each code of an error came, of whole requests and of events in batches.
    pub codes: BTreeMap<String, usize>,
    /// How long answers took that say that something is stored.
    pub accepted: Timing,
    /// Events that were sent again although they had been acknowledged.
    pub resent: usize,
}

impl Heard {
    /// Notes a whole answer, or that there was none.
    pub fn note(&mut self, answer: Option<&Answer>, took: Duration) {
        let status = answer.map_or(0, |answer| answer.status);
        *self.statuses.entry(status).or_default() += 1;
        if status == 200 {
            self.accepted.add(took);
        }
        let Some(body) = answer.and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok()) else {
            return;
        };
        let results = body["results"].as_array().into_iter().flatten();
        for code in [&body].into_iter().chain(results).filter_map(|item| item["code"].as_str()) {
            *self.codes.entry(code.to_owned()).or_default() += 1;
        }
    }

    /// Statuses that nothing justifies.
    pub fn unexpected(&self) -> Vec<u16> {
        self.statuses.keys().copied().filter(|status| !EXPECTED.contains(status)).collect()
    }
}

impl Traffic {
    /// Starts this many clients, which take any of the ways and keep book.
    pub fn start(ways: &[Client], senders: usize, ledger: &Arc<Ledger>, mut rng: Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let successes = Arc::new(AtomicUsize::new(0));
        let senders = (0..senders).map(|_| {
            let mut sender = Sender {
                ways: ways.to_vec(),
                ledger: Arc::clone(ledger),
                heard: Arc::clone(&heard),
                successes: Arc::clone(&successes),
                rng: rng.fork(),
                acknowledged: Vec::new(),
            };
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    sender.send_something().await;
                    // Two cores serve everything, the clients included.
                    let pause = sender.rng.duration(0..10);
                    tokio::time::sleep(pause).await;
                }
            })
        });
        Self { senders: senders.collect(), stop, heard, successes }
    }

    /// How many requests were answered with 200 so far.
    pub fn successes(&self) -> usize {
        self.successes.load(Ordering::Relaxed)
    }

    /// Lets every client finish its request.
    pub async fn stop(self) -> Heard {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("a sender never panics");
        }
        std::mem::take(&mut self.heard.lock().expect("no holder panics"))
    }
}

struct Sender {
    ways: Vec<Client>,
    ledger: Arc<Ledger>,
    heard: Arc<Mutex<Heard>>,
    successes: Arc<AtomicUsize>,
    rng: Rng,
    /// Some of its own events that are stored.
    acknowledged: Vec<(String, String)>,
}

impl Sender {
    async fn send_something(&mut self) {
        let size = match self.rng.number(0..100) {
            0..50 => return self.send_one().await,
            50..90 => self.rng.index(20) + 1,
            _ => self.rng.index(100) + 50,
        };
        let mut batch: Vec<Value> = Vec::with_capacity(size);
        for _ in 0..size {
            let new = self.some_event();
            // The numbers of tries tell the results apart only if no id is there twice.
            if batch.iter().all(|event| event["event_id"] != new["event_id"]) {
                batch.push(new);
            }
        }
        self.send_batch(&batch).await;
    }

    /// Mostly a new event; now and then one that was stored before, with its content or another, or one that
    /// breaks the rules.
    fn some_event(&mut self) -> Value {
        let kind = self.rng.number(0..100);
        if kind < 10 && !self.acknowledged.is_empty() {
            let (id, content) = self.rng.choose(&self.acknowledged).clone();
            self.heard.lock().expect("no holder panics").resent += 1;
            let content = if kind < 5 { content } else { format!("not {content}") };
            return event_with(&id, &content);
        }
        let (id, content) = (unique("torture"), self.rng.number(0..1_000_000).to_string());
        if kind >= 95 {
            return event(json!({"event_id": id, "severity": 7, "payload": {"content": content}}));
        }
        event_with(&id, &content)
    }

    async fn send_one(&mut self) {
        let event = self.some_event();
        let sent = self.note_sent(&event);
        let Some(answer) = self.post(EVENTS, &event).await else { return };
        self.note_told(&sent, whole(&answer));
    }

    async fn send_batch(&mut self, batch: &[Value]) {
        let sent: Vec<Sent> = batch.iter().map(|event| self.note_sent(event)).collect();
        let Some(answer) = self.post(BATCH, &json!({"events": batch})).await else { return };
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        match body["results"].as_array() {
            // Any body with results tells of each event; any other of all.
            Some(results) if results.len() == sent.len() => {
                for (sent, result) in sent.iter().zip(results) {
                    self.note_told(sent, outcome_of(result));
                }
            }
            _ => sent.iter().for_each(|sent| self.note_told(sent, whole(&answer))),
        }
    }

    async fn post(&mut self, path: &str, body: &Value) -> Option<Answer> {
        let way = self.rng.choose(&self.ways);
        let begun = Instant::now();
        let answer = way.try_execute(way.request(Method::POST, path).timeout(PATIENCE).json(body)).await.ok();
        self.heard.lock().expect("no holder panics").note(answer.as_ref(), begun.elapsed());
        match &answer {
            Some(answer) if answer.status == 200 => _ = self.successes.fetch_add(1, Ordering::Relaxed),
            Some(_) => {}
            // Where nobody is, sending all the time would only fill the book.
            None => tokio::time::sleep(AFTER_SILENCE).await,
        }
        answer
    }

    fn note_sent(&self, event: &Value) -> Sent {
        let text = |value: &Value| value.as_str().expect("it was made with one").to_owned();
        let (id, content) = (text(&event["event_id"]), text(&event["payload"]["content"]));
        let number = self.ledger.sent_with(&id, &content);
        Sent { id, content, number }
    }

    fn note_told(&mut self, sent: &Sent, outcome: Outcome) {
        self.ledger.told_of(&sent.id, sent.number, outcome);
        if outcome == Outcome::Acknowledged && self.acknowledged.len() < 10_000 {
            self.acknowledged.push((sent.id.clone(), sent.content.clone()));
        }
    }
}

/// One try.
struct Sent {
    id: String,
    content: String,
    number: usize,
}

/// What an answer says about all events of its request.
fn whole(answer: &Answer) -> Outcome {
    match answer.status {
        200 => Outcome::Acknowledged,
        400..500 => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}

/// Sends again what nobody knows of, until somebody does. Answers with how many events that were.
///
/// # Panics
/// When for as long as `within` nobody gets to know of any more.
pub async fn resolve(way: &Client, ledger: &Ledger, within: Duration) -> usize {
    let mut deadline = Instant::now() + within;
    let first = ledger.unresolved().len();
    let mut fewest = first;
    loop {
        let unknown = ledger.unresolved();
        if unknown.is_empty() {
            return first;
        }
        if unknown.len() < fewest {
            (fewest, deadline) = (unknown.len(), Instant::now() + within);
        }
        assert!(
            Instant::now() < deadline,
            "{} events are still unknown: {:?}",
            unknown.len(),
            unknown.first()
        );
        for part in unknown.chunks(500) {
            let events: Vec<Value> = part.iter().map(|(id, content)| event_with(id, content)).collect();
            for (id, content) in part {
                ledger.sent_with(id, content);
            }
            let request = way.request(Method::POST, BATCH).timeout(Duration::from_secs(30));
            let answer = way.try_execute(request.json(&json!({"events": events}))).await;
            let body = answer.ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
            for result in body.iter().filter_map(|body| body["results"].as_array()).flatten() {
                ledger.told_result(result);
            }
        }
    }
}

/// Waits until a way answers one new event with 200. Answers with how long that took.
///
/// # Panics
/// When it takes longer than `within`.
pub async fn wait_until_stored(way: &Client, ledger: &Ledger, within: Duration) -> Duration {
    try_until_stored(way, ledger, within).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// As [`wait_until_stored`].
///
/// # Errors
/// When it takes longer than `within`; the text has the last answer.
pub async fn try_until_stored(way: &Client, ledger: &Ledger, within: Duration) -> Result<Duration, String> {
    let begun = Instant::now();
    loop {
        let id = unique("probe");
        let number = ledger.sent_with(&id, "probe");
        let request = way.request(Method::POST, EVENTS).timeout(Duration::from_secs(2));
        let answer = way.try_execute(request.json(&event_with(&id, "probe"))).await;
        if let Ok(answer) = &answer {
            ledger.told_of(&id, number, whole(answer));
            if answer.status == 200 {
                return Ok(begun.elapsed());
            }
        }
        if begun.elapsed() >= within {
            return Err(format!("nothing was stored for {within:?}: {answer:?}"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
