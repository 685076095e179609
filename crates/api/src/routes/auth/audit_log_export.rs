//! `GET /audit-log/export`: the whole book, as a stream.
//!
//! It is read page by page, so that a book of any length takes the memory of one page. An export that can't be
//! finished breaks the connection off instead of ending.

use actix_web::{HttpRequest, HttpResponse, http::header, web::Bytes};
use csv::{Terminator, WriterBuilder};
use futures_util::{Stream, stream};
use pulsestream_domain::{
    identity::{AuditEntry, AuditFilter},
    tenant::TenantId,
};
use pulsestream_identity::authority::Action;
use pulsestream_storage::AuditPosition;

use super::{
    audit_log::{AuditEntryJson, filter},
    requests,
};
use crate::{answer, caller::Caller, error::ApiError, in_flight::Entered, openapi, query, state::State};

const PAGE_ENTRIES: u64 = 1_000;

#[derive(Clone, Copy)]
enum Format {
    Ndjson,
    Csv,
}

const FORMATS: [(&str, Format); 2] = [("ndjson", Format::Ndjson), ("csv", Format::Csv)];
const COLUMNS: [&str; 9] =
    ["id", "at", "actor", "action", "target", "before_hash", "after_hash", "ip", "request_id"];

/// Streams all entries that match, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/auth/audit-log/export",
    tag = "auth",
    params(requests::AuditListing, requests::AuditFormat),
    responses(
        (status = 200, description = "the entries; broken off when they can't all be read", content(
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn export_audit_log(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    caller.require(Action::ReadAuditLog)?;
    let mut parameters = query::parameters(&request);
    let (name, format) = query::take_choice(&mut parameters, "format", &FORMATS)?.unwrap_or(FORMATS[0]);
    let filter = filter(parameters)?;
    let running = state.exports.enter().ok_or(ApiError::Overloaded)?;
    let mut export =
        Export { tenant_id: caller.tenant_id(), filter, after: None, format, state, _running: running };
    // The first page comes before the status: a store that is away is still a proper 503.
    let first = export.next_page().await?;
    let media_type = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8; header=present",
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, media_type))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"audit-log.{name}\"")))
        .streaming(export.pages(first)))
}

struct Export {
    tenant_id: TenantId,
    filter: AuditFilter,
    after: Option<AuditPosition>,
    format: Format,
    state: State,
    _running: Entered,
}

impl Export {
    async fn next_page(&mut self) -> Result<Vec<AuditEntry>, ApiError> {
        let page = self.state.store.audit_log(self.tenant_id, &self.filter, self.after, PAGE_ENTRIES).await?;
        self.after = page.last().map(|entry| AuditPosition { at: entry.at, id: entry.id });
        Ok(page)
    }

    /// The pages as text, beginning with one that was read already.
    fn pages(self, first: Vec<AuditEntry>) -> impl Stream<Item = Result<Bytes, ApiError>> {
        let is_start = true;
        stream::try_unfold(Some((self, Some(first), is_start)), |state| async move {
            let Some((mut export, page, is_start)) = state else { return Ok(None) };
            let page = match page {
                Some(page) => page,
                None => export.next_page().await.inspect_err(broken_off)?,
            };
            let goes_on = page.len() as u64 == PAGE_ENTRIES;
            let text = match export.format {
                Format::Ndjson => ndjson(page),
                Format::Csv => rows(page, is_start),
            };
            let text = text.map_err(answer::damaged).inspect_err(broken_off)?;
            Ok(Some((Bytes::from(text), goes_on.then_some((export, None, false)))))
        })
    }
}

fn broken_off(error: &ApiError) {
    tracing::warn!(error = %error, source = std::error::Error::source(error), "an export broke off");
}

fn ndjson(entries: Vec<AuditEntry>) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::with_capacity(256 * entries.len());
    for entry in entries {
        serde_json::to_writer(&mut text, &AuditEntryJson::from(entry))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// No cell can begin with what a spreadsheet takes for a formula: ids, names, times and addresses only.
fn rows(entries: Vec<AuditEntry>, with_header: bool) -> Result<Vec<u8>, serde_json::Error> {
    let sink = Vec::with_capacity(256 * entries.len());
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(sink);
    let io = |error: csv::Error| serde_json::Error::io(error.into());
    if with_header {
        writer.write_record(COLUMNS).map_err(io)?;
    }
    for entry in entries {
        let hash =
            |hash: Option<_>| hash.map(|hash: pulsestream_domain::identity::AuditHash| hash.to_string());
        let cells = [
            Some(entry.id.to_string()),
            Some(entry.at.to_string()),
            Some(entry.actor.to_string()),
            Some(entry.action.to_string()),
            Some(entry.target),
            hash(entry.before),
            hash(entry.after),
            entry.ip.map(|ip| ip.to_string()),
            entry.request_id,
        ];
        writer.write_record(cells.map(Option::unwrap_or_default)).map_err(io)?;
    }
    writer.into_inner().map_err(|error| serde_json::Error::io(error.into_error()))
}
