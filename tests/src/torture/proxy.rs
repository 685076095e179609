//! A link that can be spoilt: a proxy for TCP in front of whatever listens.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::AbortHandle,
    time::sleep,
};

use super::{commits::CommitFinder, rng::Rng};

/// What a link does with what passes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mode {
    /// Passes it on.
    Pass,
    /// Passes it on later.
    Delay(Duration),
    /// Holds everything until the mode changes. New connections are taken and get nothing.
    Hold,
    /// Passes requests on and holds answers until the mode changes.
    HoldAnswers,
    /// Ends every connection, and every new one, without a goodbye.
    Reset,
    /// Ends a connection once this many bytes of answers have passed since it was made.
    CutAfter(u64),
    /// Passes single bytes, this far apart.
    Trickle(Duration),
    /// Loses the news of one in so many commits of the link, and then ends the connection or never says a word
    /// again.
    LoseCommits {
        /// One in how many; which ones, follows from how many came before.
        one_in: u64,
        /// Whether the connection stays open, silent.
        is_silent: bool,
    },
}

/// What a proxy stands in front of.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// A port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A proxy on a port of the loopback interface. Dropping it ends its connections.
pub struct Proxy {
    address: SocketAddr,
    link: Arc<Link>,
    listening: AbortHandle,
}

struct Link {
    mode: watch::Sender<Mode>,
    upstream: Mutex<Upstream>,
    commits_seen: AtomicU64,
    commits_lost: AtomicU64,
}

impl Proxy {
    /// Starts one, which passes everything.
    pub async fn start(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let link = Arc::new(Link {
            mode: watch::Sender::new(Mode::Pass),
            upstream: Mutex::new(upstream),
            commits_seen: AtomicU64::new(0),
            commits_lost: AtomicU64::new(0),
        });
        let listening = tokio::spawn(Arc::clone(&link).listen(listener)).abort_handle();
        Self { address, link, listening }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does, for connections that are open as well.
    pub fn set(&self, mode: Mode) {
        self.link.mode.send_replace(mode);
    }

    /// Stands in front of another from now on. Open connections stay with the one before.
    pub fn lead_to(&self, upstream: Upstream) {
        *self.link.upstream.lock().expect("no holder panics") = upstream;
    }

    /// How many commits it has lost the news of.
    pub fn commits_lost(&self) -> u64 {
        self.link.commits_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.link.mode.send_replace(Mode::Reset);
    }
}

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Link {
    async fn listen(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&self).carry(client));
        }
    }

    /// Carries one connection until an end closes, or the link is reset.
    async fn carry(self: Arc<Self>, client: TcpStream) {
        // Whatever ends it, the end is a reset: nobody may take it for a proper goodbye.
        _ = client.set_zero_linger();
        _ = client.set_nodelay(true);
        let mut mode = self.mode.subscribe();
        let reset = async {
            // Only the proxy ends the channel, and it resets first.
            _ = mode.wait_for(|mode| *mode == Mode::Reset).await;
        };
        let work = async {
            let (answers, requests) = self.connect().await?;
            let (from_client, to_client) = client.into_split();
            let out = self.pass_requests(Box::new(from_client), requests);
            let back = self.pass_answers(answers, Box::new(to_client));
            tokio::select! { ended = out => ended, ended = back => ended }
        };
        tokio::select! { () = reset => {}, _ended = work => {} }
    }

    async fn connect(&self) -> io::Result<(Reader, Writer)> {
        let upstream = self.upstream.lock().expect("no holder panics").clone();
        Ok(match upstream {
            Upstream::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                _ = stream.set_nodelay(true);
                let (reader, writer) = stream.into_split();
                (Box::new(reader), Box::new(writer))
            }
            Upstream::Unix(path) => {
                let (reader, writer) = UnixStream::connect(path).await?.into_split();
                (Box::new(reader), Box::new(writer))
            }
        })
    }

    async fn pass_requests(&self, mut from: Reader, mut to: Writer) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            match self.mode_for(|mode| mode == Mode::Hold).await {
                Mode::Trickle(pause) => trickle(&mut to, &buffer[..length], pause).await?,
                Mode::Delay(time) => {
                    sleep(time).await;
                    to.write_all(&buffer[..length]).await?;
                }
                _ => to.write_all(&buffer[..length]).await?,
            }
        }
    }

    async fn pass_answers(&self, mut from: Reader, mut to: Writer) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        let mut finder = CommitFinder::default();
        let mut passed = 0;
        loop {
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let bytes = &buffer[..length];
            let mode = self.mode_for(|mode| matches!(mode, Mode::Hold | Mode::HoldAnswers)).await;
            let mut read = 0;
            while let Some(told) = finder.read(&bytes[read..]) {
                if self.is_to_lose(mode) {
                    to.write_all(&bytes[..read + told.start]).await?;
                    if let Mode::LoseCommits { is_silent: true, .. } = mode {
                        self.mode_for(|now| now == mode).await;
                    }
                    return Ok(());
                }
                read += told.end;
            }
            match mode {
                Mode::Delay(time) => {
                    sleep(time).await;
                    to.write_all(bytes).await?;
                }
                Mode::Trickle(pause) => trickle(&mut to, bytes, pause).await?,
                Mode::CutAfter(limit) => {
                    let left = usize::try_from(limit.saturating_sub(passed)).unwrap_or(usize::MAX);
                    if left < bytes.len() {
                        to.write_all(&bytes[..left]).await?;
                        return Ok(());
                    }
                    to.write_all(bytes).await?;
                }
                _ => to.write_all(bytes).await?,
            }
            passed += length as u64;
        }
    }

    /// Counts a commit, and tells whether its news is to be lost.
    fn is_to_lose(&self, mode: Mode) -> bool {
        let Mode::LoseCommits { one_in, .. } = mode else { return false };
        let is_due = Rng::new(self.commits_seen.fetch_add(1, Ordering::Relaxed)).number(0..one_in) == 0;
        self.commits_lost.fetch_add(u64::from(is_due), Ordering::Relaxed);
        is_due
    }

    /// The mode, once it is none of those.
    async fn mode_for(&self, is_to_wait: impl Fn(Mode) -> bool) -> Mode {
        let mut mode = self.mode.subscribe();
        let ready = mode.wait_for(|mode| !is_to_wait(*mode)).await;
        ready.map_or(Mode::Reset, |mode| *mode)
    }
}

async fn trickle(to: &mut Writer, bytes: &[u8], pause: Duration) -> io::Result<()> {
    for byte in bytes {
        to.write_all(&[*byte]).await?;
        sleep(pause).await;
    }
    Ok(())
}
