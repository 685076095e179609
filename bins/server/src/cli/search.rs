//! `pulsestream search`.

use anyhow::{Context, Result, bail};
use clap::Args;
use pulsestream_domain::{
    event::FieldError,
    search::{Parameters, parse},
    tenant::Tenant,
};
use pulsestream_storage::Store;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::{
    output::Output,
    target::{Reached, Target},
};
use crate::{client::Client, settings::Settings, tenancy};

const PATH: &str = "/api/v1/ingestion/events/search";

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What to search for, the same as over HTTP: `service=web status_code=5xx q=timeout limit=20`
    #[arg(value_name = "NAME=VALUE", value_parser = parse_pair)]
    parameters: Vec<(String, String)>,
    #[command(flatten)]
    target: Target,
}

fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must look like name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A page as the HTTP API gives it, as far as it is printed.
#[derive(Deserialize)]
struct Page {
    events: Vec<Box<RawValue>>,
    total_count: u64,
    #[serde(default)]
    total_count_is_lower_bound: bool,
    next_cursor: Option<String>,
    text_index: Option<String>,
}

/// Prints one page: a table and a summary, or with `--json` one event per line.
pub(crate) async fn run(arguments: Arguments, settings: &Settings, output: Output) -> Result<()> {
    let Arguments { parameters, target } = arguments;
    let page = match target.reach(settings).await? {
        Reached::Server(client) => ask_server(&client, &parameters).await?,
        Reached::Store { store, tenant } => {
            let page = ask_store(&store, &tenant, parameters).await;
            store.close().await;
            page?
        }
    };
    if output.is_json {
        for event in &page.events {
            output.text(event.get())?;
        }
        return Ok(());
    }
    print_table(&page, output)
}

async fn ask_server(client: &Client, parameters: &[(String, String)]) -> Result<Page> {
    #[derive(Deserialize, Default)]
    struct Problem {
        #[serde(default)]
        detail: String,
        #[serde(default)]
        errors: Vec<ParameterError>,
    }
    #[derive(Deserialize)]
    struct ParameterError {
        pointer: String,
        detail: String,
    }

    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    let request = client.get(&format!("{PATH}?{query}"));
    let response = request.send().await.context("the server does not answer")?;
    let status = response.status();
    let body = response.bytes().await.context("reading the answer")?;
    if status.is_success() {
        return serde_json::from_slice(&body).context("the answer is not a page of events");
    }
    let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    let errors = problem.errors.iter().map(|error| format!("{} {}", error.pointer, error.detail));
    let told: Vec<String> = errors.collect();
    bail!("the server answered {status}: {}", if told.is_empty() { problem.detail } else { told.join(", ") })
}

async fn ask_store(store: &Store, tenant: &Tenant, parameters: Vec<(String, String)>) -> Result<Page> {
    let entropy = tenancy::entropy().context("making the secret of cursors")?;
    let cursors = store.cursor_key(entropy).await.context("reading the secret of cursors")?;
    let query = parse(Parameters::new(parameters), tenant.id, &cursors).map_err(|errors| refused(&errors))?;
    let text_index = store.text_index();
    let is_scan = text_index.leaves_to_scan(&query.filter).map_err(|error| refused(&[error]))?;
    let page = store.search(tenant.id, &query).await.context("searching")?;
    let next_cursor = page.next.map(|position| cursors.seal(tenant.id, &query.fingerprint, position));
    let events: Vec<Box<RawValue>> = page
        .events
        .iter()
        .map(|event| pulsestream_api::event_json(event).and_then(RawValue::from_string))
        .collect::<Result<_, _>>()
        .context("a stored event can't be read")?;
    let (total_count, total_count_is_lower_bound) = (page.total_count, page.total_count_is_lower_bound);
    let text_index = is_scan.then(|| text_index.as_str().to_owned());
    Ok(Page { events, total_count, total_count_is_lower_bound, next_cursor, text_index })
}

fn refused(errors: &[FieldError]) -> anyhow::Error {
    let told: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.pointer.trim_start_matches('/'), error.detail))
        .collect();
    anyhow::anyhow!("{}", told.join(", "))
}

/// The columns of the table, out of an event.
#[derive(Deserialize)]
struct Row {
    timestamp: String,
    severity: String,
    status_code: Option<u16>,
    source: Source,
    title: Option<String>,
    id: String,
}

#[derive(Deserialize)]
struct Source {
    service: String,
}

fn print_table(page: &Page, output: Output) -> Result<()> {
    let rows: Vec<[String; 6]> = page.events.iter().map(|event| cells(event)).collect::<Result<_>>()?;
    output.table(["TIME", "SEVERITY", "STATUS", "SERVICE", "TITLE", "ID"], &rows, Clone::clone)?;
    let bound = if page.total_count_is_lower_bound { "more than " } else { "" };
    output.text(&format!("\n{} of {bound}{} events", page.events.len(), page.total_count))?;
    if page.text_index.as_deref() == Some("none") {
        output.text("words are not indexed: every event of the time was looked at")?;
    }
    if let Some(cursor) = &page.next_cursor {
        output.text(&format!("next page: cursor={cursor}"))?;
    }
    Ok(())
}

fn cells(event: &RawValue) -> Result<[String; 6]> {
    let row: Row = serde_json::from_str(event.get()).context("an event of the answer can't be read")?;
    let title = row.title.unwrap_or_default();
    // A title is what somebody sent; it must not move the cursor of a terminal.
    let title: String = title.chars().map(|c| if c.is_control() { ' ' } else { c }).take(60).collect();
    let status = row.status_code.map(|code| code.to_string()).unwrap_or_default();
    Ok([row.timestamp, row.severity, status, row.source.service, title, row.id])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_can_not_write_to_the_terminal_what_is_no_text() {
        let event = RawValue::from_string(
            r#"{"id":"a","timestamp":"2026-01-01T00:00:00Z","severity":"info","status_code":200,
                "source":{"service":"web"},"title":"GET \u001b[2J/"}"#
                .to_owned(),
        )
        .expect("JSON");
        let cells = cells(&event).expect("an event");
        assert_eq!(cells[2..5], ["200", "web", "GET  [2J/"]);
    }
}
