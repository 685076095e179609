//! Load on a running server: made-up events, sent flat out or at a rate, and what became of them.
//!
//! Answers are read as `import` reads them, and what is to be sent again is, when the answer says so.

mod events;
mod histogram;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use pulsestream_domain::ports::{Clock, IdSource};
use serde::Serialize;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(crate) use histogram::Histogram;

use crate::import::{Record, Sink, Verdict};

/// How long to wait before sending again where the answer does not say.
const PAUSE: Duration = Duration::from_millis(500);

/// What to send, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many requests may be under way at a time.
    pub(crate) connections: u32,
    /// Events in a request.
    pub(crate) batch: u32,
    /// Events per second in all. Without it each connection sends its next request as soon as it has an
    /// answer, and a slow server is asked less.
    pub(crate) rate: Option<f64>,
    /// For how long new events are sent. What is refused for now is sent again for as long once more.
    pub(crate) length: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Outcome {
    /// Events that the server has stored.
    pub(crate) stored: u64,
    /// Events that it had stored already: a request was sent again whose answer was lost.
    pub(crate) duplicates: u64,
    /// Events that it will never store.
    pub(crate) refused: u64,
    /// Events that it has not taken by the end, though it may take them later.
    pub(crate) unsettled: u64,
    /// Requests that were sent again, in part or whole.
    pub(crate) retries: u64,
    /// Why there were retries, as the last of them said.
    pub(crate) trouble: Option<String>,
    #[serde(skip)]
    pub(crate) times: Histogram,
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.refused += other.refused;
        self.unsettled += other.unsettled;
        self.retries += other.retries;
        self.trouble = other.trouble.or(self.trouble.take());
        self.times.merge(&other.times);
    }
}

/// Sends events until the time is up, and answers with what came of them and how long it took.
///
/// # Errors
/// When the server takes nothing on principle, for instance because of the key.
pub(crate) async fn run(
    plan: Plan,
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
) -> Result<(Outcome, Duration)> {
    let start = Instant::now();
    let mut senders = JoinSet::new();
    for number in 0..plan.connections {
        let sender = Sender {
            plan,
            start,
            sink: sink.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            outcome: Outcome::default(),
        };
        senders.spawn(sender.send_all(number));
    }
    let mut outcome = Outcome::default();
    while let Some(sent) = senders.join_next().await {
        outcome.merge(sent.context("a sender panicked")??);
    }
    Ok((outcome, start.elapsed()))
}

/// One request at a time.
struct Sender {
    plan: Plan,
    start: Instant,
    sink: Arc<dyn Sink>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    outcome: Outcome,
}

impl Sender {
    async fn send_all(mut self, number: u32) -> Result<Outcome> {
        let Plan { connections, batch, rate, length, .. } = self.plan;
        // The requests of all senders together are evenly spaced.
        let spacing = rate.map(|rate| Duration::from_secs_f64(f64::from(batch) / rate));
        let end = self.start + length;
        for turn in 0_u32.. {
            let due = match spacing {
                Some(spacing) => self.start + spacing * number + spacing * connections * turn,
                None => Instant::now(),
            };
            if due >= end {
                break;
            }
            sleep_until(due).await;
            self.send(due, end + length).await?;
        }
        Ok(self.outcome)
    }

    /// Sends one batch and what is left of it until everything is settled or the time is up.
    ///
    /// What counts is the time from when the request was due: at a rate, a request that waits for a free
    /// connection has been waiting for the server.
    async fn send(&mut self, mut due: Instant, end: Instant) -> Result<()> {
        let mut left = self.events()?;
        loop {
            let answer = self.sink.offer(&left).await?;
            self.outcome.times.record(due.elapsed());
            left = self.settle(left, answer.verdicts);
            let again = Instant::now() + answer.retry_after.unwrap_or(PAUSE);
            if left.is_empty() || again >= end {
                self.outcome.unsettled += left.len() as u64;
                return Ok(());
            }
            self.outcome.retries += 1;
            self.outcome.trouble = answer.trouble;
            sleep_until(again).await;
            due = again;
        }
    }

