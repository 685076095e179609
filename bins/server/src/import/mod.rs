//! Import: from a file of logs or events to stored events, once each, however often it is run.
//!
//! The way of a line: [`source`] opens and unpacks, [`detect`] names the format, a reader
//! ([`access_log`], [`nginx_json`], [`json_lines`], [`json_array`]) makes an event of it, [`line_ids`] gives
//! it an id that is the same next time, and [`delivery`] offers batches to a [`sink`] until every event has
//! a final answer. Reading runs on a thread of its own; what waits between the two is bounded.

mod access_log;
mod batch;
mod delivery;
mod detect;
mod event;
mod json_array;
mod json_lines;
mod line_ids;
mod lines;
mod nginx_json;
mod progress;
mod reader;
mod request_line;
mod sink;
mod source;
mod tally;

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use tokio::{sync::mpsc, task, time::Instant};

pub(crate) use batch::Record;
pub(crate) use detect::Format;
pub(crate) use event::Mapping;
#[cfg(test)]
pub(crate) use sink::Answer;
pub(crate) use sink::{HttpSink, Sink, StoreSink, Unlimited, Verdict};
pub(crate) use source::Source;
pub(crate) use tally::Tally;

/// How many batches may wait to be stored; the reader pauses beyond it.
const WAITING_BATCHES: usize = 4;

/// Imports everything that a source holds.
///
/// The tally comes back even when the import stops half-way, so that what was stored is always told.
pub(crate) async fn run(
    source: Source,
    format: Option<Format>,
    mapping: Mapping,
    sink: &dyn Sink,
) -> (Tally, Result<()>) {
    let started = Instant::now();
    let progress = progress::bar(&source);
    let bytes_read = source.bytes_read();
    let (sender, mut batches) = mpsc::channel(WAITING_BATCHES);
    let reader = task::spawn_blocking(move || reader::read(source, format, &mapping, &sender));

    let mut tally = Tally::default();
    let mut outcome = Ok(());
    while let Some(batch) = batches.recv().await {
        outcome = delivery::deliver(batch, sink, &mut tally).await;
        if outcome.is_err() {
            break;
        }
        progress.set_position(bytes_read.get());
        progress.set_message(tally.rate(started.elapsed()));
    }
    // Closing the channel is what tells a reader in the middle of a file to stop.
    drop(batches);
    let read = reader.await.context("reading panicked").and_then(|read| read);
    progress.finish_and_clear();
    tally.elapsed = started.elapsed().max(Duration::from_millis(1));
    (tally, outcome.and(read))
}

/// Opens a file, or standard input for `-`.
pub(crate) fn open(path: &Path) -> Result<Source> {
    Source::open(path)
}
