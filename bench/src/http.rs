//! A client for one request at a time, which costs far less than the answers do.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

const PATIENCE: Duration = Duration::from_secs(60);

/// One connection that is kept.
pub(crate) struct Client {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).context("connecting to the server")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// The body of a successful answer to a GET.
    ///
    /// # Errors
    /// When the answer is none of 200.
    pub(crate) fn get(&mut self, path: &str, key: &str) -> Result<Vec<u8>> {
        self.send("GET", path, key, "")
    }

    /// As [`get`](Self::get), where the server may be too busy or give up: `None` for 503.
    ///
    /// # Errors
    /// When the answer is neither 200 nor 503.
    pub(crate) fn get_unless_given_up(&mut self, path: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let (status, body) = self.exchange("GET", path, key, "")?;
        let said = String::from_utf8_lossy(&body);
        ensure!(status == 200 || status == 503, "GET {path} was answered with {status}: {said}");
        Ok((status == 200).then_some(body))
    }

    /// The body of a successful answer to a POST of JSON.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) fn post(&mut self, path: &str, key: &str, body: &str) -> Result<Vec<u8>> {
        self.send("POST", path, key, body)
    }

    /// The body of a successful answer to a DELETE.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) fn delete(&mut self, path: &str, key: &str) -> Result<Vec<u8>> {
        self.send("DELETE", path, key, "")
    }

    /// The status of any answer to a POST of JSON.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn status_of_post(&mut self, path: &str, key: &str, body: &str) -> Result<u16> {
        Ok(self.exchange("POST", path, key, body)?.0)
    }

    fn send(&mut self, method: &str, path: &str, key: &str, body: &str) -> Result<Vec<u8>> {
        let (status, body) = self.exchange(method, path, key, body)?;
        let said = String::from_utf8_lossy(&body);
        ensure!(status == 200, "{method} {path} was answered with {status}: {said}");
        Ok(body)
    }

    fn exchange(&mut self, method: &str, path: &str, key: &str, body: &str) -> Result<(u16, Vec<u8>)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        // A server may answer before it has read everything, and stop reading.
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        let status = self.line().or_else(|error| sent.context("sending a request").and(Err(error)))?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut length = None;
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
        }
        let body = match length {
            Some(length) => self.bytes(length)?,
            None => self.chunks()?,
        };
        Ok((status.context("an answer begins with its status")?, body))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).context("reading an answer")?;
        ensure!(read > 0, "the server has closed the connection");
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).context("reading an answer")?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16).context("reading the length of a chunk")?;
            body.append(&mut self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}
