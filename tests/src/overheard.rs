//! A connection without a client, of which every byte is looked at for other tenants' canaries.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::canary;

/// A connection that looks at what came when it ends, knowing from what was sent for whom it speaks. What it finds
/// fails the run, not the trial: it may end in the middle of another failure.
pub struct Overheard<S> {
    inner: S,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl<S> Overheard<S> {
    /// Listens in from now on.
    pub fn new(inner: S) -> Self {
        Self { inner, sent: Vec::new(), received: Vec::new() }
    }

    /// The connection itself, to ask it something.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S> Drop for Overheard<S> {
    fn drop(&mut self) {
        if !self.received.is_empty() {
            canary::overheard(&self.sent, &self.received);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Overheard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.received.extend_from_slice(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Overheard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes))?;
        self.sent.extend_from_slice(&bytes[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
