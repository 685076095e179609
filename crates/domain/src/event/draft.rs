//! The fields of an event that have rules, as `validator` checks them.
//!
//! A draft holds only what already has the right type. The free parts (`payload`, `metadata`, unknown
//! members of the others) have no rules beyond those of [`json`](super::json) and are not here.

use std::borrow::Cow;

use serde::Serialize;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::{EventId, FieldError, Reason};

#[derive(Debug, Default, Validate)]
pub(super) struct Draft<'a> {
    #[validate(required(code = "required"))]
    pub(super) event_type: Option<Cow<'a, str>>,
    #[validate(custom(function = is_event_id))]
    pub(super) event_id: Option<Cow<'a, str>>,
    #[validate(required(code = "required"), length(min = 1, max = 200))]
    pub(super) title: Option<Cow<'a, str>>,
    #[validate(length(max = 2_000))]
    pub(super) message: Option<Cow<'a, str>>,
    pub(super) severity: Option<Cow<'a, str>>,
    #[validate(required(code = "required"), nested)]
    pub(super) source: Option<Source<'a>>,
    #[validate(nested)]
    pub(super) context: Context<'a>,
    #[validate(nested)]
    pub(super) metrics: Option<Metrics>,
    #[validate(nested)]
    pub(super) error_details: ErrorDetails<'a>,
}

#[derive(Debug, Default, Validate, Serialize)]
pub(super) struct Source<'a> {
    #[validate(required(code = "required"), length(min = 1, max = 100))]
    pub(super) service: Option<Cow<'a, str>>,
    #[validate(required(code = "required"), length(min = 1, max = 500))]
    pub(super) endpoint: Option<Cow<'a, str>>,
    #[validate(required(code = "required"), length(min = 1, max = 10))]
    pub(super) method: Option<Cow<'a, str>>,
    #[validate(length(max = 20))]
    pub(super) version: Option<Cow<'a, str>>,
    #[validate(length(max = 50))]
    pub(super) environment: Option<Cow<'a, str>>,
}

#[derive(Debug, Default, Validate)]
pub(super) struct Context<'a> {
    #[validate(length(max = 255))]
    pub(super) user_id: Option<Cow<'a, str>>,
    #[validate(length(max = 255))]
    pub(super) session_id: Option<Cow<'a, str>>,
    #[validate(length(max = 255))]
    pub(super) request_id: Option<Cow<'a, str>>,
    #[validate(ip(code = "bad_ip_address"))]
    pub(super) ip_address: Option<Cow<'a, str>>,
    #[validate(length(max = 500))]
    pub(super) user_agent: Option<Cow<'a, str>>,
    #[validate(url(code = "bad_url"))]
    pub(super) referrer: Option<Cow<'a, str>>,
    #[validate(length(max = 50, code = "too_many"))]
    pub(super) tags: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

#[derive(Debug, Default, Validate)]
pub(super) struct Metrics {
    #[validate(required(code = "required"), range(min = 0.0, code = "out_of_range"))]
    pub(super) response_time_ms: Option<f64>,
    #[validate(required(code = "required"), range(min = 100.0, max = 599.0, code = "out_of_range"))]
    pub(super) status_code: Option<f64>,
    #[validate(range(min = 0.0, code = "out_of_range"))]
    pub(super) request_size_bytes: Option<f64>,
    #[validate(range(min = 0.0, code = "out_of_range"))]
    pub(super) response_size_bytes: Option<f64>,
}

#[derive(Debug, Default, Validate)]
pub(super) struct ErrorDetails<'a> {
    #[validate(length(max = 100))]
    pub(super) error_code: Option<Cow<'a, str>>,
    #[validate(length(max = 1_000))]
    pub(super) error_message: Option<Cow<'a, str>>,
    #[validate(length(max = 100))]
    pub(super) error_type: Option<Cow<'a, str>>,
    #[validate(custom(function = fits_in_64_kib))]
    pub(super) stack_trace: Option<Cow<'a, str>>,
}

fn is_event_id(text: &str) -> Result<(), ValidationError> {
    if EventId::is_valid(text) { Ok(()) } else { Err(ValidationError::new("bad_event_id")) }
}

/// 64 KiB in bytes, not characters: the limit is there for storage.
fn fits_in_64_kib(text: &str) -> Result<(), ValidationError> {
    if text.len() <= 64 * 1024 { Ok(()) } else { Err(ValidationError::new("too_long")) }
}

/// Maps what `validator` found to pointers and codes, without the values it carries along.
pub(super) fn field_errors(errors: &ValidationErrors, under: &str, into: &mut Vec<FieldError>) {
    for (field, kind) in errors.errors() {
        let pointer = format!("{under}/{field}");
        match kind {
            ValidationErrorsKind::Struct(inner) => field_errors(inner, &pointer, into),
            // No draft holds a list of structs.
            ValidationErrorsKind::List(_) => {}
            ValidationErrorsKind::Field(found) => {
                into.extend(found.iter().take(1).map(|error| field_error(pointer.clone(), error)));
            }
        }
    }
}

fn field_error(pointer: String, error: &ValidationError) -> FieldError {
    let code = match error.code.as_ref() {
        "length" if error.params.get("value").is_some_and(|value| value == "") => Reason::Empty,
        "length" => Reason::TooLong,
        code => Reason::ALL.iter().copied().find(|r| r.as_str() == code).unwrap_or(Reason::BadParameter),
    };
    let limit = |name: &str| error.params.get(name).map(ToString::to_string);
    let detail = match (code, limit("min"), limit("max")) {
        (Reason::TooLong, _, Some(max)) => format!("must have at most {max} characters"),
        (Reason::TooLong, ..) => "must have at most 65536 bytes".to_owned(),
        (Reason::TooMany, _, Some(max)) => format!("must have at most {max} members"),
        (Reason::OutOfRange, Some(min), Some(max)) => format!("must be between {min} and {max}"),
        (Reason::OutOfRange, Some(min), None) => format!("must be at least {min}"),
        _ => code.detail().to_owned(),
    };
    FieldError::with_detail(pointer, code, detail)
}
