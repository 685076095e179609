//! Who wants a change, from where, for the book of changes.

use actix_web::{HttpMessage, HttpRequest};
use pulsestream_domain::identity::{Actor, Origin};

use super::client_address;
use crate::{observe::RequestId, state::State};

/// A change that this actor makes with this request, now.
pub(crate) fn origin(state: &State, request: &HttpRequest, actor: Actor) -> Origin {
    let now = state.clock.now();
    Origin {
        entry_id: state.ids.uuid_v7(now),
        at: now,
        actor,
        ip: client_address(request).map(|address| address.to_canonical()),
        request_id: request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned()),
    }
}
