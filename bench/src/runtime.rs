//! Asynchronous drivers in a program that does one thing at a time.

use std::future::Future;

use anyhow::{Context, Result};

/// Runs a future to its end on this thread.
///
/// # Errors
/// Those of the future.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting a runtime")?.block_on(future)
}
