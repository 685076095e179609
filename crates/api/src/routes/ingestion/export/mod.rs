//! `GET /events/export`: everything that matches, as a stream.
//!
//! Events are read page by page behind a cursor, so an export of any length takes the memory of one page. An
//! export that can't be finished breaks the connection off instead of ending: a client can't take a part for
//! the whole. It is broken off as well when its credential is no good any more.

mod csv;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderName, HeaderValue},
    web::Bytes,
};
use futures_util::{Stream, stream};
use pulsestream_domain::{
    api_key::Scope,
    event::StoredEvent,
    search::{MAX_LIMIT, Query, parse},
};

use crate::{
    answer,
    caller::{Caller, Recheck},
    error::ApiError,
    event_json::EventJson,
    in_flight::Entered,
    openapi, query,
    state::State,
};

/// How many events the first page has. Each may have ten megabytes.
const FIRST_PAGE_EVENTS: u32 = 10;

/// How many bytes a page should have. The next one is as long as the last one suggests. Each reader has one in memory,
/// and the thread that writes it as text answers nobody else meanwhile.
const PAGE_BYTES: usize = 64 * 1024;
/// The largest number that the format `int64` of OpenAPI has: more events than that there are not.
const MAX_EVENTS: u64 = i64::MAX as u64;

/// How many bytes are handed over at a time. What is handed over is sent, whatever becomes of the credential.
const PART_BYTES: usize = 64 * 1024;

/// How words were looked for, which the body of an export has no place for.
const X_TEXT_INDEX: HeaderName = HeaderName::from_static("x-text-index");

/// How the events are written.
#[derive(Clone, Copy)]
enum Format {
    Ndjson,
    Csv,
}

const FORMATS: [(&str, Format); 2] = [("ndjson", Format::Ndjson), ("csv", Format::Csv)];

/// Streams all events that match.
#[utoipa::path(
    get,
    path = "/api/v1/ingestion/events/export",
    tag = "ingestion",
    params(openapi::parameters::Filter, openapi::parameters::Export),
    responses(
        (status = 200, description = "the events; broken off when they can't all be read", content(
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        ), headers(
            ("X-Text-Index" = String, description = "Present, and `none`, when words or tags were looked for without an index of \
             them: in every event of the time."),
        )),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn export(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Scope::EventsRead)?;
    let mut parameters = query::parameters(&request);
    let format = query::take_choice(&mut parameters, "format", &FORMATS)?;
    let (name, format) = format.unwrap_or(FORMATS[0]);
    let limit = query::take_number(&mut parameters, "limit", 1, MAX_EVENTS)?;
    let query = parse(parameters, caller.tenant_id(), &state.cursors)?;
    let text_index = query::text_index(&state.store, &query.filter)?;
    let running = state.exports.enter().ok_or(ApiError::Overloaded)?;

    let mut export = Export {
        query,
        remaining: limit.unwrap_or(u64::MAX),
        page_events: FIRST_PAGE_EVENTS,
        format,
        recheck: Recheck::of(state.clone(), caller, Scope::EventsRead),
        state,
        _running: running,
    };
    // Both come before the status: a credential that has just been revoked is still a proper 401, and a store that is away
    // a 503.
    export.recheck.pass().await?;
    let first = export.next_page().await?;
    let media_type = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8; header=present",
    };
    let disposition = format!("attachment; filename=\"events.{name}\"");
    let disposition = HeaderValue::from_str(&disposition).map_err(|_| ApiError::Internal)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((header::CONTENT_TYPE, media_type));
    answer.insert_header((header::CONTENT_DISPOSITION, disposition));
    if let Some(text_index) = text_index {
        answer.insert_header((X_TEXT_INDEX, text_index));
    }
    Ok(answer.streaming(export.pages(first)))
}

/// An export that is under way.
struct Export {
    query: Query,
    /// How many events may still be written.
    remaining: u64,
    /// How many events the next page has.
    page_events: u32,
    format: Format,
    recheck: Recheck,
    state: State,
    _running: Entered,
}

/// What is read at once.
struct Page {
    events: Vec<StoredEvent>,
    goes_on: bool,
}

/// A page as text, as far as it was not handed over yet, and what is behind it.
struct Written {
    text: Bytes,
    next: Option<Next>,
}

enum Next {
    Start(Page),
    More,
}

impl Export {
    async fn next_page(&mut self) -> Result<Page, ApiError> {
        self.query.limit = u32::try_from(self.remaining).unwrap_or(u32::MAX).min(self.page_events);
        let (events, next) = self.state.store.matching(self.recheck.tenant_id(), &self.query).await?;
        self.remaining -= events.len() as u64;
        (self.query.after, self.query.offset) = (next, 0);
        Ok(Page { events, goes_on: next.is_some() && self.remaining > 0 })
    }

    /// The pages as text, in parts, beginning with one that was read already.
    fn pages(self, first: Page) -> impl Stream<Item = Result<Bytes, ApiError>> {
        let start = Written { text: Bytes::new(), next: Some(Next::Start(first)) };
        stream::try_unfold((self, start), |(mut export, mut written)| async move {
            export.recheck.pass().await.inspect_err(broken_off)?;
            while written.text.is_empty() {
                let (page, is_start) = match written.next.take() {
                    None => return Ok(None),
                    Some(Next::Start(page)) => (page, true),
                    Some(Next::More) => (export.next_page().await.inspect_err(broken_off)?, false),
                };
                written.text = export.written(&page.events, is_start).inspect_err(broken_off)?;
                written.next = page.goes_on.then_some(Next::More);
                export.page_events = next_page_events(page.events.len(), written.text.len());
            }
            let part = written.text.split_to(PART_BYTES.min(written.text.len()));
            Ok(Some((part, (export, written))))
        })
    }

    fn written(&self, events: &[StoredEvent], is_start: bool) -> Result<Bytes, ApiError> {
        match self.format {
            Format::Ndjson => ndjson(events),
            Format::Csv => csv::rows(events, is_start),
        }
        .map(Bytes::from)
        .map_err(answer::damaged)
    }
}

/// How many events of the size of the last ones make a page.
fn next_page_events(events: usize, bytes: usize) -> u32 {
    let fitting = PAGE_BYTES * events.max(1) / bytes.max(1);
    u32::try_from(fitting).unwrap_or(MAX_LIMIT).clamp(1, MAX_LIMIT)
}

fn broken_off(error: &ApiError) {
    tracing::warn!(error = %error, source = std::error::Error::source(error), "an export broke off");
}

fn ndjson(events: &[StoredEvent]) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(512 * events.len());
    for event in events {
        serde_json::to_writer(&mut text, &EventJson::of(event)?)?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_about_the_same_bytes_whatever_the_events() {
        assert_eq!(next_page_events(50, 50 * 20), MAX_LIMIT);
        assert_eq!(next_page_events(50, 50 * 2_000), 32);
        assert_eq!(next_page_events(50, 50 * 10 * 1024 * 1024), 1);
        assert_eq!(next_page_events(0, 0), MAX_LIMIT);
    }
}