    fn events(&self) -> Result<Vec<Record>> {
        let made = (1..=self.plan.batch).map(|position| {
            let event = events::event(self.ids.uuid_v7(self.clock.now()))?;
            Ok(Record { position: position.into(), event })
        });
        made.collect::<serde_json::Result<_>>().context("making events")
    }

    /// Counts what is final and gives back the rest.
    fn settle(&mut self, offered: Vec<Record>, verdicts: Vec<Verdict>) -> Vec<Record> {
        let mut left = Vec::new();
        for (record, verdict) in offered.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Stored => self.outcome.stored += 1,
                Verdict::Duplicate => self.outcome.duplicates += 1,
                Verdict::Refused(_) => self.outcome.refused += 1,
                Verdict::NotYet => left.push(record),
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use pulsestream_ingestion::{SystemClock, SystemIds};

    use super::*;
    use crate::import::Answer;

    /// Takes so long for each offer, and refuses for a while what it is offered first.
    struct Slow {
        time: Duration,
        throttles: bool,
        offers: Mutex<u64>,
    }

    #[async_trait]
    impl Sink for Slow {
        async fn offer(&self, records: &[Record]) -> Result<Answer> {
            tokio::time::sleep(self.time).await;
            let mut offers = self.offers.lock().expect("no panics");
            *offers += 1;
            let verdict = if self.throttles && *offers == 1 { Verdict::NotYet } else { Verdict::Stored };
            let retry_after = Some(Duration::from_secs(2));
            Ok(Answer { verdicts: vec![verdict; records.len()], retry_after, trouble: None })
        }
    }

    async fn sent(plan: Plan, time: Duration, throttles: bool) -> (Outcome, Duration) {
        let sink = Arc::new(Slow { time, throttles, offers: Mutex::default() });
        run(plan, sink, Arc::new(SystemClock), Arc::new(SystemIds::default()))
            .await
            .expect("it takes everything")
    }

    const PLAN: Plan = Plan { connections: 2, batch: 5, rate: None, length: Duration::from_secs(10) };

    #[tokio::test(start_paused = true)]
    async fn flat_out_the_next_request_follows_the_answer() {
        let (outcome, elapsed) = sent(PLAN, Duration::from_millis(100), false).await;
        assert_eq!((outcome.stored, outcome.times.len()), (1_000, 200));
        assert_eq!(outcome.times.longest().as_millis(), 100);
        assert_eq!(elapsed.as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn at_a_rate_waiting_for_a_slow_server_counts() {
        let at_rate = Plan { rate: Some(50.0), ..PLAN };
        let (quick, _) = sent(at_rate, Duration::from_millis(1), false).await;
        assert_eq!(quick.stored, 500);
        assert!(quick.times.longest() < Duration::from_millis(5), "{:?}", quick.times.longest());
        // Ten requests a second are due; two connections at 400 ms manage five.
        let (slow, _) = sent(at_rate, Duration::from_millis(400), false).await;
        assert_eq!(slow.stored, 500);
        assert!(slow.times.longest() > Duration::from_secs(9), "{:?}", slow.times.longest());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_for_now_is_sent_again_when_the_answer_says() {
        let one = Plan { connections: 1, length: Duration::from_secs(1), ..PLAN };
        let long = Plan { length: Duration::from_secs(3), ..one };
        let (outcome, elapsed) = sent(long, Duration::from_millis(600), true).await;
        assert_eq!((outcome.retries, outcome.unsettled), (1, 0));
        assert!(elapsed >= Duration::from_millis(3_200), "{elapsed:?}");
        // Two seconds are beyond the end: the first five stay unsettled, and only the next are stored.
        let (outcome, _) = sent(one, Duration::from_millis(600), true).await;
        assert_eq!((outcome.retries, outcome.unsettled, outcome.stored), (0, 5, 5));
    }
}
