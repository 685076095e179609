//! Over HTTP, to any server, within its limits.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Sink, Verdict};
use crate::{client::Client, import::batch::Record, one_line};

const PATH: &str = "/api/v1/ingestion/events/batch";

/// A server that takes batches.
pub(crate) struct HttpSink {
    client: Client,
}

#[derive(Serialize)]
struct Request<'a> {
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct BatchAnswer {
    results: Vec<EventAnswer>,
}

#[derive(Deserialize)]
struct EventAnswer {
    status: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<EventError>,
    #[serde(default)]
    retry_after: Option<u64>,
}

#[derive(Deserialize)]
struct EventError {
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    detail: String,
}

/// What a server answers when it did not look at the events.
#[derive(Deserialize, Default)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
}

impl HttpSink {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Sink for HttpSink {
    async fn offer(&self, records: &[Record]) -> Result<Answer> {
        let request = Request { events: records.iter().map(|record| &*record.event).collect() };
        let response = match self.client.post(PATH).json(&request).send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Err(error).context("the URL is not usable"),
            // Stored or not, nobody knows. Every event has an id, so offering it again is safe.
            Err(error) => return Ok(Answer::nothing(records.len(), None, one_line(&error.into()))),
        };
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(error) => return Ok(Answer::nothing(records.len(), retry_after, one_line(&error.into()))),
        };
        if let Ok(answer) = serde_json::from_slice::<BatchAnswer>(&body) {
            return read_results(answer.results, records.len(), retry_after);
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        let trouble = format!("the server answered {status}: {} ({})", problem.detail, problem.code);
        match status {
            StatusCode::PAYLOAD_TOO_LARGE if records.len() == 1 => {
                let verdicts = vec![Verdict::Refused("it is too large for the server".to_owned())];
                Ok(Answer { verdicts, retry_after: None, trouble: None })
            }
            StatusCode::TOO_MANY_REQUESTS => Ok(Answer::nothing(records.len(), retry_after, trouble)),
            _ if status.is_server_error() => Ok(Answer::nothing(records.len(), retry_after, trouble)),
            _ => bail!(trouble),
        }
    }
}

fn read_results(
    results: Vec<EventAnswer>,
    offered: usize,
    mut retry_after: Option<Duration>,
) -> Result<Answer> {
    ensure!(results.len() == offered, "the server did not answer with one result per event");
    let mut trouble = None;
    let mut verdicts = Vec::with_capacity(offered);
    for result in results {
        verdicts.push(match result.status.as_str() {
            "accepted" => Verdict::Stored,
            "duplicate" => Verdict::Duplicate,
            "rejected" | "conflict" => Verdict::Refused(reason(&result)),
            _ => {
                retry_after = retry_after.max(result.retry_after.map(Duration::from_secs));
                trouble = Some(format!("{}: {}", result.status, result.message));
                Verdict::NotYet
            }
        });
    }
    Ok(Answer { verdicts, retry_after, trouble })
}

fn reason(result: &EventAnswer) -> String {
    if result.errors.is_empty() {
        return result.message.clone();
    }
    let told = result.errors.iter().map(|error| format!("{} {}", error.pointer, error.detail));
    told.collect::<Vec<_>>().join(", ").trim().to_owned()
}

/// `Retry-After` in seconds; the form with a date is not used by this server.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(results: &str, retry_after: Option<u64>) -> Result<Answer> {
        let answer: BatchAnswer = serde_json::from_str(results).expect("JSON");
        read_results(answer.results, 4, retry_after.map(Duration::from_secs))
    }

    #[test]
    fn each_result_becomes_a_verdict_and_the_longest_wait_counts() {
        let answer = read(
            r#"{"results":[
                {"status":"accepted","message":"ok"},
                {"status":"duplicate"},
                {"status":"rejected","message":"no","errors":[{"pointer":"/title","code":"required","detail":"is required"}]},
                {"status":"throttled","message":"slow down","retry_after":12}]}"#,
            Some(3),
        )
        .expect("one result per event");
        let refused = Verdict::Refused("/title is required".to_owned());
        assert_eq!(answer.verdicts, [Verdict::Stored, Verdict::Duplicate, refused, Verdict::NotYet]);
        assert_eq!(answer.retry_after, Some(Duration::from_secs(12)));
        assert_eq!(answer.trouble.as_deref(), Some("throttled: slow down"));
    }

    #[test]
    fn an_answer_with_another_number_of_results_is_not_believed() {
        assert!(read(r#"{"results":[{"status":"accepted"}]}"#, None).is_err());
    }
}
