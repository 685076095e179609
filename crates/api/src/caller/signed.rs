//! Requests whose key asks for a signature.
//!
//! Which key it is, is known only after the store was asked, and by then the handler may hold the body. So a body
//! that comes with a signature is held back here: the handler gets a stream that has nothing to give until the
//! signature was checked over the whole of it. No route can forget to check.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    dev::Payload,
    error::PayloadError,
    http::header::{HeaderMap, HeaderName},
    web::Bytes,
};
use async_trait::async_trait;
use futures_util::Stream;
use pulsestream_domain::{
    Timestamp,
    api_key::{KeyId, StoredKey},
    ports::StoreError,
    tenant::TenantId,
};
use pulsestream_identity::signatures::{SeenMessages, SignatureError, Signed};
use pulsestream_storage::Store;
use tokio::sync::oneshot;

use crate::{
    body::Body,
    error::{ApiError, BadSignature},
    state::State,
};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// A body that is held back, with what its request says about its signature.
pub(super) struct Held {
    signed: Result<Signed, SignatureError>,
    body: Payload,
    release: oneshot::Sender<Payload>,
}

/// Holds the body back, if the request has a signature.
pub(super) fn hold(headers: &HeaderMap, payload: &mut Payload) -> Option<Held> {
    let signature = headers.get(SIGNATURE)?;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signed = Signed::parse(text(ID), text(TIMESTAMP), signature.to_str().unwrap_or_default());
    let (release, later) = oneshot::channel();
    let body = std::mem::replace(payload, Payload::Stream { payload: Box::pin(Later::Waiting(later)) });
    Some(Held { signed, body, release })
}

/// Lets the body through without a look at the signature.
pub(super) fn let_through(held: Option<Held>) {
    if let Some(Held { body, release, .. }) = held {
        // A handler that does not want the body is fine.
        _ = release.send(body);
    }
}

/// Lets the body through if the key asks for no signature, or if the signature is good and new.
pub(super) async fn check(
    state: &State,
    key: &StoredKey,
    held: Option<Held>,
    now: Timestamp,
) -> Result<(), ApiError> {
    if !key.restrictions.requires_signature {
        let_through(held);
        return Ok(());
    }
    let Held { signed, body, release } = held.ok_or(BadSignature::Missing)?;
    let signed = signed.map_err(BadSignature::Wrong)?;
    // What is signed is what was sent, compressed or not.
    let Body { bytes, held } = state.bodies.read(&HeaderMap::new(), body).await?;
    let verdict = state.identity.signatures.verify(key.tenant_id, &key.id, &signed, &bytes, now);
    verdict.map_err(BadSignature::Wrong)?;
    let until = signed.forgettable_at();
    if !state.messages.is_first(key.tenant_id, &key.id, &signed.id, until, now).await? {
        return Err(BadSignature::Replayed.into());
    }
    drop(held);
    _ = release.send(Payload::from(bytes));
    Ok(())
}

/// A body that comes when it is let through.
enum Later {
    Waiting(oneshot::Receiver<Payload>),
    Here(Payload),
}

impl Stream for Later {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Self::Waiting(later) = &mut *self {
            match ready!(Pin::new(later).poll(context)) {
                Ok(body) => *self = Self::Here(body),
                // It was refused, and nobody will look at what the handler makes of this.
                Err(_) => return Poll::Ready(Some(Err(PayloadError::Incomplete(None)))),
            }
        }
        match &mut *self {
            Self::Here(body) => Pin::new(body).poll_next(context),
            Self::Waiting(_) => Poll::Pending,
        }
    }
}

/// Signed requests that were seen, remembered in the store: for all instances, and over restarts.
pub(crate) struct StoredMessages(pub(crate) Store);

#[async_trait]
impl SeenMessages for StoredMessages {
    async fn is_first(
        &self,
        tenant_id: TenantId,
        key_id: &KeyId,
        message_id: &str,
        forgettable_at: Timestamp,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.0.remember_message(tenant_id, key_id, message_id, forgettable_at).await
    }
}
