//! Asking, and noting how long it takes.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use uuid::Uuid;

use super::{
    fill,
    history::{self, History},
    question::{EVENTS, LATEST, PAGE, QUESTIONS, Question},
    report,
    timing::{Compared, Timing},
};
use crate::{http::Client, stage::Stage};

/// How often every question takes its turn.
const ROUNDS: u64 = 3;
/// Requests in one turn at most.
const REQUESTS: u64 = 150;
/// And the least, if answers take long: the first few differ from tenant to tenant.
const LEAST_REQUESTS: usize = 3;
/// After how long a turn is over.
const TURN: Duration = Duration::from_secs(1);
/// The page of a cursor that counts as deep.
const DEEP: u64 = 1_000;
/// How many pages from there on are timed.
const PAGES: u64 = 40;
/// How many events an export has.
const EXPORTED: u64 = 100_000;

/// One client that searches in a history, as each of its tenants.
pub(crate) struct Searcher<'a> {
    client: Client,
    history: &'a History,
    /// Of the tenants, in the same order.
    keys: &'a [String],
}

impl<'a> Searcher<'a> {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn connect(address: SocketAddr, history: &'a History, keys: &'a [String]) -> Result<Self> {
        Ok(Self { client: Client::connect(address)?, history, keys })
    }

    /// What was filled in has to be what the product would have written.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn check_rows(&mut self, stage: &Stage) -> Result<()> {
        let text = self.history.text(0);
        let id = serde_json::from_str::<Value>(&text)?["event_id"].as_str().context("an id")?.to_owned();
        let twin = Uuid::from_u128(0).to_string();
        let key = &self.keys[history::tenant_of(0)];
        self.client.post(EVENTS, key, &text.replace(&id, &twin))?;
        fill::check_same(stage.postgres.url(), &twin, &id)?;
        self.client.delete(&format!("{EVENTS}/{twin}"), key).map(drop)
    }

    /// Asks everything, each question in turns with the yardstick.
    ///
    /// # Errors
    /// When anything is refused, or finds nothing at all.
    pub(crate) fn questions(&mut self) -> Result<Vec<Compared>> {
        let mut all: Vec<Compared> = QUESTIONS.iter().map(Compared::new).collect();
        let (mut first, mut deep) = (Compared::page("cursor page 2"), Compared::page("cursor page 1,000"));
        self.turn(&LATEST, 0)?;
        for round in 0..ROUNDS {
            for (question, compared) in QUESTIONS.iter().zip(&mut all) {
                let asked = || format!("asking for \"{}\"", question.name);
                let yardstick = self.turn(&LATEST, round * REQUESTS).with_context(asked)?;
                compared.add(yardstick, self.turn(question, round * REQUESTS).with_context(asked)?);
            }
            let (yardstick, near, far) = self.pages().context("following cursors")?;
            first.add(yardstick.clone(), near);
            deep.add(yardstick, far);
        }
        all.extend([first, deep]);
        for compared in &all {
            println!("{}", report::line(compared));
        }
        Ok(all)
    }

    /// Asks one question again and again.
    fn turn(&mut self, question: &Question, first: u64) -> Result<Timing> {
        let (mut timing, start) = (Timing::default(), Instant::now());
        let mut found = false;
        for turn in first..first + REQUESTS {
            let asked = question.asked(turn, self.history);
            let key = &self.keys[asked.tenant];
            match timing.of(|| self.client.get_unless_given_up(&asked.path, key))? {
                Some(answer) => found = found || has_anything(&answer)?,
                None => timing.give_up(),
            }
            if start.elapsed() > TURN && timing.len() >= LEAST_REQUESTS {
                break;
            }
        }
        ensure!(found || timing.given_up() > 0, "\"{}\" finds nothing", question.name);
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

    /// Events per second of an export of the largest tenant.
    ///
    /// # Errors
    /// When it does not have as many as asked for.
    pub(crate) fn export(&mut self) -> Result<f64> {
        let wanted = EXPORTED.min(self.history.events() / 10);
        let start = Instant::now();
        let path = format!("{EVENTS}/export?limit={wanted}");
        let answer = self.client.get(&path, &self.keys[0]).context("exporting")?;
        let elapsed = start.elapsed();
        let lines = answer.iter().filter(|byte| **byte == b'\n').count() as u64;
        ensure!(lines == wanted, "{lines} of {wanted} events were exported");
        Ok(lines as f64 / elapsed.as_secs_f64())
    }

    /// What people look at while events come in.
    ///
    /// # Errors
    /// When anything is refused.
    pub(crate) fn mix(&mut self, length: Duration) -> Result<Timing> {
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
}

/// Whether an answer lists anything: events, intervals or values.
fn has_anything(answer: &[u8]) -> Result<bool> {
    let answer: Value = serde_json::from_slice(answer)?;
    let mut lists =
        answer.as_object().context("an answer is an object")?.values().filter_map(Value::as_array);
    Ok(lists.any(|list| !list.is_empty()))
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
