//! Bodies that nobody reads to their end.
//!
//! When an answer is written before its request's body was read, actix closes the connection after
//! `client_disconnect_timeout`, unless the body is chunked and was dropped: such a body it reads on and throws
//! away, for as long as the client cares to trickle, or to say nothing at all. (actix-http 3.20,
//! `should_close_for_unread_payload`.) So a chunked body is held here until its answer is on the way.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpMessage as _,
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    http::header::TRANSFER_ENCODING,
    web::Bytes,
};
use futures_util::Stream;

/// Long enough for an answer to be written; what a body holds meanwhile is one read buffer.
const UNTIL_ANSWERED: Duration = Duration::from_secs(1);

/// Lets actix take in what has arrived of a body, which it does between two polls of a request. If that is all of it, the
/// connection can stay open: a client that is refused and comes back needs no new one.
pub(super) async fn take_in_arrived() {
    let mut is_again = false;
    poll_fn(|context| {
        if std::mem::replace(&mut is_again, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A hold on the body of a request.
pub(super) struct Unread(Rc<Held>);

struct Held {
    payload: RefCell<Payload>,
    is_read: Cell<bool>,
}

/// What the handler gets instead.
struct Pieces(Rc<Held>);

impl Unread {
    /// Takes hold of the body, if it is a chunked one.
    pub(super) fn hold(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(TRANSFER_ENCODING) {
            return None;
        }
        let payload = RefCell::new(request.take_payload());
        let held = Rc::new(Held { payload, is_read: Cell::new(false) });
        request.set_payload(Payload::Stream { payload: Box::pin(Pieces(Rc::clone(&held))) });
        Some(Self(held))
    }

    /// Lets go once the answer had time to leave, or at once if the body was read.
    pub(super) fn let_go(self) {
        if !self.0.is_read.get() {
            actix_web::rt::spawn(async move {
                tokio::time::sleep(UNTIL_ANSWERED).await;
                drop(self);
            });
        }
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = Pin::new(&mut *self.0.payload.borrow_mut()).poll_next(context);
        if matches!(piece, Poll::Ready(None)) {
            self.0.is_read.set(true);
        }
        piece
    }
}
