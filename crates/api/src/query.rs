//! The part of an address behind the question mark.

use actix_web::HttpRequest;
use pulsestream_domain::{
    event::{FieldError, Reason},
    search::{CursorKey, Filter, Parameters, Query, parse},
    tenant::TenantId,
};
use pulsestream_storage::Store;
use url::form_urlencoded;

use crate::error::ApiError;

/// The parameters of an address, decoded.
pub(crate) fn parameters(request: &HttpRequest) -> Parameters {
    let pairs = form_urlencoded::parse(request.query_string().as_bytes());
    Parameters::new(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())))
}

/// The value of the one parameter that a route knows, `true` or `false`; absent means `false`.
pub(crate) fn only_flag(request: &HttpRequest, name: &str) -> Result<bool, ApiError> {
    let mut errors = Vec::new();
    let mut flag = None;
    for (given, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        let pointer = format!("/{given}");
        match (&*given == name, flag, &*value) {
            (false, ..) => errors.push(FieldError::new(pointer, Reason::UnknownField)),
            (true, Some(_), _) => errors.push(refused(pointer, "is given more than once")),
            (true, None, "true") => flag = Some(true),
            (true, None, "false") => flag = Some(false),
            (true, None, _) => errors.push(refused(pointer, "must be true or false")),
        }
    }
    if errors.is_empty() { Ok(flag.unwrap_or(false)) } else { Err(errors.into()) }
}

/// The value of the one parameter that a route knows and has to be given.
pub(crate) fn only_text(request: &HttpRequest, name: &str) -> Result<String, ApiError> {
    let mut errors = Vec::new();
    let mut text = None;
    for (given, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        let pointer = format!("/{given}");
        if given != name {
            errors.push(FieldError::new(pointer, Reason::UnknownField));
        } else if text.replace(value.into_owned()).is_some() {
            errors.push(refused(pointer, "is given more than once"));
        }
    }
    if text.is_none() {
        errors.push(FieldError::new(format!("/{name}"), Reason::Required));
    }
    text.filter(|_| errors.is_empty()).ok_or_else(|| errors.into())
}

/// Takes a whole number out of the parameters.
pub(crate) fn take_number(
    parameters: &mut Parameters,
    name: &str,
    min: u64,
    max: u64,
) -> Result<Option<u64>, ApiError> {
    let Some(text) = parameters.take(name)? else { return Ok(None) };
    match text.parse() {
        Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
        _ => Err(refused(format!("/{name}"), format!("must be a whole number from {min} to {max}")).into()),
    }
}

/// Takes one of several names out of the parameters.
pub(crate) fn take_choice<T: Copy>(
    parameters: &mut Parameters,
    name: &str,
    choices: &[(&'static str, T)],
) -> Result<Option<(&'static str, T)>, ApiError> {
    let Some(text) = parameters.take(name)? else { return Ok(None) };
    match choices.iter().find(|(choice, _)| *choice == text) {
        Some(choice) => Ok(Some(*choice)),
        None => {
            let names: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
            Err(refused(format!("/{name}"), format!("must be one of {}", names.join(", "))).into())
        }
    }
}

/// Makes sure that every parameter was asked for.
pub(crate) fn nothing_left(parameters: Parameters) -> Result<(), ApiError> {
    let unknown: Vec<FieldError> = parameters
        .into_names()
        .map(|name| FieldError::new(format!("/{name}"), Reason::UnknownField))
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown.into()) }
}

/// Parses filters where pages and order mean nothing: they are refused, not ignored.
pub(crate) fn only_filter(
    mut parameters: Parameters,
    tenant_id: TenantId,
    cursors: &CursorKey,
) -> Result<Query, ApiError> {
    for name in ["limit", "offset", "cursor", "order"] {
        if parameters.take(name)?.is_some() {
            return Err(FieldError::new(format!("/{name}"), Reason::UnknownField).into());
        }
    }
    Ok(parse(parameters, tenant_id, cursors)?)
}

/// What an answer says of the index of words: `none` when words or tags are looked for without one, in every event of their
/// time; else nothing.
pub(crate) fn text_index(store: &Store, filter: &Filter) -> Result<Option<&'static str>, ApiError> {
    let text_index = store.text_index();
    Ok(text_index.leaves_to_scan(filter)?.then(|| text_index.as_str()))
}

fn refused(pointer: String, detail: impl Into<String>) -> FieldError {
    FieldError::with_detail(pointer, Reason::BadParameter, detail)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_flag_is_true_or_false_and_nothing_else_is_known() {
        let read = |query: &str| {
            let request = TestRequest::with_uri(&format!("/x{query}")).to_http_request();
            only_flag(&request, "dry_run").map_err(|error| error.problem().errors[0].code)
        };
        assert_eq!(read(""), Ok(false));
        assert_eq!(read("?dry_run=false"), Ok(false));
        assert_eq!(read("?dry_run=true"), Ok(true));
        assert_eq!(read("?dry_run=1"), Err(Reason::BadParameter));
        assert_eq!(read("?dry_run=true&dry_run=true"), Err(Reason::BadParameter));
        assert_eq!(read("?dryrun=true"), Err(Reason::UnknownField));
    }

    #[test]
    fn a_text_has_to_be_given_once_and_nothing_else_is_known() {
        let read = |query: &str| {
            let request = TestRequest::with_uri(&format!("/x{query}")).to_http_request();
            only_text(&request, "event_id").map_err(|error| error.problem().errors[0].code)
        };
        assert_eq!(read("?event_id=a%2Fb%26c").as_deref(), Ok("a/b&c"));
        assert_eq!(read(""), Err(Reason::Required));
        assert_eq!(read("?event_id=a&event_id=a"), Err(Reason::BadParameter));
        assert_eq!(read("?event_id=a&limit=1"), Err(Reason::UnknownField));
    }

    #[test]
    fn numbers_and_choices_are_taken_within_their_bounds() {
        let with = |value: &str| Parameters::new([("x".to_owned(), value.to_owned())]);
        let number = |value: &str| take_number(&mut with(value), "x", 1, 9).ok();
        assert_eq!(number("9"), Some(Some(9)));
        assert_eq!((number("0"), number("10"), number("-1"), number("a")), (None, None, None, None));
        assert_eq!(take_number(&mut Parameters::default(), "x", 1, 9).ok(), Some(None));

        let choice = |value: &str| take_choice(&mut with(value), "x", &[("a", 1), ("b", 2)]).ok();
        assert_eq!(choice("b"), Some(Some(("b", 2))));
        assert_eq!(choice("c"), None);
    }
}
