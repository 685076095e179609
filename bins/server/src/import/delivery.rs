//! Offers a batch until every event of it has a final answer.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{
    batch::{BadLine, Batch, Record},
    sink::{Sink, Verdict},
    tally::Tally,
};

/// How often in a row a sink may take nothing before the import stops.
const FRUITLESS_OFFERS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Offers the batch, and again what was not stored, as long as something is.
///
/// # Errors
/// When the sink refuses the import as a whole, or takes nothing any more. Running the import again goes on
/// where it stopped: what is stored is then a duplicate.
pub(super) async fn deliver(batch: Batch, sink: &dyn Sink, tally: &mut Tally) -> Result<()> {
    tally.read += batch.records.len() as u64 + batch.bad.len() as u64;
    tally.assumed_response_times += batch.assumed_times;
    batch.bad.into_iter().for_each(|line| tally.count_bad(line));

    let mut left = batch.records;
    let mut fruitless = 0;
    while !left.is_empty() {
        let offered = left.len();
        let answer = sink.offer(&left).await?;
        left = settle(left, answer.verdicts, tally);
        if left.is_empty() {
            break;
        }
        fruitless = if left.len() < offered { 0 } else { fruitless + 1 };
        if fruitless == FRUITLESS_OFFERS {
            bail!("giving up after {fruitless} tries: {}", answer.trouble.as_deref().unwrap_or("no answer"));
        }
        let pause = answer.retry_after.unwrap_or(FIRST_PAUSE * 2_u32.pow(fruitless));
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    }
    Ok(())
}

/// Counts what is final and gives back the rest.
fn settle(offered: Vec<Record>, verdicts: Vec<Verdict>, tally: &mut Tally) -> Vec<Record> {
    let mut left = Vec::new();
    for (record, verdict) in offered.into_iter().zip(verdicts) {
        match verdict {
            Verdict::Stored => tally.stored += 1,
            Verdict::Duplicate => tally.duplicates += 1,
            Verdict::Refused(reason) => tally.count_bad(BadLine { position: record.position, reason }),
            Verdict::NotYet => left.push(record),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use serde_json::value::RawValue;

    use super::{super::sink::Answer, *};

    /// Gives the answers of a script, the last one for ever, and remembers what it was offered.
    struct Scripted {
        answers: Mutex<Vec<Vec<Verdict>>>,
        offered: Mutex<Vec<Vec<u64>>>,
    }

    impl Scripted {
        fn new(answers: &[&[Verdict]]) -> Self {
            let answers = answers.iter().map(|answer| answer.to_vec()).collect();
            Self { answers: Mutex::new(answers), offered: Mutex::default() }
        }
    }

    #[async_trait]
    impl Sink for Scripted {
        async fn offer(&self, records: &[Record]) -> Result<Answer> {
            let positions = records.iter().map(|record| record.position).collect();
            self.offered.lock().expect("no panics").push(positions);
            let mut answers = self.answers.lock().expect("no panics");
            let verdicts = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
            let trouble = Some("it is busy".to_owned());
            Ok(Answer { verdicts, retry_after: Some(Duration::from_secs(60)), trouble })
        }
    }

    fn batch(events: u64) -> Batch {
        let mut batch = Batch::default();
        for position in 1..=events {
            batch.push(Record { position, event: RawValue::from_string("{}".to_owned()).expect("JSON") });
        }
        batch
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_not_stored_is_offered_again() {
        use Verdict::*;
        let sink = Scripted::new(&[&[Stored, NotYet, Duplicate, NotYet], &[NotYet, Stored], &[Stored]]);
        let mut tally = Tally::default();
        deliver(batch(4), &sink, &mut tally).await.expect("everything was taken in the end");
        assert_eq!((tally.read, tally.stored, tally.duplicates, tally.bad), (4, 3, 1, 0));
        assert_eq!(*sink.offered.lock().expect("no panics"), [vec![1, 2, 3, 4], vec![2, 4], vec![2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sink_that_takes_nothing_ends_the_import() {
        let sink = Scripted::new(&[&[Verdict::NotYet]]);
        let error = deliver(batch(1), &sink, &mut Tally::default()).await.expect_err("it has to end");
        assert_eq!(error.to_string(), "giving up after 8 tries: it is busy");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_event_is_counted_with_its_line() {
        let sink = Scripted::new(&[&[Verdict::Stored, Verdict::Refused("/title too_long".to_owned())]]);
        let mut tally = Tally::default();
        deliver(batch(2), &sink, &mut tally).await.expect("both are final");
        assert_eq!(tally.bad_lines(), ["line 2: /title too_long"]);
    }
}
