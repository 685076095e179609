//! A listener that behaves as it is told, request by request.

use std::sync::{Arc, Mutex, MutexGuard};

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

/// A request, and whether it was answered with yes.
pub(crate) struct Seen {
    pub(crate) request: String,
    pub(crate) is_taken: bool,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let prefix = format!("{name}: ");
        self.request.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap()
    }

    pub(crate) fn body(&self) -> &str {
        self.request.split_once("\r\n\r\n").unwrap().1
    }
}

/// A listener and the requests it has read. It ends with this value.
pub(crate) struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Behaves like this at the first connection, and so on; the last stays.
    pub(crate) async fn start(behaviours: Vec<Behaviour>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), behaviours)
    }

    /// One at 127.0.0.2 that takes everything, and one at 127.0.0.1 that has the same port.
    pub(crate) async fn and_decoy() -> (Self, Self) {
        loop {
            let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            // Another program may have this port there.
            let Ok(decoy) = TcpListener::bind(("127.0.0.1", port)).await else { continue };
            let takes = vec![Behaviour::Status("200 OK", "")];
            return (Self::on(listener, takes.clone()), Self::on(decoy, takes));
        }
    }

    fn on(listener: TcpListener, behaviours: Vec<Behaviour>) -> Self {
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
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

    /// The requests that were read.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap()
    }

    /// The `webhook-id` of each.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.header("webhook-id").to_owned()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, seen: Arc<Mutex<Vec<Seen>>>) {
    if matches!(behaviour, Behaviour::ResetBefore) {
        return stream.set_zero_linger().unwrap();
    }
    let Some(request) = read(&mut stream).await else { return };
    let is_taken = matches!(behaviour, Behaviour::Status(status, _) | Behaviour::Endless(status) if status.starts_with('2'));
    seen.lock().unwrap().push(Seen { request, is_taken });
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
