//! What one server takes in memory.

use std::{net::SocketAddr, thread};

use anyhow::{Context, Result, ensure};

use crate::{
    http::Client,
    memory,
    report::{Table, none, one_digit, verdict, whole},
    stage::Stage,
};

/// What this part is called on the command line.
pub(crate) const NAME: &str = "memory";

/// Connections that are kept and idle.
const IDLE: usize = 1_000;
/// Connections that have been used before, so that what a server keeps anyway is not counted with those.
const USED: usize = 50;
const QUESTION: &str = "/api/v1/ingestion/events/search?limit=1";
/// Connections that send one event after the other.
const BUSY: u64 = 256;
/// How many events of how many bytes come at once.
const LARGE: usize = 64;
const LARGE_BYTES: usize = 10 << 20;

const MOST_AT_REST: u64 = 64 << 20;
const MOST_BUSY: u64 = 400 << 20;
const MOST_LARGE: u64 = 3 << 29;

/// What came out, in bytes.
pub(crate) struct Outcome {
    at_rest: u64,
    /// With [`IDLE`] connections, and what each of them takes.
    idle: u64,
    each: f64,
    /// At most, with [`BUSY`] connections.
    busy: u64,
    /// At most, with [`LARGE`] events at once.
    large: u64,
    /// Of the large events: stored, and refused with 503.
    stored: usize,
    refused: usize,
}

/// Measures a server at rest and with idle connections, and two others under load.
///
/// # Errors
/// When something is answered that should not be.
pub(crate) fn run(stage: &mut Stage) -> Result<Outcome> {
    stage.postgres.reset()?;
    let key = stage.on_postgres.keys()[0].to_owned();

    let server = stage.on_postgres.serve()?;
    let at_rest = memory::now(server.pid())?;
    drop(connected(USED, server.address(), &key)?);
    let before = memory::now(server.pid())?;
    let mut clients = connected(IDLE, server.address(), &key)?;
    let idle = memory::now(server.pid())?;
    // It has kept them all.
    clients.iter_mut().try_for_each(|client| ask(client, &key)).context("on a connection that was idle")?;
    drop(clients);
    server.stop()?;

    let server = stage.on_postgres.serve()?;
    stage.while_events_come_in(server.address(), BUSY, stage.duration(), || Ok(()))?;
    let busy = memory::peak(server.pid())?;
    server.stop()?;

    let server = stage.on_postgres.serve()?;
    let (stored, refused) = send_large(server.address(), &key)?;
    let large = memory::peak(server.pid())?;
    server.stop()?;

    let each = idle.saturating_sub(before) as f64 / IDLE as f64;
    Ok(Outcome { at_rest, idle, each, busy, large, stored, refused })
}

/// So many connections, each of which has had an answer.
fn connected(count: usize, address: SocketAddr, key: &str) -> Result<Vec<Client>> {
    (0..count)
        .map(|number| {
            let mut client =
                Client::connect(address).with_context(|| format!("after {number} connections"))?;
            ask(&mut client, key)?;
            Ok(client)
        })
        .collect()
}

fn ask(client: &mut Client, key: &str) -> Result<()> {
    client.get(QUESTION, key).map(drop)
}

/// Sends large events at once; answers with how many were stored and how many refused.
fn send_large(address: SocketAddr, key: &str) -> Result<(usize, usize)> {
    let text = "0123456789abcdef".repeat(LARGE_BYTES / 16 - 4);
    let body = format!(
        r#"{{"event_type":"custom_event","title":"large","source":{{"service":"s","endpoint":"/","method":"PUT"}},"payload":{{"text":"{text}"}}}}"#
    );
    let statuses: Vec<u16> = thread::scope(|scope| {
        let senders: Vec<_> = (0..LARGE)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(address)?;
                    client.status_of_post("/api/v1/ingestion/events", key, &body)
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().expect("a sender returns its errors"))
            .collect::<Result<_>>()
    })?;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    let (stored, refused) = (count(200), count(503));
    ensure!(stored + refused == LARGE, "the answers were {statuses:?}");
    Ok((stored, refused))
}

/// The section of the report.
pub(crate) fn write(outcome: &Outcome) -> String {
    let mebibytes = |bytes: u64| whole(Some(bytes as f64 / f64::from(1 << 20)));
    let mut table = Table::new(&["one server", "MiB", "gate", ""]);
    for (what, bytes, most) in [
        ("at rest, before any connection".to_owned(), outcome.at_rest, Some(MOST_AT_REST)),
        (format!("with {} idle connections", whole(Some(IDLE as f64))), outcome.idle, None),
        (format!("at most, with single events over {BUSY} connections"), outcome.busy, Some(MOST_BUSY)),
        (format!("at most, with {LARGE} events of 10 MiB at once"), outcome.large, Some(MOST_LARGE)),
    ] {
        table.row([
            what,
            mebibytes(bytes),
            most.map_or_else(none, |most| format!("≤ {}", mebibytes(most))),
            most.map_or_else(none, |most| verdict(bytes <= most).to_owned()),
        ]);
    }
    format!(
        "{}\nAn idle connection that has had an answer takes {} KiB. Of the {LARGE} events of 10 MiB, {} were stored \
         and {} refused with 503.\n",
        table.text,
        one_digit(Some(outcome.each / 1_024.0)),
        outcome.stored,
        outcome.refused,
    )
}
