//! A listener that behaves as it is told, request by request.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Answer with this status and these headers.
    Status(&'static str, &'static str),
    /// Answer with this status, and a body without end.
    Endless(&'static str),
    /// Say nothing.
    Silent,
    /// Reset the connection before anything is read.
    ResetBefore,
    /// Read the request, and reset the connection.
    ResetAfter,
}

/// A listener and the requests it has read. It ends with this value.
pub(crate) struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Behaves like this at the first connection, and so on; the last stays.
    pub(crate) async fn start(behaviours: Vec<Behaviour>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let requests = seen.clone();
        let task = tokio::spawn(async move {
            for nth in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let behaviour = behaviours[nth.min(behaviours.len() - 1)];
                tokio::spawn(serve(stream, behaviour, requests.clone()));
            }
        });
        Self { port, seen, task }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The `webhook-id` of each request that was read.
    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |request: &String| {
            let line = request.lines().find_map(|line| line.strip_prefix("webhook-id: "));
            line.unwrap().to_owned()
        };
        self.seen.lock().unwrap().iter().map(id).collect()
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        let body = |request: &String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
        self.seen.lock().unwrap().iter().map(body).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, seen: Arc<Mutex<Vec<String>>>) {
    if matches!(behaviour, Behaviour::ResetBefore) {
        return stream.set_zero_linger().unwrap();
    }
    let Some(request) = read(&mut stream).await else { return };
    seen.lock().unwrap().push(request);
    // Errors mean that the other side is gone, which is its right.
    match behaviour {
        Behaviour::Status(status, headers) => {
            let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 2\r\n\r\nok");
            _ = stream.write_all(answer.as_bytes()).await;
        }
        Behaviour::Endless(status) => {
            _ = stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await;
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::ResetAfter => stream.set_zero_linger().unwrap(),
        Behaviour::ResetBefore => {}
    }
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
