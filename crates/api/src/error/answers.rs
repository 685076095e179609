//! From what went wrong to status, code and words.

use actix_web::http::{
    StatusCode,
    header::{ACCEPT_ENCODING, ALLOW, HeaderValue, WWW_AUTHENTICATE},
};
use pulsestream_domain::{
    event::{FieldError, Reason},
    ports::StoreError,
};
use pulsestream_identity::{authority::required, passwords::PasswordError};
use pulsestream_ingestion::{Failure, Outcome, Unreadable};

use super::{ApiError, Conflict};
use crate::{
    body::{self, BodyError},
    problem::{Problem, RetryAfter},
};

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
