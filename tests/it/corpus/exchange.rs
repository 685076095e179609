//! A connection that sends any bytes at all and hears the answers out.

use std::{
    str,
    time::{Duration, Instant},
};

use pulsestream_tests::{App, Overheard};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    time::{sleep, timeout},
};

/// Longer than any time limit of the server.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long a connection may stay open behind an answer that closes it.
const CLOSING: Duration = Duration::from_secs(5);

/// How bytes are sent.
#[derive(Default)]
pub(super) struct Sending {
    pub(super) bytes: Vec<u8>,
    /// The pause behind each byte.
    pub(super) pause: Option<Duration>,
    /// Whether the head is sent without pauses.
    pub(super) head_at_once: bool,
    pub(super) half_close: bool,
    /// How many answers are waited for.
    pub(super) answers: usize,
    /// Whether the server is waited for to close the connection.
    pub(super) until_closed: bool,
    /// Whether answers have no body, whatever they say.
    pub(super) is_head: bool,
}

/// What came back.
pub(super) struct Heard {
    pub(super) answers: Vec<RawAnswer>,
    /// Whether the server closed the connection.
    pub(super) closed: bool,
    /// From the first byte sent to the last answer heard.
    pub(super) took: Duration,
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct RawAnswer {
    pub(super) status: u64,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl RawAnswer {
    /// The value of a header, if it is there.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON, or null.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Sends bytes on a connection of their own and listens meanwhile: a server that refuses what is still being
/// sent must be heard.
pub(super) async fn exchange(app: &App, sending: Sending) -> Heard {
    let started = Instant::now();
    let (mut reader, writer) = tokio::io::split(app.connect().await);
    let (wanted, until_closed, is_head) = (sending.answers, sending.until_closed, sending.is_head);
    let writing = tokio::spawn(write(writer, sending));
    let mut received = Vec::new();
    let mut closed = false;
    _ = timeout(PATIENCE, async {
        while !closed && parse(&received, is_head, false).len() < wanted {
            closed = !read(&mut reader, &mut received).await;
        }
    })
    .await;
    let took = started.elapsed();
    if until_closed && !closed {
        _ = timeout(CLOSING, async {
            while !closed {
                closed = !read(&mut reader, &mut received).await;
            }
        })
        .await;
    }
    writing.abort();
    Heard { answers: parse(&received, is_head, closed), closed, took }
}

async fn write(mut writer: WriteHalf<Overheard<TcpStream>>, sending: Sending) {
    let Sending { bytes, pause, head_at_once, half_close, .. } = sending;
    let at_once = match pause {
        None => bytes.len(),
        Some(_) if head_at_once => end_of_head(&bytes).unwrap_or(0),
        Some(_) => 0,
    };
    // A server that has heard enough closes, and writing fails: what it said is what counts.
    let mut is_open = writer.write_all(&bytes[..at_once]).await.is_ok();
    for byte in &bytes[at_once..] {
        is_open = is_open && writer.write_all(&[*byte]).await.is_ok();
        if !is_open {
            break;
        }
        sleep(pause.unwrap_or_default()).await;
    }
    if half_close {
        _ = writer.shutdown().await;
    }
}

/// Whether there may be more.
async fn read(reader: &mut ReadHalf<Overheard<TcpStream>>, into: &mut Vec<u8>) -> bool {
    matches!(reader.read_buf(into).await, Ok(1..))
}

/// The whole answers in these bytes, without those that only announce another.
fn parse(mut bytes: &[u8], is_head: bool, at_end: bool) -> Vec<RawAnswer> {
    let mut answers = Vec::new();
    while let Some((answer, rest)) = answer(bytes, is_head, at_end) {
        if answer.status >= 200 {
            answers.push(answer);
        }
        bytes = rest;
    }
    answers
}

/// Where the body begins.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn answer(bytes: &[u8], is_head: bool, at_end: bool) -> Option<(RawAnswer, &[u8])> {
    let body = end_of_head(bytes)?;
    let head = str::from_utf8(&bytes[..body - 4]).expect("heads of the server are text");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status line has a status");
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut answer = RawAnswer { status, headers, body: Vec::new() };
    let rest = &bytes[body..];
    if is_head || matches!(status, 100..=199 | 204 | 304) {
        return Some((answer, rest));
    }
    let rest = match (answer.header("content-length"), answer.header("transfer-encoding")) {
        (Some(length), _) => {
            let length: usize = length.parse().expect("a length is a number");
            answer.body = rest.get(..length)?.to_vec();
            &rest[length..]
        }
        (None, Some(_)) => chunks(rest, &mut answer.body)?,
        (None, None) if at_end => {
            answer.body = rest.to_vec();
            &[]
        }
        (None, None) => return None,
    };
    Some((answer, rest))
}

/// Joins the chunks of a body; `None` when they are not all there.
fn chunks<'a>(mut bytes: &'a [u8], into: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let length = str::from_utf8(&bytes[..end]).expect("a chunk's length is text");
        let length = usize::from_str_radix(length, 16).expect("a chunk's length is a number");
        let chunk = bytes.get(end + 2..end + 2 + length + 2)?;
        into.extend_from_slice(&chunk[..length]);
        bytes = &bytes[end + 2 + length + 2..];
        if length == 0 {
            return Some(bytes);
        }
    }
}
