//! Where large bodies are decompressed and parsed: on threads of their own, which give way to whoever answers small ones.
//!
//! Parsing ten megabytes takes tens of milliseconds, in which a thread could answer hundreds of other requests. So work
//! is done on no more of them at a time than there are threads here, and on Linux these have the processor only as far
//! as others leave it to them.

use std::{
    io,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::sync::{Semaphore, oneshot};

/// How far these threads stand back: one gets about a tenth of what it would get beside another that wants the same
/// processor all the time (`sched(7)`).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// Threads for long work on bodies. They end with it.
#[derive(Debug)]
pub struct LargeBodies {
    jobs: mpsc::Sender<Job>,
    /// One for each thread. A job is handed over when there is a place for it; until then it belongs to who waits for it,
    /// and is gone with them: a body whose client has left is in no budget any more.
    places: Arc<Semaphore>,
}

impl LargeBodies {
    /// Starts so many threads.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name("large-bodies".to_owned()).spawn(move || work(&waiting))?;
        }
        Ok(Self { jobs, places: Arc::new(Semaphore::new(threads)) })
    }

    /// Does it as soon as a thread is free. What waits is dropped when this future is; what has begun is finished.
    ///
    /// # Panics
    /// When the work does.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("nobody closes it");
        let (reply, done) = oneshot::channel();
        let job = Box::new(move || {
            let done = panic::catch_unwind(AssertUnwindSafe(work));
            drop(place);
            drop(reply.send(done));
        });
        self.jobs.send(job).expect("the threads live as long as there is somebody to send to them");
        match done.await.expect("a job that is taken is finished") {
            Ok(done) => done,
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

fn work(waiting: &Mutex<mpsc::Receiver<Job>>) {
    give_way();
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        job();
    }
}

/// Linux has a priority for each thread. Not to get another one only costs others some time.
#[cfg(target_os = "linux")]
fn give_way() {
    _ = rustix::process::nice(NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn give_way() {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn no_more_work_is_done_at_a_time_than_there_are_threads() {
        let large_bodies = LargeBodies::start(1).unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        let first = large_bodies.run(move || wait.recv().is_ok());
        let second = large_bodies.run(|| "second");
        tokio::pin!(first, second);
        tokio::select! {
            biased;
            _ = &mut first => unreachable!("it waits"),
            _ = &mut second => panic!("the first is not done"),
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
        go_on.send(()).unwrap();
        assert!(first.await);
        assert_eq!(second.await, "second");
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_kept() {
        let large_bodies = LargeBodies::start(1).unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        let mut first = std::pin::pin!(large_bodies.run(move || wait.recv().is_ok()));
        assert!(futures_util::poll!(&mut first).is_pending());
        let body = Arc::new(());
        let kept = Arc::clone(&body);
        let mut second = Box::pin(large_bodies.run(move || drop(kept)));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(second);
        assert_eq!(Arc::strong_count(&body), 1);
        go_on.send(()).unwrap();
        assert!(first.await);
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_and_the_thread_goes_on() {
        let large_bodies = Arc::new(LargeBodies::start(1).unwrap());
        let same = Arc::clone(&large_bodies);
        let panicked = tokio::spawn(async move { same.run(|| panic!("of the work")).await });
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(large_bodies.run(|| 1).await, 1);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn these_threads_give_way_and_no_others_do() {
        let niceness = || rustix::process::nice(0).unwrap();
        let own = niceness();
        let large_bodies = LargeBodies::start(1).unwrap();
        assert_eq!(large_bodies.run(niceness).await, (own + NICENESS).min(19));
        assert_eq!(niceness(), own);
    }
}
