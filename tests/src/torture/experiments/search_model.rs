//! T5. Searches find what a list in memory finds, page by page, while others write and delete.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use crate::{
    Client, Combination, event,
    torture::{
        Wish,
        cluster::{Cluster, Plan},
        report::Report,
        rng::Rng,
    },
    unique,
};

const SEVERITIES: [&str; 4] = ["info", "warning", "error", "critical"];
const SERVICES: [&str; 4] = ["shop", "shop-api", "billing", "mail"];
const WORDS: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
const EVENTS: usize = 300;
/// How the ids of events begin that are written meanwhile.
const WRITER: &str = "writer";
/// By each writer, so that searches stay short.
const MOST_WRITTEN: usize = 500;

/// What the model knows of an event.
#[derive(Clone, Debug)]
struct Known {
    severity: &'static str,
    service: &'static str,
    status_code: u64,
    user_id: String,
    words: [&'static str; 2],
    /// Seconds since the start of 2024; several events have the same.
    second: u64,
}

impl Known {
    fn new(rng: &mut Rng) -> Self {
        Self {
            severity: rng.choose::<&str>(&SEVERITIES),
            service: rng.choose::<&str>(&SERVICES),
            status_code: *rng.choose(&[200, 201, 404, 500, 503]),
            user_id: format!("user-{}", rng.index(5)),
            words: [*rng.choose(&WORDS), *rng.choose(&WORDS)],
            second: rng.number(0..60),
        }
    }

    fn timestamp(&self) -> String {
        format!("2024-01-01T00:00:{:02}Z", self.second)
    }

    fn event(&self, id: &str) -> Value {
        event(json!({
            "event_id": id, "severity": self.severity, "title": self.words.join(" "),
            "source": {"service": self.service, "endpoint": "/", "method": "GET"},
            "metrics": {"response_time_ms": 1.0, "status_code": self.status_code},
            "context": {"user_id": self.user_id}, "timestamp": self.timestamp(),
        }))
    }
}

/// What one parameter asks of an event.
type Condition = Box<dyn Fn(&Known) -> bool + Send + Sync>;

/// A search, as parameters and as what it means.
struct Search {
    parameters: Vec<(&'static str, String)>,
    matches: Vec<Condition>,
    is_ascending: bool,
}

impl Search {
    fn new(rng: &mut Rng) -> Self {
        let mut search = Self { parameters: Vec::new(), matches: Vec::new(), is_ascending: rng.percent(50) };
        for _ in 0..rng.index(4) {
            search.add_filter(rng);
        }
        search
    }

    fn add_filter(&mut self, rng: &mut Rng) {
        let other = Known::new(rng);
        let (name, value, matches): (_, _, Condition) = match rng.index(8) {
            0 => (
                "severity",
                other.severity.to_owned(),
                Box::new(move |known| known.severity == other.severity),
            ),
            1 => ("service", other.service.to_owned(), Box::new(move |known| known.service == other.service)),
            2 => ("service", "shop*".to_owned(), Box::new(|known| known.service.starts_with("shop"))),
            3 => ("status_code", "5xx".to_owned(), Box::new(|known| known.status_code / 100 == 5)),
            4 => ("user_id", other.user_id.clone(), Box::new(move |known| known.user_id == other.user_id)),
            5 => {
                ("q", other.words[0].to_owned(), Box::new(move |known| known.words.contains(&other.words[0])))
            }
            6 => ("start_time", other.timestamp(), Box::new(move |known| known.second >= other.second)),
            _ => ("end_time", other.timestamp(), Box::new(move |known| known.second <= other.second)),
        };
        // One of each: a parameter that comes twice is another matter. And only one end of time: two that cross
        // are refused.
        let is_end = |name: &str| name.ends_with("_time");
        if self.parameters.iter().all(|(other, _)| *other != name && !(is_end(other) && is_end(name))) {
            self.parameters.push((name, value));
            self.matches.push(matches);
        }
    }

