//! Asking again whether a caller may still have what is being sent to them.
//!
//! An answer that goes on for minutes has to end when its credential does, on whichever instance that happened. So
//! who sends it asks before each part; the store is asked about a credential once a second, however many answers
//! are under way with it.

use std::time::{Duration, Instant};

use pulsestream_domain::{api_key::Scope, tenant::TenantId};
use pulsestream_storage::Store;

use super::{Caller, Callers, Members};
use crate::{error::ApiError, state::State};

/// How old what is known of a credential may be, when it is asked about again.
const LIFE: Duration = Duration::from_secs(1);

/// How often to ask. With [`LIFE`] and the time that a store may take, it stays below five seconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long to go on when the store does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of the credentials of answers under way: younger than what new requests are judged by.
pub(crate) struct Rechecks {
    callers: Callers,
    members: Members,
}

impl Rechecks {
    pub(crate) fn new(store: &Store, key_cache_life: Duration) -> Self {
        let life = key_cache_life.min(LIFE);
        Self { callers: Callers::new(store.clone(), life), members: Members::new(store.clone(), life) }
    }

    /// Waits for what is on its way to the store.
    pub(crate) async fn finish(&self) {
        self.callers.finish().await;
    }
}

/// Whether a caller may go on.
pub(crate) struct Recheck {
    state: State,
    caller: Caller,
    scope: Scope,
    /// When the answer was yes last. The credential of the request itself may have been known for a while.
    good_at: Option<Instant>,
}

impl Recheck {
    /// Asks for this scope, again and again.
    pub(crate) fn of(state: State, caller: Caller, scope: Scope) -> Self {
        Self { state, caller, scope, good_at: None }
    }

    pub(crate) fn tenant_id(&self) -> TenantId {
        self.caller.tenant_id()
    }

    /// Makes sure that the caller may go on. Costs nothing when it was asked a moment ago.
    ///
    /// # Errors
    /// Why they may not: what a new request would be told. [`ApiError::Store`] when nobody knows.
    pub(crate) async fn pass(&mut self) -> Result<(), ApiError> {
        let good_at = self.good_at;
        let is_within = |life| good_at.is_some_and(|at| at.elapsed() < life);
        if is_within(INTERVAL) {
            return Ok(());
        }
        let asked_at = Instant::now();
        match self.ask().await {
            Ok(()) => {
                self.good_at = Some(asked_at);
                Ok(())
            }
            Err(ApiError::Store(_)) if is_within(PATIENCE) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn ask(&mut self) -> Result<(), ApiError> {
        let Rechecks { callers, members } = &self.state.rechecks;
        let proof = self.caller.presented.prove(&self.state, callers, members, self.caller.address).await?;
        self.caller.proof = proof;
        self.caller.require(self.scope)
    }
}
