//! Log lines on their way out.
//!
//! A line per request, each with a write of its own, shows in the rate of single events, and a thread that waits for
//! lines has to be woken for each. So lines gather here, and a thread of its own writes out what there is, twenty times
//! a second, or sooner when there is much.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How long a line may lie before it is written.
const GATHER: Duration = Duration::from_millis(50);
/// So much is written at once, without waiting for more.
const WRITE_BYTES: usize = 64 * 1024;
/// So much may lie. Beyond it whoever logs waits: no line is dropped.
const FULL_BYTES: usize = 4 * 1024 * 1024;

/// Where lines are put. Clones share one buffer.
#[derive(Clone)]
pub(super) struct LineBuffer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    /// There is something to write, or enough not to wait for more, or no more to come.
    work: Condvar,
    /// There is room again.
    room: Condvar,
}

#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    is_closed: bool,
}

/// Writes out the last lines when it is dropped.
pub(crate) struct LogGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl LineBuffer {
    /// Starts the thread that writes to `target`, until the guard is dropped.
    ///
    /// # Errors
    /// When the thread can't be started.
    pub(super) fn start(target: impl Write + Send + 'static) -> io::Result<(Self, LogGuard)> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread =
            thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_out(target))?;
        Ok((Self(Arc::clone(&shared)), LogGuard { shared, thread: Some(thread) }))
    }
}

impl Shared {
    /// A thread that panicked while it held the lock had only appended bytes.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, line: &[u8]) {
        let mut lines = self.lock();
        while lines.bytes.len() >= FULL_BYTES && !lines.is_closed {
            lines = self.room.wait(lines).unwrap_or_else(PoisonError::into_inner);
        }
        let before = lines.bytes.len();
        lines.bytes.extend_from_slice(line);
        // Otherwise the thread knows already, and is gathering.
        if before == 0 || (before < WRITE_BYTES && lines.bytes.len() >= WRITE_BYTES) {
            drop(lines);
            self.work.notify_one();
        }
    }

    fn write_out(&self, mut target: impl Write) {
        let mut writing = Vec::with_capacity(WRITE_BYTES);
        loop {
            let mut lines = self.lock();
            while lines.bytes.is_empty() {
                if lines.is_closed {
                    return;
                }
                lines = self.work.wait(lines).unwrap_or_else(PoisonError::into_inner);
            }
            let gathering = |lines: &mut Lines| lines.bytes.len() < WRITE_BYTES && !lines.is_closed;
            let waited = self.work.wait_timeout_while(lines, GATHER, gathering);
            let (mut lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut lines.bytes, &mut writing);
            drop(lines);
            self.room.notify_all();
            // With nobody left to read it, there is nobody to tell.
            let _ = target.write_all(&writing).and_then(|()| target.flush());
            writing.clear();
        }
    }
}

impl Write for LineBuffer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LineBuffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.notify_one();
        self.shared.room.notify_all();
        if let Some(thread) = self.thread.take() {
            // It panics only if the target does, and then there is nothing left to save.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes what is written, write by write. It holds up the writer while nobody receives.
    struct Target(mpsc::SyncSender<Vec<u8>>);

    impl Write for Target {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_whole_and_in_order_by_the_time_the_guard_is_gone() {
        let (sender, receiver) = mpsc::sync_channel(1_000);
        let (buffer, guard) = LineBuffer::start(Target(sender)).expect("a thread");
        let writers = [0, 1, 2, 3].map(|writer| {
            let mut buffer = buffer.clone();
            thread::spawn(move || {
                for number in 0..5_000 {
                    buffer.write_all(format!("{writer} {number}\n").as_bytes()).expect("it takes every line");
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().expect("a writer"));
        drop(guard);

        let text = String::from_utf8(receiver.iter().flatten().collect()).expect("whole lines");
        let mut next = [0; 4];
        for line in text.lines() {
            let (writer, number) = line.split_once(' ').expect("a whole line");
            let writer: usize = writer.parse().expect("a number");
            assert_eq!(number, next[writer].to_string());
            next[writer] += 1;
        }
        assert_eq!(next, [5_000; 4]);
    }

    #[test]
    fn a_single_line_is_written_without_another_behind_it() {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (mut buffer, _guard) = LineBuffer::start(Target(sender)).expect("a thread");
        buffer.write_all(b"alone\n").expect("it takes every line");
        assert_eq!(receiver.recv_timeout(Duration::from_secs(30)).expect("it is written"), b"alone\n");
    }

    #[test]
    fn a_slow_reader_bounds_what_lies_and_loses_nothing() {
        const LINE: usize = 1024 * 1024;
        let (sender, receiver) = mpsc::sync_channel(0);
        let (mut buffer, guard) = LineBuffer::start(Target(sender)).expect("a thread");
        let shared = Arc::clone(&buffer.0);
        let writer = thread::spawn(move || {
            for _ in 0..16 {
                buffer.write_all(&vec![b'x'; LINE]).expect("it takes every line");
            }
        });
        let mut received = 0;
        while received < 16 * LINE {
            received += receiver.recv_timeout(Duration::from_secs(30)).expect("a write").len();
            assert!(shared.lock().bytes.len() < FULL_BYTES + LINE);
        }
        writer.join().expect("the writer");
        drop(guard);
        assert_eq!(received, 16 * LINE);
    }
}
