//! Who is calling.
//!
//! The tenant comes from the credential and from nowhere else. A handler that takes a [`Caller`] runs only for
//! requests with a good API key or a good access token.

mod callers;
mod credential;
mod members;
mod origin;
mod recheck;
mod signed;

use std::{net::IpAddr, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use futures_util::future::LocalBoxFuture;
use pulsestream_domain::{
    api_key::{Restrictions, Scope},
    identity::Actor,
    tenant::{Tenant, TenantId},
};
use pulsestream_identity::authority::{Action, Credential, may, may_grant};

pub(crate) use callers::Callers;
pub(crate) use members::{Member, Members};
pub(crate) use origin::origin;
pub(crate) use recheck::{Recheck, Rechecks};
pub(crate) use signed::StoredMessages;

use crate::{client_address::ClientAddress, error::ApiError, state::State};
use callers::KnownKey;
use credential::Presented;

/// The tenant that a request comes from, and what its credential may do.
pub(crate) struct Caller {
    pub(crate) tenant: Arc<Tenant>,
    proof: Proof,
    presented: Presented,
    address: Option<IpAddr>,
}

/// What the request proved to have.
enum Proof {
    Key(Arc<KnownKey>),
    Member(Arc<Member>),
}

/// The tenant of a request, left behind for the log line.
pub(crate) struct CallerTenant(pub(crate) TenantId);

impl Caller {
    /// Makes sure that the credential may be used for this.
    pub(crate) fn require(&self, action: impl Into<Action>) -> Result<(), ApiError> {
        let action = action.into();
        if may(self.credential(), action) {
            return Ok(());
        }
        Err(match &self.proof {
            Proof::Key(_) => ApiError::InsufficientScope(action),
            Proof::Member(member) if member.user.must_change_password => ApiError::PasswordChangeRequired,
            Proof::Member(_) => ApiError::InsufficientRole(action),
        })
    }

    /// Makes sure that the credential may be used for what one of these scopes is for.
    pub(crate) fn require_any(&self, scopes: &[Scope]) -> Result<(), ApiError> {
        match scopes.iter().any(|scope| may(self.credential(), (*scope).into())) {
            true => Ok(()),
            false => self.require(scopes[0]),
        }
    }

    /// Makes sure that the credential may give these scopes to a key.
    pub(crate) fn require_grant(&self, scopes: &[Scope]) -> Result<(), ApiError> {
        match scopes.iter().all(|scope| may_grant(self.credential(), *scope)) {
            true => Ok(()),
            false => Err(ApiError::GrantsTooMuch),
        }
    }

    /// The user, where only a user makes sense.
    pub(crate) fn member(&self) -> Result<&Member, ApiError> {
        match &self.proof {
            Proof::Member(member) => Ok(member),
            Proof::Key(_) => Err(ApiError::InsufficientScope(Action::OwnAccount)),
        }
    }

    /// What people know the credential by.
    pub(crate) fn name(&self) -> &str {
        match &self.proof {
            Proof::Key(key) => &key.stored().name,
            Proof::Member(member) => member.user.email.as_str(),
        }
    }

    pub(crate) fn tenant_id(&self) -> TenantId {
        self.tenant.id
    }

    /// What narrows down which events may be sent, if anything does.
    pub(crate) fn restrictions(&self) -> Option<Arc<Restrictions>> {
        match &self.proof {
            Proof::Key(key) => key.event_restrictions(),
            Proof::Member(_) => None,
        }
    }

    /// The key of the request, if it is one.
    pub(crate) fn key(&self) -> Option<&pulsestream_domain::api_key::StoredKey> {
        match &self.proof {
            Proof::Key(key) => Some(key.stored()),
            Proof::Member(_) => None,
        }
    }

    /// Who it is, for the book of changes.
    pub(crate) fn actor(&self) -> Actor {
        match &self.proof {
            Proof::Key(key) => Actor::Key(key.stored().id.clone()),
            Proof::Member(member) => Actor::User(member.user.id),
        }
    }

    fn credential(&self) -> Credential<'_> {
        match &self.proof {
            Proof::Key(key) => Credential::Key(key.stored()),
            Proof::Member(member) => Credential::User(&member.user),
        }
    }
}

impl Presented {
    /// What a credential proves now, as far as it is known.
    async fn prove(
        &self,
        state: &State,
        callers: &Callers,
        members: &Members,
        address: Option<IpAddr>,
    ) -> Result<Proof, ApiError> {
        let now = state.clock.now();
        match self {
            Self::Key(key) => {
                let key = callers.find(key, now).await?;
                match key.stored().restrictions.admit_address(address) {
                    true => Ok(Proof::Key(key)),
                    false => Err(ApiError::AddressNotAllowed),
                }
            }
            Self::Token(token) => {
                let member = members.find(&state.identity.access_tokens, token, now).await?;
                Ok(Proof::Member(member))
            }
        }
    }
}

/// The address of the client, behind proxies that are trusted. `None` for a request made over no network.
pub(crate) fn client_address(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr()?;
    let ClientAddress(address) = ClientAddress::of(request, &State::of(request).settings.trusted_proxies);
    Some(address)
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        #[cfg(feature = "sabotage")]
        pulsestream_sabotage::step("accepted");
        let presented = credential::presented(request);
        let signed = signed::hold(request.headers(), payload);
        let state = State::of(request);
        let request = request.clone();
        Box::pin(async move {
            let presented = presented?;
            let address = client_address(&request);
            let proof = presented.prove(&state, &state.callers, &state.members, address).await?;
            let tenant = match &proof {
                Proof::Key(key) => {
                    signed::check(&state, key.stored(), signed, state.clock.now()).await?;
                    Arc::clone(&key.tenant)
                }
                Proof::Member(member) => {
                    signed::let_through(signed);
                    Arc::clone(&member.tenant)
                }
            };
            request.extensions_mut().insert(CallerTenant(tenant.id));
            Ok(Self { tenant, proof, presented, address })
        })
    }
}
