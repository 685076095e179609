//! Searches over HTTP in a table of millions of events, against the search for the latest 50.
//!
//! | module | holds |
//! |---|---|
//! | `history` | the events, each a function of its number |
//! | `fill` | how they get into the table |
//! | `question` | what is searched for |
//! | `timing` | how long searches took |
//! | `size` | what the table takes on the disk |
//! | `report` | what is told |

mod fill;
mod history;
mod question;
mod report;
mod size;
mod timing;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pulsestream_domain::{Timestamp, ports::Clock as _, tenant::TenantId};
use pulsestream_ingestion::SystemClock;
use serde_json::Value;
use uuid::Uuid;

use self::{
    history::{History, TENANTS},
    question::{EVENTS, LATEST, PAGE, QUESTIONS, Question},
    timing::{Compared, Timing},
};
use crate::{http::Client, stage::Stage};

pub(crate) use report::{progress, write};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "search";
/// How often every question takes its turn.
const ROUNDS: u64 = 3;
/// Requests in one turn at most.
const REQUESTS: u64 = 150;
/// And how long a turn takes at most.
const TURN: Duration = Duration::from_secs(1);
/// The page of a cursor that counts as deep.
const DEEP: u64 = 1_000;
/// How many pages from there on are timed.
const PAGES: u64 = 40;
/// How many events an export has.
const EXPORTED: u64 = 100_000;

/// What came out.
pub(crate) struct Outcome {
    pub(crate) events: u64,
    /// In the order they ran, with what they were compared with in the same turn.
    pub(crate) questions: Vec<Compared>,
    /// Events per second, one after the other over one connection.
    export: f64,
    /// A mix of searches alone, and while events come in at full rate.
    under_load: UnderLoad,
    sizes: Vec<size::Part>,
}

struct UnderLoad {
    idle: Timing,
    busy: Timing,
    /// Events per second that were taken in meanwhile.
    rate: f64,
}

/// Only fills a database, for looking at plans.
///
/// # Errors
/// When the database has no schema, or has these events.
pub(crate) fn fill_only(url: &str, events: u64) -> Result<()> {
    let tenants = (1..=TENANTS as u128).map(|number| TenantId(Uuid::from_u128(number << 64 | number)));
    fill::fill(url, &History::new(tenants.collect(), events, SystemClock.now()))
}

/// Fills the table and asks everything.
///
/// # Errors
/// When anything is refused, or finds nothing at all.
pub(crate) fn run(stage: &mut Stage, events: u64) -> Result<Outcome> {
    stage.postgres.reset()?;
    let tenants = stage.postgres.tenants("bench-")?;
    ensure!(tenants.len() == TENANTS, "there are {} tenants", tenants.len());
    let keys: Vec<String> = stage.on_postgres.keys().into_iter().map(str::to_owned).collect();
    let history = History::new(tenants, events, now());
    let start = Instant::now();
    fill::fill(stage.postgres.url(), &history)?;
    println!("{NAME:<20} {events} events in {:.0} s", start.elapsed().as_secs_f64());

    let server = stage.on_postgres.serve()?;
    let mut searcher =
        Searcher { client: Client::connect(server.address())?, history: &history, keys: &keys };
    searcher.check_rows(stage)?;
    let questions = searcher.questions()?;
    let export = searcher.export()?;
    let sizes = size::sizes(stage.postgres.url())?;
    let under_load = searcher.under_load(stage, server.address())?;
    drop(searcher);
    server.stop()?;
    Ok(Outcome { events, questions, export, under_load, sizes })
}

/// To the second, as clients write it.
fn now() -> Timestamp {
    Timestamp::from_secs(SystemClock.now().as_secs())
}

/// Whether an answer lists anything: events, intervals or values.
fn has_anything(answer: &[u8]) -> Result<bool> {
    let answer: Value = serde_json::from_slice(answer)?;
    let mut lists =
        answer.as_object().context("an answer is an object")?.values().filter_map(Value::as_array);
    Ok(lists.any(|list| !list.is_empty()))
}

struct Searcher<'a> {
    client: Client,
    history: &'a History,
    keys: &'a [String],
}

