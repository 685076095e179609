//! The one place where what went wrong becomes a status and a code.

use std::sync::Arc;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ACCEPT_ENCODING, ALLOW, HeaderValue, WWW_AUTHENTICATE},
    },
};
use pulsestream_domain::{
    alerting::WrongStatus,
    event::{EventId, FieldError, Reason},
    ports::StoreError,
};
use pulsestream_identity::{
    authority::{Action, required},
    passwords::PasswordError,
    signatures::SignatureError,
    throttle::Throttled,
};
use pulsestream_ingestion::{Failure, Outcome, Unreadable};
use pulsestream_rate_limit::Policy;

use crate::{
    body::{self, BodyError},
    problem::{Problem, RetryAfter},
};

/// Everything that an answer other than 2xx can be about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("no valid credential")]
    Unauthenticated,
    #[error("two credentials that differ")]
    AmbiguousCredentials,
    #[error("the key must not be used for {0:?}")]
    InsufficientScope(Action),
    #[error("the user must not do {0:?}")]
    InsufficientRole(Action),
    #[error("the user has to change their password first")]
    PasswordChangeRequired,
    #[error("the credential can't give away what it does not have")]
    GrantsTooMuch,
    #[error("the key is not taken from this address")]
    AddressNotAllowed,
    #[error("the signature of the request is not good")]
    BadSignature(#[from] BadSignature),
    #[error("the login is not good")]
    InvalidLogin,
    #[error("the token is not good")]
    InvalidToken,
    #[error("too many tries")]
    TooManyTries {
        /// Whole seconds until the next one may work.
        retry_after_seconds: u32,
    },
    #[error("a password could not be hashed")]
    Password(#[source] PasswordError),
    #[error("tenants can't be registered here")]
    RegistrationClosed,
    #[error("a tenant can be registered by invitation only")]
    InvitationRequired,
    #[error("the change can't be made: {0}")]
    Conflict(Conflict),
    #[error("the body was not read")]
    Body(#[from] BodyError),
    #[error("the body holds no events")]
    Unreadable(#[from] Unreadable),
    #[error("the event was not stored")]
    Event {
        event_id: Option<EventId>,
        outcome: Outcome,
        /// The limit that is used up, if that is why.
        exhausted: Option<Policy>,
    },
    #[error("a field or parameter is not valid")]
    Fields(Vec<FieldError>),
    #[error("the body is not JSON")]
    BadJson,
    #[error("the header Idempotency-Key is not valid")]
    BadIdempotencyKey,
    #[error("the store failed")]
    Store(#[source] Arc<StoreError>),
    #[error("the tenant has no such event")]
    NoSuchEvent,
    #[error("the tenant has no such {0}")]
    NoSuch(&'static str),
    #[error("the tenant has all the {what} it may have")]
    QuotaExceeded {
        /// Of what.
        what: &'static str,
        /// How many it may have.
        max: u32,
    },
    #[error("another {0} has this name")]
    NameTaken(&'static str),
    #[error("the alert stands elsewhere")]
    WrongStatus(#[from] WrongStatus),
    #[error("the channel is not signed")]
    NotSigned,
    #[error("no such route")]
    NoSuchRoute,
    #[error("the route does not take this method")]
    MethodNotAllowed {
        /// The methods it takes, as a header.
        allow: HeaderValue,
    },
    #[error("the address is too long")]
    UriTooLong,
    #[error("the client's address has too many connections")]
    TooManyConnections,
    #[error("too much is going on already")]
    Overloaded,
    #[error("a bug")]
    Internal,
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        Self::Password(error)
    }
}

impl From<Throttled> for ApiError {
    fn from(Throttled { retry_after_seconds }: Throttled) -> Self {
        Self::TooManyTries { retry_after_seconds }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::Fields(vec![error])
    }
}

impl From<Vec<FieldError>> for ApiError {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Fields(errors)
    }
}

impl ApiError {
    /// What the client is told.
    pub(crate) fn problem(&self) -> Problem {
        use StatusCode as S;
        match self {
            // One answer for all: which part of a credential is wrong is nobody's business.
            Self::Unauthenticated => {
                Problem::new(S::UNAUTHORIZED, "unauthenticated", "a valid API key is required").with_header(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"pulsestream\", ApiKey realm=\"pulsestream\""),
                )
            }
            Self::AmbiguousCredentials => Problem::new(
                S::BAD_REQUEST,
                "ambiguous_credentials",
                "the request has more than one credential, and they differ",
            ),
            Self::InsufficientScope(action) => {
                let detail = format!("this needs {}", required(*action));
                Problem::new(S::FORBIDDEN, "insufficient_scope", detail)
            }
            Self::InsufficientRole(action) => {
                let detail = format!("this needs {}", required(*action));
                Problem::new(S::FORBIDDEN, "insufficient_role", detail)
            }
            Self::PasswordChangeRequired => Problem::new(
                S::FORBIDDEN,
                "password_change_required",
                "somebody else knows the password: change it first, at /api/v1/auth/change-password",
            ),
            Self::GrantsTooMuch => Problem::new(
                S::FORBIDDEN,
                "grants_too_much",
                "a credential can't give away a scope that it does not have itself",
            ),
            Self::AddressNotAllowed => Problem::new(
                S::FORBIDDEN,
                "address_not_allowed",
                "the API key is not taken from the address that the request came from",
            ),
            Self::BadSignature(why) => Problem::new(S::UNAUTHORIZED, "bad_signature", why.to_string())
                .with_header(
                    WWW_AUTHENTICATE,
                    HeaderValue::from_static("Bearer realm=\"pulsestream\", ApiKey realm=\"pulsestream\""),
                ),
            // One answer for all: whether it is the tenant, the address or the password is nobody's business.
            Self::InvalidLogin => {
                Problem::new(S::UNAUTHORIZED, "invalid_credentials", "the login is not good")
                    .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"pulsestream\""))
            }
            Self::InvalidToken => Problem::new(
                S::BAD_REQUEST,
                "invalid_token",
                "the token is not valid, was used before, or is too old",
            ),
            Self::TooManyTries { retry_after_seconds } => too_many_tries(*retry_after_seconds),
            Self::Password(PasswordError::Busy) => too_many_tries(1),
            Self::Password(PasswordError::Failed(_)) => internal(),
            Self::RegistrationClosed => Problem::new(
                S::FORBIDDEN,
                "registration_closed",
                "tenants are made by whoever runs this service, not over HTTP",
            ),
            Self::InvitationRequired => Problem::new(
                S::FORBIDDEN,
                "invitation_required",
                "`invitation` must be one that is valid and was not used before",
            ),
            Self::Conflict(conflict) => conflict.problem(),
            Self::Body(error) => of_body(*error),
            Self::Unreadable(unreadable) => of_unreadable(unreadable),
            Self::Event { event_id, outcome, exhausted } => Problem {
                event_id: event_id.clone(),
                violated_policies: exhausted.iter().map(|policy| policy.as_str()).collect(),
                ..of_outcome(outcome)
            },
            Self::Fields(errors) => invalid(errors.clone()),
            Self::BadJson => Problem::new(S::BAD_REQUEST, "bad_json", "the body is not JSON"),
            Self::BadIdempotencyKey => Problem::new(
                S::BAD_REQUEST,
                "bad_idempotency_key",
                "Idempotency-Key must be 1 to 255 printable ASCII characters, quoted or not, and given once",
            ),
            Self::Store(error) => match &**error {
                // Reads and deletes: an error in them is certain, whatever happened in the store.
                StoreError::Unexpected(_) | StoreError::Unstorable(_) => internal(),
                StoreError::TimedOut(_) => Problem::new(
                    S::GATEWAY_TIMEOUT,
                    "query_timeout",
                    "the search took longer than it may and was given up; a shorter time range or more filters help",
                ),
                other => of_failure(Failure::from(other)),
            },
            Self::NoSuchEvent => Problem::new(S::NOT_FOUND, "not_found", "there is no such event"),
            Self::NoSuch(what) => Problem::new(S::NOT_FOUND, "not_found", format!("there is no such {what}")),
            Self::QuotaExceeded { what, max } => {
                let detail = format!("the tenant has {max} {what} already, and may not have more");
                Problem::new(S::UNPROCESSABLE_ENTITY, "quota_exceeded", detail)
            }
            Self::NameTaken(what) => {
                let detail = format!("another {what} of the tenant has this name");
                Problem::new(S::CONFLICT, "name_taken", detail).with_errors(vec![FieldError::with_detail(
                    "/name",
                    Reason::BadParameter,
                    "is taken",
                )])
            }
            Self::WrongStatus(error) => Problem::new(S::CONFLICT, "wrong_status", error.to_string()),
            Self::NotSigned => {
                Problem::new(S::CONFLICT, "not_signed", "only the notices of webhooks are signed")
            }
            Self::NoSuchRoute => Problem::new(S::NOT_FOUND, "not_found", "there is nothing at this address"),
            Self::MethodNotAllowed { allow } => {
                let detail = "there is something at this address, but not for this method";
                Problem::new(S::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
                    .with_header(ALLOW, allow.clone())
            }
            Self::UriTooLong => {
                Problem::new(S::URI_TOO_LONG, "uri_too_long", "the address is longer than 8 KiB")
            }
            Self::TooManyConnections => Problem::new(
                S::SERVICE_UNAVAILABLE,
                "too_many_connections",
                "there are too many connections from this address; nothing was changed",
            )
            .with_retry_after(RetryAfter::Scattered)
            .closing(),
            Self::Overloaded => of_failure(Failure::Overloaded),
            Self::Internal => internal(),
        }
    }
}

/// Why a signed request is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum BadSignature {
    #[error("the API key asks for signed requests: webhook-id, webhook-timestamp and webhook-signature")]
    Missing,
    #[error("{0}")]
    Wrong(SignatureError),
    #[error("a request with this webhook-id came before: each has to have its own")]
    Replayed,
}

/// Why a change to people and tenants can't be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Conflict {
    #[error("another tenant has this slug")]
    SlugTaken,
    #[error("another user of the tenant has this email")]
    EmailTaken,
    #[error("the tenant would be left without an owner")]
    LastOwner,
}

impl Conflict {
    fn problem(self) -> Problem {
        let (code, errors) = match self {
            Self::SlugTaken => ("slug_taken", vec![FieldError::new("/slug", Reason::Taken)]),
            Self::EmailTaken => ("email_taken", vec![FieldError::new("/email", Reason::Taken)]),
            Self::LastOwner => ("last_owner", Vec::new()),
        };
        Problem::new(StatusCode::CONFLICT, code, self.to_string()).with_errors(errors)
    }
}

fn too_many_tries(retry_after_seconds: u32) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", "too many tries: come back later")
        .with_retry_after(RetryAfter::Seconds(retry_after_seconds.into()))
}

