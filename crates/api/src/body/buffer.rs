//! Where a body gathers: a vector that refuses to outgrow its cap or the budget.

use std::io;

use super::{BodyError, budget::Reservation};

/// Bytes up to a cap, each covered by a reservation.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    max: usize,
    /// What the decoder in front of it needs for itself, in bytes.
    overhead: usize,
    held: Reservation,
    too_large: BodyError,
    refused: Option<BodyError>,
}

impl Buffer {
    /// An empty buffer that answers `too_large` beyond `max` bytes.
    pub(super) fn new(max: usize, too_large: BodyError, held: Reservation) -> Self {
        Self { bytes: Vec::new(), max, overhead: 0, held, too_large, refused: None }
    }

    pub(super) fn append(&mut self, more: &[u8]) -> Result<(), BodyError> {
        let length = self.bytes.len() + more.len();
        if length > self.max {
            return Err(self.too_large);
        }
        // Twice as much each time, as vectors do, but never more than there may be.
        let capacity = match self.bytes.capacity() {
            enough if enough >= length => enough,
            small => length.max(2 * small).min(self.max),
        };
        self.held.cover(capacity + self.overhead).map_err(|_| BodyError::Overloaded)?;
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells what the decoder in front needs for itself: a window of megabytes, if the frame asks for one.
    pub(super) fn set_overhead(&mut self, bytes: usize) {
        self.overhead = bytes;
    }

    /// Why the last write failed, if it was this buffer that refused it.
    pub(super) fn refused(&self) -> Option<BodyError> {
        self.refused
    }

    pub(super) fn into_parts(self) -> (Vec<u8>, Reservation) {
        (self.bytes, self.held)
    }
}

/// For decoders that write: the reason of a failure is in [`Buffer::refused`].
impl io::Write for Buffer {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        match self.append(more) {
            Ok(()) => Ok(more.len()),
            Err(error) => {
                self.refused = Some(error);
                Err(io::Error::other("the body is refused"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