impl Searcher<'_> {
    /// What was filled in has to be what the product would have written.
    fn check_rows(&mut self, stage: &Stage) -> Result<()> {
        let text = self.history.text(0);
        let id = serde_json::from_str::<Value>(&text)?["event_id"].as_str().context("an id")?.to_owned();
        let twin = Uuid::from_u128(0).to_string();
        let key = &self.keys[history::tenant_of(0)];
        self.client.post(EVENTS, key, &text.replace(&id, &twin))?;
        fill::check_same(stage.postgres.url(), &twin, &id)?;
        self.client.delete(&format!("{EVENTS}/{twin}"), key).map(drop)
    }

    fn questions(&mut self) -> Result<Vec<Compared>> {
        let mut all: Vec<Compared> = QUESTIONS.iter().map(Compared::new).collect();
        let (mut first, mut deep) = (Compared::page("cursor page 2"), Compared::page("cursor page 1,000"));
        self.turn(&LATEST, 0)?;
        for round in 0..ROUNDS {
            for (question, compared) in QUESTIONS.iter().zip(&mut all) {
                let yardstick = self.turn(&LATEST, round * REQUESTS)?;
                compared.add(yardstick, self.turn(question, round * REQUESTS)?);
            }
            let (yardstick, near, far) = self.pages()?;
            first.add(yardstick.clone(), near);
            deep.add(yardstick, far);
        }
        all.extend([first, deep]);
        Ok(all)
    }

    /// Asks one question again and again.
    fn turn(&mut self, question: &Question, first: u64) -> Result<Timing> {
        let (mut timing, start) = (Timing::default(), Instant::now());
        let mut found = false;
        for turn in first..first + REQUESTS {
            let asked = question.asked(turn, self.history);
            let key = &self.keys[asked.tenant];
            let answer = timing.of(|| self.client.get(&asked.path, key))?;
            found = found || has_anything(&answer)?;
            if start.elapsed() > TURN {
                break;
            }
        }
        ensure!(found, "\"{}\" finds nothing", question.name);
        Ok(timing)
    }

    /// Walks through the events of the largest tenant: the latest page over and over, the pages right behind
    /// it, and the pages from the thousandth on, or from half way if there are not so many.
    fn pages(&mut self) -> Result<(Timing, Timing, Timing)> {
        let key = &self.keys[0];
        let path = format!("{EVENTS}/search?limit={PAGE}");
        let (mut latest, mut near, mut far) = (Timing::default(), Timing::default(), Timing::default());
        for _ in 0..PAGES {
            latest.of(|| self.client.get(&path, key))?;
        }
        let of_largest = self.history.events() / 8;
        let deep = DEEP.min(of_largest / u64::from(PAGE) / 2);
        let mut next = path.clone();
        for page in 0..deep + PAGES {
            let mut one = Timing::default();
            let answer = one.of(|| self.client.get(&next, key))?;
            if (1..=PAGES).contains(&page) {
                near.extend(one);
            } else if page >= deep {
                far.extend(one);
            }
            let answer: Value = serde_json::from_slice(&answer)?;
            let cursor = answer["next_cursor"].as_str().context("there are more pages")?;
            next = format!("{path}&cursor={cursor}");
        }
        Ok((latest, near, far))
    }

    fn export(&mut self) -> Result<f64> {
        let wanted = EXPORTED.min(self.history.events() / 10);
        let start = Instant::now();
        let answer = self.client.get(&format!("{EVENTS}/export?limit={wanted}"), &self.keys[0])?;
        let elapsed = start.elapsed();
        let lines = answer.iter().filter(|byte| **byte == b'\n').count() as u64;
        ensure!(lines == wanted, "{lines} of {wanted} events were exported");
        Ok(lines as f64 / elapsed.as_secs_f64())
    }

    /// What people look at while events come in.
    fn mix(&mut self, length: Duration) -> Result<Timing> {
        let named =
            |question: &&Question| ["day", "severity, rare", "user", "text, rare"].contains(&question.name);
        let mix: Vec<&Question> = QUESTIONS.iter().filter(named).chain([&LATEST]).collect();
        let (mut timing, start) = (Timing::default(), Instant::now());
        for (turn, question) in mix.iter().cycle().enumerate() {
            if start.elapsed() > length {
                break;
            }
            let asked = question.asked((turn / mix.len()) as u64, self.history);
            timing.of(|| self.client.get(&asked.path, &self.keys[asked.tenant]))?;
        }
        Ok(timing)
    }

    fn under_load(&mut self, stage: &mut Stage, address: std::net::SocketAddr) -> Result<UnderLoad> {
        let length = Duration::from_secs(10);
        let idle = self.mix(length)?;
        let (busy, tally) = stage.while_events_come_in(address, 64, length, || self.mix(length))?;
        Ok(UnderLoad { idle, busy, rate: tally.events as f64 / tally.elapsed.as_secs_f64() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_an_empty_list_has_nothing() {
        assert!(has_anything(br#"{"field":"severity","values":[{"value":"info","count":1}]}"#).unwrap());
        assert!(!has_anything(br#"{"events":[],"total_count":0}"#).unwrap());
        assert!(has_anything(b"no answer").is_err());
    }
}