fn internal() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong inside the service")
}

fn invalid(errors: Vec<FieldError>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "the request breaks the rules named in errors")
        .with_errors(errors)
}

fn of_body(error: BodyError) -> Problem {
    use StatusCode as S;
    match error {
        BodyError::UnsupportedMediaType => Problem::new(
            S::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Content-Type must be application/json in UTF-8, or application/x-ndjson for a batch",
        ),
        BodyError::UnsupportedEncoding => Problem::new(
            S::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            "Content-Encoding must be gzip, zstd or identity, and only one of them",
        )
        .with_header(ACCEPT_ENCODING, HeaderValue::from_static(body::ACCEPT_ENCODING)),
        BodyError::TooLarge { max } => {
            let detail = format!("the body is larger than {max} bytes");
            Problem::new(S::PAYLOAD_TOO_LARGE, "body_too_large", detail).closing()
        }
        BodyError::DecompressedTooLarge { max } => {
            let detail = format!("the decompressed body is larger than {max} bytes");
            Problem::new(S::PAYLOAD_TOO_LARGE, "decompressed_too_large", detail).closing()
        }
        BodyError::BadEncoding => Problem::new(
            S::BAD_REQUEST,
            "bad_encoding",
            "the body is not what Content-Encoding says, is cut off, or goes on behind its end",
        ),
        BodyError::TimedOut => {
            Problem::new(S::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive in time").closing()
        }
        BodyError::Interrupted => {
            Problem::new(S::BAD_REQUEST, "body_interrupted", "the body broke off or is badly framed")
                .closing()
        }
        BodyError::Overloaded => of_failure(Failure::Overloaded).closing(),
    }
}

fn of_unreadable(unreadable: &Unreadable) -> Problem {
    use StatusCode as S;
    match unreadable {
        Unreadable::EmptyBody => Problem::new(S::BAD_REQUEST, "empty_body", "the body is empty"),
        Unreadable::BadUtf8 => Problem::new(S::BAD_REQUEST, "bad_utf8", "the body is not UTF-8"),
        Unreadable::BadJson { line, column } => {
            let detail = format!("the body is not JSON: line {line}, column {column}");
            Problem::new(S::BAD_REQUEST, "bad_json", detail)
        }
        Unreadable::NotAnObject => {
            let errors = vec![FieldError::new("", Reason::NotAnObject)];
            Problem::new(S::UNPROCESSABLE_ENTITY, "not_an_object", "the body must be a JSON object")
                .with_errors(errors)
        }
        Unreadable::BadMember(error) if error.code == Reason::DuplicateKey => {
            duplicate_key(vec![error.clone()])
        }
        Unreadable::BadMember(error) => invalid(vec![error.clone()]),
        Unreadable::EmptyBatch => Problem::new(S::BAD_REQUEST, "empty_batch", "the batch has no events"),
        Unreadable::TooManyEvents { max } => {
            let detail = format!("a batch has at most {max} events");
            Problem::new(S::PAYLOAD_TOO_LARGE, "batch_too_large", detail)
        }
    }
}

/// What became of a single event, when it was not stored.
fn of_outcome(outcome: &Outcome) -> Problem {
    match outcome {
        // Stored is no problem; the caller answers these itself.
        Outcome::Accepted { .. } | Outcome::Duplicate { .. } => internal(),
        Outcome::Conflict { ingested_at } => Problem {
            ingested_at: Some(*ingested_at),
            errors: vec![FieldError::new("/event_id", Reason::EventIdConflict)],
            ..Problem::new(
                StatusCode::CONFLICT,
                "event_id_conflict",
                "an event with this event_id and other content is stored already",
            )
        },
        Outcome::Rejected(errors) if errors.iter().any(|error| error.code == Reason::DuplicateKey) => {
            duplicate_key(errors.clone())
        }
        Outcome::Rejected(errors) => invalid(errors.clone()),
        Outcome::Throttled { retry_after_seconds } => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "the tenant has stored as many events as it may for now",
        )
        .with_retry_after(RetryAfter::Seconds(*retry_after_seconds)),
        Outcome::Failed(failure) => of_failure(*failure),
    }
}

fn duplicate_key(errors: Vec<FieldError>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "duplicate_key", "an object has two members of the same name")
        .with_errors(errors)
}

/// Always 503: the same request may be sent again, with the same event ids.
fn of_failure(failure: Failure) -> Problem {
    let detail = match failure {
        Failure::Unavailable => "the store can't be reached; nothing was changed",
        Failure::Busy => "the store is busy; nothing was changed",
        Failure::Full => "the store has no room left; nothing was changed",
        Failure::OutcomeUnknown => "whether it was stored is not known; send it again with the same event_id",
        Failure::Overloaded => "the service has too much to do; nothing was changed",
        Failure::Unexpected => {
            "something went wrong inside the service; send it again with the same event_id"
        }
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, failure.code(), detail)
        .with_retry_after(RetryAfter::Scattered)
}

/// Without a body: that needs the request's id and is written where all answers pass.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.problem().status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::Timestamp;

    use super::*;

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
            let error =
                ApiError::Event { event_id: None, outcome: Outcome::Failed(failure), exhausted: None };
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
}
