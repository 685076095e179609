//! Clients that mean well: what they wait for is how a service is that others abuse.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::{
    runtime::Builder,
    time::{MissedTickBehavior, interval},
};

use super::{timing::Timing, wire::Wire};
use crate::{App, Tenant, event_with_id, unique};

/// As many as a small team's services have connections.
const CLIENTS: usize = 16;
/// How often each of them sends an event: the load of a usual day, a small part of what a server can take.
const EVERY: Duration = Duration::from_millis(20);

/// Clients that each send one event after the other, evenly. They have a thread of their own, so that what they wait
/// for is the server, and not a turn among those who abuse it from the same process.
pub struct GoodClients {
    address: SocketAddr,
    key: String,
}

/// What good clients were answered.
#[derive(Default)]
pub struct Told {
    /// How long they waited until their event was stored.
    pub stored: Timing,
    /// How often there was another answer, or none.
    pub refused: usize,
}

impl Told {
    /// How much they sent.
    pub fn sent(&self) -> usize {
        self.stored.len() + self.refused
    }
}

impl GoodClients {
    /// Those of a tenant.
    pub fn of(app: &App, tenant: &Tenant) -> Self {
        Self { address: app.address(), key: tenant.key.clone() }
    }

    /// Sends for so long, and nothing else is done meanwhile.
    pub async fn alone(&self, length: Duration) -> Told {
        self.beside(tokio::time::sleep(length)).await.1
    }

    /// Sends until something else has ended.
    pub async fn beside<T>(&self, other: impl Future<Output = T>) -> (T, Told) {
        let is_over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&is_over);
        // One each: a connection that lies idle for long is closed by the server, and rightly so.
        let wires = [(); CLIENTS].map(|()| Wire::new(self.address, "/api/v1/ingestion/events", &self.key));
        let sending = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(send(&wires, &until))
        });
        let output = other.await;
        is_over.store(true, Ordering::Relaxed);
        let told = tokio::task::spawn_blocking(|| sending.join()).await.expect("waiting never panics");
        (output, told.expect("a good client never panics"))
    }
}

async fn send(wires: &[Wire], is_over: &AtomicBool) -> Told {
    let clients = (0..).zip(wires).map(|(client, wire)| async move {
        // Not all at the same moment.
        tokio::time::sleep(EVERY * client / CLIENTS as u32).await;
        let (mut told, mut ticks) = (Told::default(), interval(EVERY));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !is_over.load(Ordering::Relaxed) {
            ticks.tick().await;
            let event = event_with_id(&unique("good")).to_string();
            let begun = Instant::now();
            match wire.post(&event).await {
                Ok((200, _)) => told.stored.add(begun.elapsed()),
                _ => told.refused += 1,
            }
        }
        told
    });
    let mut all = Told::default();
    for told in join_all(clients).await {
        all.stored.extend(&told.stored);
        all.refused += told.refused;
    }
    all
}
