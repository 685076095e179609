//! From access tokens to users, with a memory of a few seconds.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use pulsestream_domain::{
    Timestamp,
    identity::{Session, User},
    ports::StoreError,
    tenant::Tenant,
};
use pulsestream_identity::access_tokens::{AccessTokens, Subject};
use pulsestream_storage::Store;

use crate::error::ApiError;

/// How many sessions are remembered, good and bad.
const REMEMBERED_SESSIONS: u64 = 10_000;

/// A user with the session they are here with, as the store had them a few seconds ago at most.
pub(crate) struct Member {
    pub(crate) user: User,
    pub(crate) session: Session,
    pub(crate) tenant: Arc<Tenant>,
}

impl Member {
    fn subject(&self) -> Subject {
        Subject { tenant_id: self.tenant.id, user_id: self.user.id, session_id: self.session.id }
    }
}

/// Finds users. A token says who somebody is; what they may do, and whether they still may, is looked up.
pub(crate) struct Members {
    store: Store,
    known: Cache<Subject, Option<Arc<Member>>>,
}

impl Members {
    pub(crate) fn new(store: Store, life: Duration) -> Self {
        Self { store, known: Cache::builder().max_capacity(REMEMBERED_SESSIONS).time_to_live(life).build() }
    }

    /// The user that a token speaks for, if they are logged in now.
    pub(crate) async fn find(
        &self,
        tokens: &AccessTokens,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Member>, ApiError> {
        let subject = tokens.verify(token, now).map_err(|_| ApiError::Unauthenticated)?;
        let found = self.known.try_get_with(subject, self.ask(subject)).await.map_err(ApiError::Store)?;
        let is_good = |member: &Arc<Member>| {
            member.subject() == subject && member.session.is_live(now) && member.user.is_active
        };
        let member = found.filter(is_good).ok_or(ApiError::Unauthenticated)?;
        if member.user.must_change_password {
            // What they wait for happens with their next request but one, on whichever instance.
            self.known.invalidate(&subject).await;
        }
        Ok(member)
    }

    /// Forgets a user of this session whom this instance has just changed.
    pub(crate) async fn forget(&self, member: &Member) {
        self.known.invalidate(&member.subject()).await;
    }

    async fn ask(&self, subject: Subject) -> Result<Option<Arc<Member>>, StoreError> {
        let found = self.store.session(subject.tenant_id, subject.session_id).await?;
        Ok(found.map(|(session, user, tenant)| Arc::new(Member { user, session, tenant: Arc::new(tenant) })))
    }
}
