//! Wakes that come from other threads.
//!
//! A worker runs its tasks on one thread. It takes up what that thread has woken itself first, and of what other threads
//! have woken, such as requests whose events are committed, one after every 31 of those (tokio's `LocalSet`). While more
//! requests come than a worker can take, the former never end, and answers that are ready wait for seconds.
//!
//! So the wakes of other threads go to a list, and one task of the worker, which needs one turn for all of them, passes
//! them on from the worker's own thread.

use std::{
    cell::OnceCell,
    mem,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    thread::{self, ThreadId},
};

use tokio::sync::Notify;

/// The wakes for one worker's tasks.
#[derive(Clone, Default)]
pub(crate) struct Wakes(Rc<OnceCell<Arc<Mailbox>>>);

struct Mailbox {
    worker: ThreadId,
    arrived: Mutex<Vec<Waker>>,
    has_arrived: Notify,
}

/// Wakes a task of the worker, from wherever it is called.
struct Forwarded {
    task: Waker,
    mailbox: Arc<Mailbox>,
}

impl Wakes {
    /// Runs something on this worker whose wakes may come from other threads.
    pub(super) async fn forward<F: Future>(&self, future: F) -> F::Output {
        let mailbox = self.0.get_or_init(Mailbox::open);
        let mut future = pin!(future);
        let mut known: Option<(Waker, Waker)> = None;
        std::future::poll_fn(|context| {
            let task = context.waker();
            let (_, waker) = match &mut known {
                Some(pair) if pair.0.will_wake(task) => pair,
                changed => changed.insert((task.clone(), mailbox.forwarded(task.clone()))),
            };
            future.as_mut().poll(&mut Context::from_waker(waker))
        })
        .await
    }
}

impl Mailbox {
    /// Of the worker that this is called on.
    fn open() -> Arc<Self> {
        let mailbox = Arc::new(Self {
            worker: thread::current().id(),
            arrived: Mutex::default(),
            has_arrived: Notify::new(),
        });
        // Ends with the worker.
        actix_web::rt::spawn(Arc::clone(&mailbox).pass_on());
        mailbox
    }

    async fn pass_on(self: Arc<Self>) {
        loop {
            self.has_arrived.notified().await;
            let arrived = mem::take(&mut *self.arrived.lock().expect("no holder panics"));
            arrived.into_iter().for_each(Waker::wake);
        }
    }

    fn forwarded(self: &Arc<Self>, task: Waker) -> Waker {
        Arc::new(Forwarded { task, mailbox: Arc::clone(self) }).into()
    }
}

impl Wake for Forwarded {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Self { task, mailbox } = &**self;
        if thread::current().id() == mailbox.worker {
            task.wake_by_ref();
        } else {
            mailbox.arrived.lock().expect("no holder panics").push(task.clone());
            mailbox.has_arrived.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, task::Poll};

    use actix_web::rt::spawn;
    use futures_util::future::join_all;
    use tokio::sync::oneshot;

    use super::*;

    const ANSWERS: usize = 100;

    /// A task that is never done, and counts how often it came up.
    async fn busy(turns: Rc<Cell<usize>>) {
        poll_fn(|context| {
            turns.set(turns.get() + 1);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })
        .await;
    }

    #[actix_web::test]
    async fn answers_of_other_threads_do_not_queue_behind_a_busy_workers_own_tasks() {
        let (wakes, turns) = (Wakes::default(), Rc::new(Cell::new(0)));
        let (senders, answers): (Vec<_>, Vec<_>) = (0..ANSWERS).map(|_| oneshot::channel::<()>()).unzip();
        let waiting = answers.into_iter().map(|answer| {
            let wakes = wakes.clone();
            spawn(async move { wakes.forward(answer).await })
        });
        let waiting: Vec<_> = waiting.collect();
        tokio::task::yield_now().await;
        for _ in 0..4 {
            spawn(busy(Rc::clone(&turns)));
        }
        let sent = thread::spawn(|| senders.into_iter().try_for_each(|sender| sender.send(())));
        sent.join().expect("it does not panic").expect("all are waited for");

        for answer in join_all(waiting).await {
            answer.expect("it does not panic").expect("it was sent");
        }
        assert!(turns.get() < 10 * ANSWERS, "{} turns for {ANSWERS} answers", turns.get());
    }
}
