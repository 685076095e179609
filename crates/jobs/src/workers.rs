//! The workers of this process: started, asked, drained.

use std::{panic, sync::Arc, time::Duration};

use pulsestream_domain::ports::{Clock, JobQueue};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use crate::{Handler, KindSettings, Settings, dispatcher::Dispatcher};

/// Where chance comes from: any number, each as likely as the others.
pub type Entropy = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The workers of this process. Dropping it stops them where they are; see [`drain`](Self::drain).
#[derive(Debug)]
pub struct Workers {
    drain: oneshot::Sender<Instant>,
    dispatcher: AbortOnDropHandle<Drained>,
}

/// How the work was when the workers stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Drained {
    /// Jobs that came to their end while draining.
    pub finished: usize,
    /// Jobs that did not, and were given back: others can have them at once.
    pub released: usize,
    /// Jobs the queue could not be told about: others can have them when their leases are over.
    pub abandoned: usize,
}

impl Workers {
    /// Starts to work on the jobs of these handlers. Needs a Tokio runtime with its timer.
    ///
    /// `entropy` spreads the waits between attempts.
    ///
    /// # Panics
    /// When two handlers do the same kind: one of them would never be asked.
    pub fn start(
        queue: Arc<dyn JobQueue>,
        handlers: impl IntoIterator<Item = (Arc<dyn Handler>, KindSettings)>,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
        settings: Settings,
    ) -> Self {
        let dispatcher = Dispatcher::new(queue, handlers, clock, entropy, settings);
        let (drain, drained) = oneshot::channel();
        Self { drain, dispatcher: AbortOnDropHandle::new(tokio::spawn(dispatcher.run(drained))) }
    }

    /// Whether jobs are still being worked on. It ends only with a bug.
    pub fn is_alive(&self) -> bool {
        !self.dispatcher.is_finished()
    }

    /// Takes no more jobs, lets those that run come to their end for as long as `patience`, and gives back the
    /// rest.
    ///
    /// # Panics
    /// When the workers had panicked.
    pub async fn drain(self, patience: Duration) -> Drained {
        // Nobody listens when they have panicked, which the next line finds.
        _ = self.drain.send(Instant::now() + patience);
        match self.dispatcher.await {
            Ok(drained) => drained,
            Err(error) => panic::resume_unwind(error.into_panic()),
        }
    }
}
