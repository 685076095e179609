//! Who is calling.
//!
//! The tenant comes from the credential and from nowhere else. A handler that takes a [`Caller`] runs only
//! for requests with a good API key.

mod callers;
mod credential;

use std::sync::Arc;

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use pulsestream_domain::{
    api_key::Scope,
    tenant::{Tenant, TenantId},
};

pub(crate) use callers::Callers;

use crate::{error::ApiError, state::State};
use callers::KnownKey;

/// The tenant that a request comes from, and what its key may do.
pub(crate) struct Caller {
    pub(crate) tenant: Arc<Tenant>,
    key: Arc<KnownKey>,
}

/// The tenant of a request, left behind for the log line.
pub(crate) struct CallerTenant(pub(crate) TenantId);

impl Caller {
    /// Makes sure that the key may do this.
    pub(crate) fn require(&self, scope: Scope) -> Result<(), ApiError> {
        self.require_any(&[scope])
    }

    /// Makes sure that the key may do one of these.
    pub(crate) fn require_any(&self, scopes: &[Scope]) -> Result<(), ApiError> {
        match scopes.iter().any(|scope| self.key.allows(*scope)) {
            true => Ok(()),
            false => Err(ApiError::InsufficientScope(scopes[0])),
        }
    }

    /// What people know the credential by.
    pub(crate) fn name(&self) -> &str {
        self.key.name()
    }

    pub(crate) fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let presented = credential::presented(request);
        let state = State::of(request);
        let request = request.clone();
        Box::pin(async move {
            let key = state.callers.find(&presented?, state.clock.now()).await?;
            let tenant = Arc::clone(&key.tenant);
            request.extensions_mut().insert(CallerTenant(tenant.id));
            Ok(Self { tenant, key })
        })
    }
}
