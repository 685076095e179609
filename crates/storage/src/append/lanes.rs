//! Connections for inserts, kept apart from the pools.
//!
//! A pool hands a connection on whatever happened on it, after asking the server whether it still lives: one
//! more round trip for each group, and a connection whose call was given up comes back. Here a connection
//! belongs to the call that uses it, and only a call that ended well gives it back. Whatever else happens,
//! the call being dropped included, closes it.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sea_orm::sqlx::{self, ConnectOptions as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

/// A connection that was not used for this long is not trusted: something between here and the server may
/// have forgotten it without a word.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// A fixed number of connections, made when needed.
#[derive(Debug)]
pub(crate) struct Lanes {
    options: PgConnectOptions,
    /// For a free connection, and for a new one to be made.
    patience: Duration,
    free: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    since: Instant,
}

/// One connection, for one call.
pub(super) struct Lane<'a> {
    connection: PgConnection,
    _place: SemaphorePermit<'a>,
}

impl Lanes {
    pub(crate) fn new(options: PgConnectOptions, count: u32, patience: Duration) -> Self {
        let free = Semaphore::new(count.max(1) as usize);
        Self { options, patience, free, idle: Mutex::default() }
    }

    /// Takes a connection, an idle one if there is any.
    ///
    /// # Errors
    /// [`sqlx::Error::PoolTimedOut`] when all are busy for too long, [`sqlx::Error::PoolClosed`] after
    /// [`close`](Self::close), or why no new one could be made. Nothing was sent in any case.
    pub(super) async fn take(&self) -> Result<Lane<'_>, sqlx::Error> {
        let place = timeout(self.patience, self.free.acquire())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
            .map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.pop_idle() {
            Some(connection) => connection,
            None => timeout(self.patience, self.options.connect())
                .await
                .map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??,
        };
        Ok(Lane { connection, _place: place })
    }

    /// Keeps a connection that is in order.
    pub(super) fn give_back(&self, lane: Lane<'_>) {
        let idle = Idle { connection: lane.connection, since: Instant::now() };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(idle);
    }

    /// Drops every idle connection: one broke, so the server may have gone and the others with it.
    pub(super) fn forget_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Lets nobody in any more, and drops what is idle.
    pub(crate) fn close(&self) {
        self.free.close();
        self.forget_idle();
    }

    fn pop_idle(&self) -> Option<PgConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = idle.pop()?;
        if newest.since.elapsed() > MAX_IDLE {
            idle.clear();
            return None;
        }
        Some(newest.connection)
    }
}

impl Deref for Lane<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lane<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
