//! Figures that anybody may ask for, so they are asked of the store only now and then.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use pulsestream_domain::{Timestamp, ports::StoreError};
use pulsestream_storage::Store;
use tokio::sync::Mutex;

/// How old a figure may be.
const LIFE: Duration = Duration::from_secs(1);

/// The last observation of something, and when it was made. One caller observes, the others wait for it.
pub(crate) struct Observed<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Observed<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Observed<T> {
    /// What was observed within the last second, or what `observe` finds now.
    pub(crate) async fn get<F: Future<Output = T>>(&self, observe: impl FnOnce() -> F) -> T {
        let mut last = self.0.lock().await;
        if let Some((at, known)) = &*last
            && at.elapsed() < LIFE
        {
            return known.clone();
        }
        let found = observe().await;
        *last = Some((Instant::now(), found.clone()));
        found
    }
}

/// What `GET /api/v1/ingestion/health` needs from the store; `None` when it does not answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    pub(crate) figures: Option<Figures>,
}

/// Over all tenants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) errors_last_hour: u64,
    pub(crate) last_received_at: Option<Timestamp>,
}

impl Health {
    pub(crate) async fn of(store: &Store, now: Timestamp) -> Self {
        let figures = async {
            Ok::<_, StoreError>(Figures {
                errors_last_hour: store.errors_last_hour(now).await?,
                last_received_at: store.last_received_at().await?,
            })
        };
        Self { figures: figures.await.ok() }
    }
}

/// What `GET /readyz` needs from the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Readiness {
    pub(crate) is_reached: bool,
    /// Whether every migration has been applied.
    pub(crate) is_current: bool,
}

impl Readiness {
    pub(crate) async fn of(store: &Store) -> Self {
        match store.ping().await {
            Ok(()) => {
                Self { is_reached: true, is_current: matches!(store.pending_migrations().await, Ok(0)) }
            }
            Err(_) => Self { is_reached: false, is_current: false },
        }
    }
}
