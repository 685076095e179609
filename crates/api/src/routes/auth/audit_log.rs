//! `GET /audit-log`: the book of security-relevant changes.

use actix_web::{HttpRequest, web::Json};
use pulsestream_domain::{
    Timestamp,
    event::{FieldError, Reason},
    identity::{Actor, AuditAction, AuditEntry, AuditFilter, AuditHash},
    search::{Parameters, Position},
};
use pulsestream_identity::authority::Action;
use pulsestream_storage::AuditPosition;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::requests;
use crate::{caller::Caller, error::ApiError, openapi, query, state::State};

/// One line of the book.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntryJson {
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub(super) at: Timestamp,
    /// Who: `user:<id>`, `key:<id>`, `operator` or `anonymous`.
    #[schema(value_type = String)]
    pub(super) actor: Actor,
    /// What.
    #[schema(value_type = String, example = "key.created")]
    pub(super) action: AuditAction,
    /// To what: `user:`, `key:`, `session:`, `rule:`, `channel:`, `silence:` or `tenant:`, and its id.
    pub(super) target: String,
    /// A hash over all that it was; null when it was not there, or nothing of it changed.
    #[schema(value_type = Option<String>)]
    pub(super) before_hash: Option<AuditHash>,
    /// A hash over all that it is.
    #[schema(value_type = Option<String>)]
    pub(super) after_hash: Option<AuditHash>,
    /// From which address.
    pub(super) ip: Option<String>,
    /// With which request.
    pub(super) request_id: Option<String>,
}

impl From<AuditEntry> for AuditEntryJson {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            before_hash: entry.before,
            after_hash: entry.after,
            ip: entry.ip.map(|ip| ip.to_string()),
            request_id: entry.request_id,
        }
    }
}

/// A page of the book.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditLogAnswer {
    /// Newest first.
    entries: Vec<AuditEntryJson>,
    has_more: bool,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<String>,
}

/// Reads the book of changes, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/auth/audit-log",
    tag = "auth",
    params(requests::AuditListing, requests::AuditPaging),
    responses(
        (status = 200, description = "a page of the book", body = AuditLogAnswer),
        openapi::responses::ReadProblems,
    ),
    security(("api_key" = []), ("bearer" = [])),
)]
pub(crate) async fn audit_log(
    state: State,
    caller: Caller,
    request: HttpRequest,
) -> Result<Json<AuditLogAnswer>, ApiError> {
    caller.require(Action::ReadAuditLog)?;
    let tenant_id = caller.tenant_id();
    let mut parameters = query::parameters(&request);
    let limit = query::take_number(&mut parameters, "limit", 1, 1_000)?.unwrap_or(100);
    let cursor = parameters.take("cursor")?;
    let filter = filter(parameters)?;
    let fingerprint = fingerprint(&filter);
    let after = cursor.map(|text| state.cursors.open(tenant_id, &fingerprint, &text)).transpose()?;
    let after = after.map(|position| AuditPosition { at: position.occurred_at, id: position.id });

    let mut entries = state.store.audit_log(tenant_id, &filter, after, limit + 1).await?;
    let has_more = entries.len() as u64 > limit;
    entries.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let last = entries.last().filter(|_| has_more);
    let last = last.map(|entry| Position { occurred_at: entry.at, id: entry.id });
    let next_cursor = last.map(|position| state.cursors.seal(tenant_id, &fingerprint, position));
    let entries = entries.into_iter().map(AuditEntryJson::from).collect();
    Ok(Json(AuditLogAnswer { entries, has_more, next_cursor }))
}

/// Which entries the parameters name; all of them have to be known.
pub(super) fn filter(mut parameters: Parameters) -> Result<AuditFilter, ApiError> {
    let mut errors = Vec::new();
    let mut time = |name: &str, text: Option<String>| {
        let parsed = text.map(|text| Timestamp::parse(&text)).transpose();
        parsed.unwrap_or_else(|_| {
            errors.push(FieldError::new(format!("/{name}"), Reason::BadTimestamp));
            None
        })
    };
    let from = time("start_time", parameters.take("start_time")?);
    let to = time("end_time", parameters.take("end_time")?);
    let actor = parameters.take("actor")?.map(|text| text.parse::<Actor>()).transpose();
    let action = parameters.take("action")?.map(|text| text.parse::<AuditAction>()).transpose();
    let target = parameters.take("target")?;
    if actor.is_err() || actor.as_ref().is_ok_and(|actor| actor.as_ref().is_some_and(has_nul)) {
        errors.push(FieldError::new("/actor", Reason::UnknownValue));
    }
    if action.is_err() {
        errors.push(FieldError::new("/action", Reason::UnknownValue));
    }
    if target.as_ref().is_some_and(|target| target.contains('\0')) {
        errors.push(FieldError::new("/target", Reason::NulNotAllowed));
    }
    query::nothing_left(parameters)?;
    match (actor, action) {
        (Ok(actor), Ok(action)) if errors.is_empty() => Ok(AuditFilter { from, to, actor, action, target }),
        _ => Err(errors.into()),
    }
}

fn has_nul(actor: &Actor) -> bool {
    actor.to_string().contains('\0')
}

/// Equal for equal conditions: a cursor belongs to one.
fn fingerprint(filter: &AuditFilter) -> [u8; 16] {
    let AuditFilter { from, to, actor, action, target } = filter;
    let parts = [
        Some("audit log".to_owned()),
        from.map(|from| from.to_string()),
        to.map(|to| to.to_string()),
        actor.as_ref().map(ToString::to_string),
        action.map(|action| action.to_string()),
        target.clone(),
    ];
    let text = serde_json::to_vec(&parts).expect("texts serialize");
    *blake3::hash(&text).as_bytes().first_chunk().expect("32 bytes begin with 16")
}
