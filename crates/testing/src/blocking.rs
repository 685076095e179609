//! Asynchronous drivers for callers of any kind.

use std::{panic, thread};

/// Runs a future to its end on a thread of its own, so that it works inside and outside a runtime, and
/// in `drop`.
pub(crate) fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a process can have one more event loop").block_on(future)
    };
    let answer = thread::scope(|scope| scope.spawn(run).join());
    answer.unwrap_or_else(|payload| panic::resume_unwind(payload))
}