    fn finds(&self, known: &Known) -> bool {
        self.matches.iter().all(|matches| matches(known))
    }
}

pub(super) async fn run(wish: Wish, combination: Combination) -> Report {
    let mut report = Report::default();
    let cluster = Cluster::start(Plan::usual(combination)).await;
    let (tenant, other) = (cluster.unlimited_tenant().await, cluster.unlimited_tenant().await);
    let ways = cluster.ways(&tenant);
    let mut rng = wish.rng();
    let mut model: BTreeMap<String, Known> =
        (0..EVENTS).map(|_| (unique("model"), Known::new(&mut rng))).collect();
    let events: Vec<Value> = model.iter().map(|(id, known)| known.event(id)).collect();
    ways[0].send_batch(&events).await.expect(200);
    // Another tenant has the same, under names of its own.
    let foreign: Vec<Value> = model.values().map(|known| known.event(&unique("foreign"))).collect();
    cluster.ways(&other)[0].send_batch(&foreign).await.expect(200);

    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        ways.iter().map(|way| tokio::spawn(write(way.clone(), rng.fork(), Arc::clone(&stop)))).collect();
    let (searches, mut pages, mut found, mut differences) = (wish.pick(60, 250), 0, 0, 0);
    for number in 0..searches {
        if number % 5 == 4 {
            let gone =
                model.keys().nth(rng.index(model.len())).cloned().expect("fewer are deleted than there are");
            ways[rng.index(ways.len())].delete(&crate::client::event_path(&gone)).await.expect(200);
            model.remove(&gone);
        }
        let search = Search::new(&mut rng);
        let way = &ways[rng.index(ways.len())];
        let (seen, turned) = match all_pages(way, &search, rng.index(40) + 5).await {
            Ok(seen) => seen,
            Err(failure) => {
                report.expect(false, || failure);
                break;
            }
        };
        pages += turned;
        found += seen.len();
        let wrong = difference(&model, &search, &seen);
        differences += usize::from(wrong.is_some());
        if differences < 5 {
            report.expect(wrong.is_none(), || {
                format!("{:?}: {}", search.parameters, wrong.unwrap_or_default())
            });
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.expect("a writer never panics");
    }
    report.figure("searches, pages, events found", format!("{searches}, {pages}, {found}"));
    report.figure("written meanwhile", written);
    report.figure("searches that differ from the model", differences);
    report.expect(differences == 0, || format!("{differences} searches differ from the model"));
    report.expect(written > 0, || "nothing was written meanwhile: this proves less".to_owned());
    report
}

/// Writes events like the model's, with ids that tell them apart. Answers with how many.
async fn write(way: Client, mut rng: Rng, stop: Arc<AtomicBool>) -> usize {
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) && written < MOST_WRITTEN {
        let event = Known::new(&mut rng).event(&unique(WRITER));
        written += usize::from(way.send(&event).await.status == 200);
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
    }
    written
}

/// The ids and times of all pages, in their order, and how many pages there were.
async fn all_pages(
    way: &Client,
    search: &Search,
    limit: usize,
) -> Result<(Vec<(String, String)>, usize), String> {
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let order = if search.is_ascending { "asc" } else { "desc" };
        let mut parameters: Vec<(&str, String)> = search.parameters.clone();
        parameters.extend([("order", order.to_owned()), ("limit", limit.to_string())]);
        parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = way.search(&parameters).await;
        if answer.status != 200 {
            return Err(format!("{parameters:?} was answered with {}: {}", answer.status, answer.text()));
        }
        let page = answer.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = page["events"].as_array().into_iter().flatten();
        seen.extend(events.map(|event| (text(&event["id"]), text(&event["timestamp"]))));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok((seen, pages)),
        }
    }
}

/// What is wrong with what was found, if anything.
fn difference(model: &BTreeMap<String, Known>, search: &Search, seen: &[(String, String)]) -> Option<String> {
    let is_sorted =
        seen.is_sorted_by(|(_, one), (_, next)| if search.is_ascending { one <= next } else { one >= next });
    if !is_sorted {
        return Some("not in order".to_owned());
    }
    let ours: Vec<&str> =
        seen.iter().map(|(id, _)| id.as_str()).filter(|id| !id.starts_with(WRITER)).collect();
    let mut sorted = ours.clone();
    sorted.sort_unstable();
    let expected: Vec<&str> =
        model.iter().filter(|(_, known)| search.finds(known)).map(|(id, _)| id.as_str()).collect();
    if sorted == expected {
        return None;
    }
    let extra: Vec<&&str> = sorted.iter().filter(|id| !expected.contains(id)).take(3).collect();
    let missing: Vec<&&str> = expected.iter().filter(|id| !sorted.contains(id)).take(3).collect();
    Some(format!("{} found, {} expected; extra {extra:?}, missing {missing:?}", sorted.len(), expected.len()))
}
