//! What can go wrong; the one place where it becomes a status and a code is [`answers`].

mod answers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header::HeaderValue},
};
use pulsestream_domain::{
    alerting::WrongStatus,
    event::{EventId, FieldError},
    ports::StoreError,
};
use pulsestream_identity::{
    authority::Action, passwords::PasswordError, signatures::SignatureError, throttle::Throttled,
};
use pulsestream_ingestion::{Outcome, Unreadable};
use pulsestream_rate_limit::Policy;

use crate::body::BodyError;

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
/// Without a body: that needs the request's id and is written where all answers pass.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.problem().status
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
