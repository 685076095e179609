//! Group commit: what arrives while a group is being committed is the next group.
//!
//! Nobody waits for company on an idle server. A lane takes what waits, commits it, and comes back; the time a commit takes is the
//! time in which the next group gathers. A single client on an idle server therefore waits for nobody, and
//! under load groups grow by themselves. (Waiting 1–2 ms for more company was measured: it only costs.)
//!
//! A second lane starts while the first one commits only when there is enough for it to do: many small groups
//! side by side cost the database more than they save in time.
//!
//! What no lane has taken up after a while is taken back by its sender, which is refused. How many requests wait says
//! little about how long they will: only the time does, on a machine of any speed, and also when every commit hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::committer::{Committer, Settled, Submission};

/// How many events make a group that is worth committing beside another.
const COMPANY: usize = 48;

/// How long a small group waits for another lane's commit, which normally takes a tenth of it. A commit that
/// hangs must hold up nobody but its own events.
const PATIENCE: Duration = Duration::from_millis(20);

/// How large a group may grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSize {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

pub(crate) struct Waiting {
    pub(crate) submission: Submission,
    pub(crate) reply: oneshot::Sender<Settled>,
    pub(crate) claim: Claim,
}

/// The right to decide about a submission that waits: to commit it, or to take it back. Of a lane and the sender,
/// whoever asks first has it.
#[derive(Clone, Default)]
pub(crate) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Takes the right; false when it is taken already.
    pub(crate) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
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

/// Where requests wait for a lane.
pub(crate) struct Queue {
    sender: mpsc::Sender<Waiting>,
    committing: Arc<Committing>,
}

impl Queue {
    /// Puts a submission at the end of the queue, or gives it back when the queue is full.
    pub(crate) fn put(&self, waiting: Waiting) -> Result<(), Waiting> {
        self.sender.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(waiting) | mpsc::error::TrySendError::Closed(waiting) => waiting,
        })?;
        // Those in the group that is being gathered are not counted: it may go a little later than it could.
        if self.depth() >= COMPANY {
            self.committing.changed.notify_one();
        }
        Ok(())
    }

    /// How many submissions wait.
    pub(crate) fn depth(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}

/// The queue's receiving end, with the one submission that did not fit into the last group.
struct Intake {
    queue: mpsc::Receiver<Waiting>,
    held_over: Option<Waiting>,
    committing: Arc<Committing>,
}

/// How many lanes are committing, and word for the one that gathers: one is done, or enough are waiting. (Waking
/// it for each submission would cost as much as the submission's share of the commit.)
#[derive(Default)]
struct Committing {
    lanes: AtomicUsize,
    changed: Notify,
}

impl Committing {
    fn start(self: &Arc<Self>) -> Busy {
        self.lanes.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    fn is_idle(&self) -> bool {
        self.lanes.load(Ordering::Acquire) == 0
    }
}

/// A lane that is committing, until it is dropped, however that comes about: nobody may wait for one that is gone.
struct Busy(Arc<Committing>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lanes.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}

/// Starts `count` lanes that share one queue. They end when the queue is dropped and everything is answered.
pub(crate) fn start(
    count: usize,
    size: GroupSize,
    queue_requests: usize,
    committer: &Arc<Committer>,
    tasks: &TaskTracker,
) -> (Queue, Arc<AtomicUsize>) {
    let committing: Arc<Committing> = Arc::default();
    let (sender, queue) = mpsc::channel(queue_requests);
    let intake = Intake { queue, held_over: None, committing: Arc::clone(&committing) };
    let intake = Arc::new(Mutex::new(intake));
    let alive = Arc::new(AtomicUsize::new(count));
    for _ in 0..count {
        let (intake, committer, alive) = (Arc::clone(&intake), Arc::clone(committer), Arc::clone(&alive));
        tasks.spawn(async move {
            let lane = Alive(alive);
            loop {
                // While one lane waits here for the first of its group, the others commit or queue up behind.
                let mut intake = intake.lock().await;
                let group = intake.next_group(size).await;
                if group.is_empty() {
                    break;
                }
                // Counted before the next lane may look.
                let busy = intake.committing.start();
                drop(intake);
                commit(&committer, group).await;
                drop(busy);
            }
            drop(lane);
        });
    }
    (Queue { sender, committing }, alive)
}

/// Counts a lane as gone, however it ends.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Intake {
    /// Waits for one submission, takes what else is there, and goes on gathering while other lanes commit and
    /// there is little. Empty when there will be no more.
    async fn next_group(&mut self, size: GroupSize) -> Vec<Waiting> {
        let Some(first) = self.first().await else { return Vec::new() };
        let mut group = Group { events: 0, bytes: 0, waiting: Vec::new() };
        group.add(first);
        let mut out_of_patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
        let mut is_patient = true;
        loop {
            while let Ok(waiting) = self.queue.try_recv() {
                if !group.has_room_for(&waiting, size) {
                    self.held_over = Some(waiting);
                    return group.waiting;
                }
                if waiting.claim.take() {
                    group.add(waiting);
                }
            }
            if !is_patient || group.events >= COMPANY || self.committing.is_idle() || self.queue.is_closed() {
                break;
            }
            tokio::select! {
                () = &mut out_of_patience => is_patient = false,
                () = self.committing.changed.notified() => {}
            }
        }
        group.waiting
    }

    /// The first submission that its sender has not taken back. `None` when there will be no more.
    async fn first(&mut self) -> Option<Waiting> {
        loop {
            let waiting = match self.held_over.take() {
                Some(waiting) => waiting,
                None => self.queue.recv().await?,
            };
            if waiting.claim.take() {
                return Some(waiting);
            }
        }
    }
}

/// A group that is being gathered.
struct Group {
    events: usize,
    bytes: usize,
    waiting: Vec<Waiting>,
}

impl Group {
    fn has_room_for(&self, waiting: &Waiting, size: GroupSize) -> bool {
        self.events + waiting.events() <= size.events && self.bytes + waiting.bytes() <= size.bytes
    }

    fn add(&mut self, waiting: Waiting) {
        self.events += waiting.events();
        self.bytes += waiting.bytes();
        self.waiting.push(waiting);
    }
}

async fn commit(committer: &Committer, group: Vec<Waiting>) {
    let (submissions, replies): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.submission, waiting.reply)).unzip();
    #[cfg(feature = "sabotage")]
    pulsestream_sabotage::step("group_taken");
    let mut committed = committer.commit(submissions).await;
    for (reply, settled) in replies.into_iter().zip(committed.settled.drain(..)) {
        // Nobody waits any more when the client went away; its events are stored all the same.
        drop(reply.send(settled));
    }
}
