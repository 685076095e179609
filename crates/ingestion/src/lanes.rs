//! Group commit: what arrives while a group is being committed is the next group.
//!
//! There is no timer. A lane takes what waits, commits it, and comes back; the time a commit takes is the
//! time in which the next group gathers. A single client on an idle server therefore waits for nobody, and
//! under load groups grow by themselves. (Waiting 1–2 ms for more company was measured: it only costs.)

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::committer::{Committer, Settled, Submission};

/// How large a group may grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSize {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

pub(crate) struct Waiting {
    pub(crate) submission: Submission,
    pub(crate) reply: oneshot::Sender<Settled>,
}

impl Waiting {
    fn events(&self) -> usize {
        self.submission.events.len()
    }

    fn bytes(&self) -> usize {
        self.submission
            .events
            .iter()
            .map(|event| event.document.as_str().len() + event.terms.as_str().len())
            .sum()
    }
}

/// The queue's receiving end, with the one submission that did not fit into the last group.
struct Intake {
    queue: mpsc::Receiver<Waiting>,
    held_over: Option<Waiting>,
}

/// Starts `count` lanes that share one queue. They end when its sender is gone and everything is answered.
pub(crate) fn start(
    count: usize,
    size: GroupSize,
    queue: mpsc::Receiver<Waiting>,
    committer: &Arc<Committer>,
    tasks: &TaskTracker,
) -> Arc<AtomicUsize> {
    let intake = Arc::new(Mutex::new(Intake { queue, held_over: None }));
    let alive = Arc::new(AtomicUsize::new(count));
    for _ in 0..count {
        let (intake, committer, alive) = (Arc::clone(&intake), Arc::clone(committer), Arc::clone(&alive));
        tasks.spawn(async move {
            let lane = Alive(alive);
            loop {
                // While one lane waits here for the first of its group, the others commit or queue up behind.
                let group = intake.lock().await.next_group(size).await;
                if group.is_empty() {
                    break;
                }
                commit(&committer, group).await;
            }
            drop(lane);
        });
    }
    alive
}

/// Counts a lane as gone, however it ends.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Intake {
    /// Waits for one submission and takes what else is there. Empty when there will be no more.
    async fn next_group(&mut self, size: GroupSize) -> Vec<Waiting> {
        let first = match self.held_over.take() {
            Some(waiting) => Some(waiting),
            None => self.queue.recv().await,
        };
        let Some(first) = first else { return Vec::new() };
        let (mut events, mut bytes) = (first.events(), first.bytes());
        let mut group = vec![first];
        while let Ok(waiting) = self.queue.try_recv() {
            events += waiting.events();
            bytes += waiting.bytes();
            if events > size.events || bytes > size.bytes {
                self.held_over = Some(waiting);
                break;
            }
            group.push(waiting);
        }
        group
    }
}

async fn commit(committer: &Committer, group: Vec<Waiting>) {
    let (submissions, replies): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.submission, waiting.reply)).unzip();
    for (reply, settled) in replies.into_iter().zip(committer.commit(submissions).await) {
        // Nobody waits any more when the client went away; its events are stored all the same.
        drop(reply.send(settled));
    }
}
