//! A client that costs next to nothing, so that under load it is the server that is short of something.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Posts to one address, over connections that it keeps for as long as the server does.
pub struct Wire {
    address: SocketAddr,
    /// What each request begins with.
    head: String,
    idle: Mutex<Vec<TcpStream>>,
    sent_again: AtomicUsize,
}

impl Wire {
    /// A client that posts JSON there with this key.
    pub fn new(address: SocketAddr, path: &str, key: &str) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        );
        Self { address, head, idle: Mutex::default(), sent_again: AtomicUsize::new(0) }
    }

    /// Status and body of the answer.
    ///
    /// # Errors
    /// When there is none, or not the whole of one.
    pub async fn post(&self, body: &str) -> io::Result<(u16, String)> {
        self.post_encoded(body.as_bytes(), None).await
    }

    /// The same with a body that is encoded.
    ///
    /// # Errors
    /// As [`post`](Self::post).
    pub async fn post_encoded(&self, body: &[u8], encoding: Option<&str>) -> io::Result<(u16, String)> {
        let encoding = encoding.map(|name| format!("Content-Encoding: {name}\r\n")).unwrap_or_default();
        let mut head = format!("{}{encoding}Content-Length: {}\r\n\r\n", self.head, body.len()).into_bytes();
        // One packet for what is small; what is large is not copied.
        let (together, rest) = body.split_at(body.len().min(16 * 1024));
        head.extend_from_slice(together);
        let kept = self.idle.lock().expect("no holder panics").pop();
        if let Some(connection) = kept {
            match self.exchange(connection, &head, rest).await {
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    self.sent_again.fetch_add(1, Ordering::Relaxed);
                }
                told => return told,
            }
        }
        self.exchange(TcpStream::connect(self.address).await?, &head, rest).await
    }

    /// How many requests were sent again, because the connection that was kept for them ended without a byte of an
    /// answer. A server may close what is idle for long just when the next request is on its way (RFC 9112,
    /// section 9.5); whose events have ids may send them again.
    pub fn sent_again(&self) -> usize {
        self.sent_again.load(Ordering::Relaxed)
    }

    async fn exchange(
        &self,
        mut connection: TcpStream,
        head: &[u8],
        rest: &[u8],
    ) -> io::Result<(u16, String)> {
        let ended = |_| io::Error::from(ErrorKind::NotConnected);
        connection.write_all(head).await.map_err(ended)?;
        connection.write_all(rest).await.map_err(ended)?;
        let mut bytes = Vec::with_capacity(4096);
        loop {
            if let Some(answer) = whole(&bytes)? {
                if !answer.closes {
                    self.idle.lock().expect("no holder panics").push(connection);
                }
                return Ok((answer.status, answer.body));
            }
            match connection.read_buf(&mut bytes).await {
                Ok(0) | Err(_) if bytes.is_empty() => return Err(ErrorKind::NotConnected.into()),
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

struct Whole {
    status: u16,
    closes: bool,
    body: String,
}

/// The answer, once all of it is there.
fn whole(bytes: &[u8]) -> io::Result<Option<Whole>> {
    let bad = || io::Error::from(ErrorKind::InvalidData);
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| bad())?.to_ascii_lowercase();
    let body = &bytes[end + 4..];
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let length: usize = header("content-length:").and_then(|text| text.parse().ok()).ok_or_else(bad)?;
    if body.len() < length {
        return Ok(None);
    }
    Ok(Some(Whole {
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?,
        closes: header("connection:") == Some("close"),
        body: String::from_utf8_lossy(body).into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_met_a_connection_that_was_closed_meanwhile_is_sent_again() -> io::Result<()> {
        const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let wire = Wire::new(listener.local_addr()?, "/", "key");
        for again in 0..2 {
            let server = async {
                let (mut connection, _) = listener.accept().await?;
                assert_ne!(connection.read(&mut [0; 1024]).await?, 0);
                connection.write_all(ANSWER).await
                // It is dropped here, which closes it.
            };
            let (answer, ()) = tokio::try_join!(wire.post("{}"), server)?;
            assert_eq!((answer.0, wire.sent_again()), (200, again));
        }
        Ok(())
    }

    #[test]
    fn an_answer_is_whole_when_its_last_byte_is_there() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        for length in 0..text.len() {
            assert!(whole(&text[..length]).unwrap().is_none(), "{length}");
        }
        let answer = whole(text).unwrap().unwrap();
        assert_eq!((answer.status, answer.closes, answer.body.as_str()), (503, true, "{}"));
        assert!(!whole(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap().unwrap().closes);
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
