//! Reading bodies: capped, decompressed while they arrive, in bounded time.
//!
//! A body that says it is too large is refused before a byte of it is read. One that does not say so is
//! refused at the byte that is too much, compressed or decompressed, so that no body takes more memory
//! than the cap and all of them together never more than the [budget](BodyBudget).

mod budget;
mod buffer;
mod encoding;
mod media_type;

use std::{sync::Arc, time::Duration};

use actix_web::{
    error::PayloadError,
    http::header::{CONTENT_LENGTH, HeaderMap},
    web::Bytes,
};
use futures_util::{Stream, StreamExt};
use pulsestream_ingestion::{LARGE_BODY_BYTES, LargeBodies};

pub(crate) use budget::{BodyBudget, Reservation};
pub(crate) use encoding::ACCEPT_ENCODING;
pub(crate) use media_type::{batch_format, require_json};

use buffer::Buffer;
use encoding::{Decoder, Encoding};

/// Why a body was not read. The variants are what a client can do differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the content type is not one of those this route takes")]
    UnsupportedMediaType,
    #[error("the content encoding is not gzip, zstd or identity")]
    UnsupportedEncoding,
    #[error("the body is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the decompressed body is larger than {max} bytes")]
    DecompressedTooLarge { max: usize },
    #[error("the body is not what its content encoding says, or is cut off")]
    BadEncoding,
    #[error("the body did not arrive in time")]
    TimedOut,
    #[error("the body was cut off")]
    Interrupted,
    #[error("there is no room for more bodies")]
    Overloaded,
}

/// A whole body, decompressed. Its bytes count against the budget as long as it lives.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// Held while the events of the body are being stored.
    pub(crate) held: Reservation,
}

/// What every body is held to.
#[derive(Clone, Debug)]
pub(crate) struct BodyLimits {
    /// In bytes, compressed and decompressed.
    pub(crate) max_bytes: usize,
    /// From the first byte asked for to the last.
    pub(crate) timeout: Duration,
    pub(crate) budget: Arc<BodyBudget>,
    pub(crate) large_bodies: Arc<LargeBodies>,
}

impl BodyLimits {
    /// The same with another cap.
    pub(crate) fn with_max_bytes(&self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self.clone() }
    }

    /// Reads a body to its end.
    pub(crate) async fn read<S>(&self, headers: &HeaderMap, pieces: S) -> Result<Body, BodyError>
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    {
        let encoding = Encoding::of(headers)?;
        let announced = announced_length(headers);
        if announced.is_some_and(|length| length > self.max_bytes) {
            return Err(BodyError::TooLarge { max: self.max_bytes });
        }
        // Asked, not reserved: announcing a large body and sending nothing must not keep others out.
        if !self.budget.has_room_for(announced.unwrap_or(0)) {
            return Err(BodyError::Overloaded);
        }
        let held = self.budget.open();
        let reading = async {
            match encoding {
                // No more than announced can arrive, so nothing is held beyond it.
                Encoding::Identity => self.plain(announced.unwrap_or(self.max_bytes), pieces, held).await,
                Encoding::Gzip | Encoding::Zstd => self.decoded(encoding, pieces, held).await,
            }
        };
        #[cfg(feature = "sabotage")]
        if pulsestream_sabotage::is_broken("body_without_deadline") {
            return reading.await;
        }
        // Small bodies are there already: then no timer is ever set.
        tokio::time::timeout(self.timeout, reading).await.unwrap_or(Err(BodyError::TimedOut))
    }

    async fn plain<S>(
        &self,
        max_bytes: usize,
        mut pieces: S,
        mut held: Reservation,
    ) -> Result<Body, BodyError>
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    {
        let too_large = BodyError::TooLarge { max: max_bytes };
        let first = next(&mut pieces).await?.unwrap_or_default();
        if first.len() > max_bytes {
            return Err(too_large);
        }
        let Some(second) = next(&mut pieces).await? else {
            // The usual case: one piece, and no copy of it.
            held.cover(first.len()).map_err(|_| BodyError::Overloaded)?;
            return Ok(Body { bytes: first, held });
        };
        let mut buffer = Buffer::new(max_bytes, too_large, held);
        buffer.append(&first)?;
        buffer.append(&second)?;
        drop((first, second));
        while let Some(piece) = next(&mut pieces).await? {
            buffer.append(&piece)?;
        }
        Ok(whole(buffer))
    }

    async fn decoded<S>(
        &self,
        encoding: Encoding,
        mut pieces: S,
        held: Reservation,
    ) -> Result<Body, BodyError>
    where
        S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    {
        let too_large = BodyError::DecompressedTooLarge { max: self.max_bytes };
        let mut decoder = Decoder::new(encoding, Buffer::new(self.max_bytes, too_large, held))?;
        let mut encoded_bytes = 0;
        while let Some(piece) = next(&mut pieces).await? {
            encoded_bytes += piece.len();
            if encoded_bytes > self.max_bytes {
                return Err(BodyError::TooLarge { max: self.max_bytes });
            }
            let mut rest = &piece[..];
            while decoder.step(&mut rest)? {
                if decoder.produced() >= LARGE_BODY_BYTES {
                    let rest = piece.slice_ref(rest);
                    let finish = move || {
                        let taken = decoder.take_in(&rest);
                        (decoder, taken)
                    };
                    let taken;
                    (decoder, taken) = self.large_bodies.run(finish).await;
                    taken?;
                    break;
                }
            }
        }
        if encoded_bytes == 0 {
            // Nothing at all is an empty body, not a broken one.
            return Ok(Body { bytes: Bytes::new(), held: self.budget.open() });
        }
        decoder.finish().map(whole)
    }
}

fn whole(buffer: Buffer) -> Body {
    let (bytes, mut held) = buffer.into_parts();
    // The decoder is gone, with its window.
    held.shrink_to(bytes.capacity());
    Body { bytes: bytes.into(), held }
}

fn announced_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn next<S>(pieces: &mut S) -> Result<Option<Bytes>, BodyError>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    pieces.next().await.transpose().map_err(|_| BodyError::Interrupted)
}

#[cfg(test)]
mod tests;
