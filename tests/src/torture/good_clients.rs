//! Clients that mean well: what they wait for is how a service is that others abuse.

use std::{
    iter::repeat_with,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    runtime::Builder,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    report::Report,
    timing::{Timing, bearable, milliseconds},
    wire::Wire,
};
use crate::{App, Tenant, event_with_id, unique};

/// How much good clients send.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As on a usual day: 16 clients, each an event every 20 ms, a small part of what a server can take.
    Usual,
    /// As much as the server takes: 64 clients, each its next event as soon as the last is stored.
    Full,
}

impl Pace {
    fn clients(self) -> usize {
        match self {
            Self::Usual => 16,
            Self::Full => 64,
        }
    }

    fn every(self) -> Option<Duration> {
        match self {
            Self::Usual => Some(Duration::from_millis(20)),
            Self::Full => None,
        }
    }

    /// How long they may have to wait at the 99th percentile beside clients that mean ill: twice as long as without
    /// them. At the usual pace that is so little that it says more of what else two cores do that those clients share,
    /// and `at_least` is bearable.
    fn bearable(self, without: Duration, at_least: Duration) -> Duration {
        match self {
            Self::Usual => bearable(without).max(at_least),
            Self::Full if cfg!(debug_assertions) => bearable(without),
            Self::Full => 2 * without,
        }
    }
}

/// Clients that each send one event after the other. They have a thread of their own, so that what they wait for is the
/// server, and not a turn among those who abuse it from the same process.
pub struct GoodClients {
    address: SocketAddr,
    key: String,
    pace: Pace,
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

    /// Reports how long they waited alone and beside clients that mean ill, and expects the latter to be bearable.
    pub fn compare(&self, beside: &Self, pace: Pace, at_least: Duration, report: &mut Report) {
        let [alone_p99, p99] = [self, beside].map(|told| told.stored.quantile(0.99));
        report.figure(
            &format!("{pace:?} pace: p99 of others, before and beside them, and the longest"),
            format!(
                "{}, {}, {}",
                milliseconds(alone_p99),
                milliseconds(p99),
                milliseconds(beside.stored.max())
            ),
        );
        report.figure(
            &format!("{pace:?} pace: others refused, of all they sent"),
            format!("{} of {}", beside.refused, beside.sent()),
        );
        let bearable = pace.bearable(alone_p99, at_least);
        report.expect(p99 <= bearable, || format!("{pace:?} pace: others waited {p99:?} of {bearable:?}"));
    }
}

impl GoodClients {
    /// Those of a tenant.
    pub fn of(app: &App, tenant: &Tenant, pace: Pace) -> Self {
        Self { address: app.address(), key: tenant.key.clone(), pace }
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
        let wire = || Wire::new(self.address, "/api/v1/ingestion/events", &self.key);
        let (wires, every): (Vec<Wire>, _) =
            (repeat_with(wire).take(self.pace.clients()).collect(), self.pace.every());
        let sending = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(send(&wires, every, &until))
        });
        let output = other.await;
        is_over.store(true, Ordering::Relaxed);
        let told = tokio::task::spawn_blocking(|| sending.join()).await.expect("waiting never panics");
        (output, told.expect("a good client never panics"))
    }
}

async fn send(wires: &[Wire], every: Option<Duration>, is_over: &AtomicBool) -> Told {
    let clients = (0..).zip(wires).map(|(client, wire)| async move {
        let mut told = Told::default();
        let mut ticks = every.map(|every| {
            // Not all at the same moment.
            let mut ticks = interval_at(Instant::now() + every * client / wires.len() as u32, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        while !is_over.load(Ordering::Relaxed) {
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
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
