//! Listeners that count connections, read requests, and answer as they are told.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// A listener and what it has seen. It ends with this value.
pub(crate) struct Receiver {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// What to do with a connection.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Read the request, answer, close.
    Answer(Vec<u8>),
    /// Answer the first request with the first, and so on; the last stays.
    Answers(Vec<Vec<u8>>),
    /// Read a request, answer, and keep the connection for the next one.
    KeepAlive(Vec<u8>),
    /// Read the request, answer, then say this again and again.
    Endless(Vec<u8>, Vec<u8>),
    /// Read the request, then say these bytes one by one, slowly.
    Drip(Vec<u8>),
    /// Read the request and say nothing.
    Silent,
    /// Reset the connection at once.
    ResetBefore,
    /// Read the request, answer this much, and reset the connection.
    ResetAfter(Vec<u8>),
}

impl Receiver {
    /// Listens on a free port.
    pub(crate) async fn start(ip: IpAddr, behaviour: Behaviour) -> Self {
        Self::at(SocketAddr::new(ip, 0), behaviour).await.expect("a free port")
    }

    /// Two listeners that share a port: one at the public stand-in, and a decoy at each of the others.
    pub(crate) async fn with_decoys(
        public: IpAddr,
        behaviour: Behaviour,
        private: &[IpAddr],
    ) -> (Self, Vec<Self>) {
        'ports: loop {
            let receiver = Self::start(public, behaviour.clone()).await;
            let mut decoys = Vec::new();
            for ip in private {
                // Another program may have this port there.
                let Ok(decoy) = Self::at(SocketAddr::new(*ip, receiver.port()), behaviour.clone()).await
                else {
                    continue 'ports;
                };
                decoys.push(decoy);
            }
            return (receiver, decoys);
        }
    }

    async fn at(address: SocketAddr, behaviour: Behaviour) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, behaviour, seen.clone()));
        Ok(Self { address, seen, task })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://` and where it listens.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Request {
    /// Reads one request. `None` when the connection ends before.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                let mut request = Self { head, body: bytes.split_off(end + 4) };
                let length: usize =
                    request.header("content-length").map_or(0, |length| length.parse().unwrap());
                let missing = length.checked_sub(request.body.len()).expect("no more than was announced");
                let mut rest = vec![0; missing];
                stream.read_exact(&mut rest).await.ok()?;
                request.body.extend(rest);
                return Some(request);
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

async fn accept(listener: TcpListener, behaviour: Behaviour, seen: Arc<Seen>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a listener accepts");
        let nth = seen.connections.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(serve(stream, behaviour.clone(), nth, seen.clone()));
    }
}

/// Errors mean that the other side is gone, which is its right.
async fn serve(mut stream: TcpStream, behaviour: Behaviour, nth: usize, seen: Arc<Seen>) {
    if matches!(behaviour, Behaviour::ResetBefore) {
        // Closing without lingering resets.
        return stream.set_zero_linger().unwrap();
    }
    let Some(request) = Request::read(&mut stream).await else { return };
    seen.requests.lock().unwrap().push(request);
    match behaviour {
        Behaviour::KeepAlive(bytes) => {
            while stream.write_all(&bytes).await.is_ok() {
                let Some(request) = Request::read(&mut stream).await else { return };
                seen.requests.lock().unwrap().push(request);
            }
        }
        Behaviour::Answer(bytes) => _ = stream.write_all(&bytes).await,
        Behaviour::Answers(answers) => _ = stream.write_all(&answers[nth.min(answers.len() - 1)]).await,
        Behaviour::Endless(first, again) => {
            _ = stream.write_all(&first).await;
            while stream.write_all(&again).await.is_ok() {}
        }
        Behaviour::Drip(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Behaviour::Silent => std::future::pending().await,
        Behaviour::ResetBefore => {}
        Behaviour::ResetAfter(bytes) => {
            _ = stream.write_all(&bytes).await;
            stream.set_zero_linger().unwrap();
        }
    }
}

/// An answer with a body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
