use actix_web::http::header::HeaderValue;
use pulsestream_domain::{
    Timestamp,
    event::{EventId, FieldError, Reason},
    ports::StoreError,
};
use pulsestream_identity::{authority::Action, passwords::PasswordError};
use pulsestream_ingestion::{Failure, Outcome, Unreadable};
use pulsestream_rate_limit::Policy;

use super::{ApiError, BadSignature, Conflict};
use crate::{body::BodyError, problem::RetryAfter};

fn answer(error: &ApiError) -> (u16, &'static str) {
    let problem = error.problem();
    (problem.status.as_u16(), problem.code)
}

#[test]
fn every_unreadable_body_has_its_answer() {
    let field = |reason| Unreadable::BadMember(FieldError::new("/events", reason));
    for (unreadable, expected) in [
        (Unreadable::EmptyBody, (400, "empty_body")),
        (Unreadable::BadUtf8, (400, "bad_utf8")),
        (Unreadable::BadJson { line: 1, column: 2 }, (400, "bad_json")),
        (Unreadable::NotAnObject, (422, "not_an_object")),
        (field(Reason::Required), (422, "invalid")),
        (field(Reason::WrongType), (422, "invalid")),
        (field(Reason::DuplicateKey), (400, "duplicate_key")),
        (Unreadable::EmptyBatch, (400, "empty_batch")),
        (Unreadable::TooManyEvents { max: 1_000 }, (413, "batch_too_large")),
    ] {
        assert_eq!(answer(&ApiError::Unreadable(unreadable)), expected);
    }
}

#[test]
fn every_outcome_has_its_answer() {
    let rejected = |reason| Outcome::Rejected(vec![FieldError::new("/title", reason)]);
    for (outcome, expected) in [
        (Outcome::Conflict { ingested_at: Timestamp::EPOCH }, (409, "event_id_conflict")),
        (rejected(Reason::Required), (422, "invalid")),
        (rejected(Reason::DuplicateKey), (400, "duplicate_key")),
        (Outcome::Throttled { retry_after_seconds: 7 }, (429, "rate_limited")),
    ] {
        let event_id: EventId = "a".parse().expect("an id");
        let error = ApiError::Event { event_id: Some(event_id.clone()), outcome, exhausted: None };
        assert_eq!(answer(&error), expected);
        assert_eq!(error.problem().event_id, Some(event_id));
    }
    let outcome = Outcome::Throttled { retry_after_seconds: 7 };
    let throttled = ApiError::Event { event_id: None, outcome, exhausted: Some(Policy::Burst) };
    assert_eq!(throttled.problem().violated_policies, ["burst"]);
    assert_eq!(throttled.problem().retry_after, Some(RetryAfter::Seconds(7)));
}

#[test]
fn every_failure_says_to_send_it_again() {
    for failure in Failure::ALL {
        let error = ApiError::Event { event_id: None, outcome: Outcome::Failed(failure), exhausted: None };
        assert_eq!(answer(&error), (503, failure.code()));
        let problem = error.problem();
        assert!(problem.is_retryable());
        assert_eq!(problem.retry_after, Some(RetryAfter::Scattered));
    }
}

#[test]
fn a_store_that_is_away_is_503_and_one_that_is_damaged_500() {
    let cause = || "cause".into();
    for (error, expected) in [
        (StoreError::Unavailable(cause()), (503, "store_unavailable")),
        (StoreError::Busy(cause()), (503, "busy")),
        (StoreError::TimedOut(cause()), (504, "query_timeout")),
        (StoreError::Full(cause()), (503, "store_full")),
        (StoreError::OutcomeUnknown(cause()), (503, "outcome_unknown")),
        (StoreError::Unstorable(cause()), (500, "internal")),
        (StoreError::Unexpected(cause()), (500, "internal")),
    ] {
        let error = ApiError::from(error);
        assert_eq!(answer(&error), expected);
        assert!(!error.problem().detail.contains("cause"));
    }
}

#[test]
fn every_refused_body_has_its_answer() {
    for (error, expected, closes) in [
        (BodyError::UnsupportedMediaType, (415, "unsupported_media_type"), false),
        (BodyError::UnsupportedEncoding, (415, "unsupported_encoding"), false),
        (BodyError::TooLarge { max: 1 }, (413, "body_too_large"), true),
        (BodyError::DecompressedTooLarge { max: 1 }, (413, "decompressed_too_large"), true),
        (BodyError::BadEncoding, (400, "bad_encoding"), false),
        (BodyError::TimedOut, (408, "body_timeout"), true),
        (BodyError::Interrupted, (400, "body_interrupted"), true),
        (BodyError::Overloaded, (503, "overloaded"), true),
    ] {
        let error = ApiError::Body(error);
        assert_eq!((answer(&error), error.problem().closes), (expected, closes));
    }
}

#[test]
fn requests_that_get_nowhere_have_their_answers() {
    let allow = HeaderValue::from_static("GET");
    for (error, expected) in [
        (ApiError::Unauthenticated, (401, "unauthenticated")),
        (ApiError::AmbiguousCredentials, (400, "ambiguous_credentials")),
        (ApiError::InsufficientScope(Action::Read), (403, "insufficient_scope")),
        (ApiError::InsufficientRole(Action::ManageUsers), (403, "insufficient_role")),
        (ApiError::PasswordChangeRequired, (403, "password_change_required")),
        (ApiError::GrantsTooMuch, (403, "grants_too_much")),
        (ApiError::AddressNotAllowed, (403, "address_not_allowed")),
        (ApiError::BadSignature(BadSignature::Replayed), (401, "bad_signature")),
        (ApiError::InvalidLogin, (401, "invalid_credentials")),
        (ApiError::InvalidToken, (400, "invalid_token")),
        (ApiError::TooManyTries { retry_after_seconds: 7 }, (429, "too_many_tries")),
        (ApiError::Password(PasswordError::Busy), (429, "too_many_tries")),
        (ApiError::Password(PasswordError::Failed("cause".into())), (500, "internal")),
        (ApiError::RegistrationClosed, (403, "registration_closed")),
        (ApiError::InvitationRequired, (403, "invitation_required")),
        (ApiError::Conflict(Conflict::SlugTaken), (409, "slug_taken")),
        (ApiError::Conflict(Conflict::EmailTaken), (409, "email_taken")),
        (ApiError::Conflict(Conflict::LastOwner), (409, "last_owner")),
        (ApiError::NoSuch("user"), (404, "not_found")),
        (ApiError::Fields(vec![]), (422, "invalid")),
        (ApiError::BadJson, (400, "bad_json")),
        (ApiError::BadIdempotencyKey, (400, "bad_idempotency_key")),
        (ApiError::NoSuchEvent, (404, "not_found")),
        (ApiError::NoSuchRoute, (404, "not_found")),
        (ApiError::MethodNotAllowed { allow }, (405, "method_not_allowed")),
        (ApiError::UriTooLong, (414, "uri_too_long")),
        (ApiError::TooManyConnections, (503, "too_many_connections")),
        (ApiError::Overloaded, (503, "overloaded")),
        (ApiError::Internal, (500, "internal")),
    ] {
        assert_eq!(answer(&error), expected);
    }
}
