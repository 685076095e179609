//! Reading no further than the reply that was asked for.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, ReadBuf},
    net::TcpStream,
};

/// A connection that gives at most one line per read.
///
/// lettre (0.11.23) keeps what it has read beyond a reply. Before encryption starts that can be replies that
/// somebody on the way has added, and afterwards it would take them for the server's: a letter would seem
/// accepted that never arrived ([STARTTLS injection]). With one line per read there is nothing to keep; whatever
/// follows in the clear goes into the handshake, and fails it.
///
/// [STARTTLS injection]: https://nostarttls.secvuln.info/
pub(super) struct LineStream(BufReader<TcpStream>);

impl LineStream {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(stream))
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().peer_addr()
    }
}

impl AsyncRead for LineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let available = ready!(Pin::new(&mut self.0).poll_fill_buf(cx))?;
        let line = available.iter().position(|byte| *byte == b'\n').map_or(available.len(), |end| end + 1);
        let length = line.min(buf.remaining());
        buf.put_slice(&available[..length]);
        Pin::new(&mut self.0).consume(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl fmt::Debug for LineStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LineStream").field(self.0.get_ref()).finish()
    }
}
