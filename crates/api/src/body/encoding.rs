//! Undoing `Content-Encoding` while a body arrives.

use std::io::Write;

use actix_web::http::header::{CONTENT_ENCODING, HeaderMap};
use flate2::write::MultiGzDecoder;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use super::{BodyError, buffer::Buffer};

/// The encodings offered, for the header of a refusal.
pub(crate) const ACCEPT_ENCODING: &str = "gzip, zstd, identity";

/// The largest window a zstd frame may ask for: 2^23 bytes, what RFC 9659 wants every decoder to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How a body is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// Reads the header. At most one encoding is undone: nested ones only serve bombs.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, BodyError> {
        let mut values = headers.get_all(CONTENT_ENCODING);
        let (Some(value), None) = (values.next(), values.next()) else {
            return match headers.contains_key(CONTENT_ENCODING) {
                false => Ok(Self::Identity),
                true => Err(BodyError::UnsupportedEncoding),
            };
        };
        match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
            "identity" => Ok(Self::Identity),
            // RFC 9110 §8.4.1.3: the two names are the same coding.
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(BodyError::UnsupportedEncoding),
        }
    }
}

/// Takes encoded bytes piece by piece and gathers what they stand for.
pub(super) enum Decoder {
    Gzip(MultiGzDecoder<Buffer>),
    Zstd(Zstd),
}

impl Decoder {
    /// A decoder for this encoding into this buffer; `None` for identity.
    pub(super) fn new(encoding: Encoding, into: Buffer) -> Result<Self, BodyError> {
        match encoding {
            Encoding::Zstd => Zstd::new(into).map(Self::Zstd),
            Encoding::Gzip | Encoding::Identity => Ok(Self::Gzip(MultiGzDecoder::new(into))),
        }
    }

    /// Takes some of it, and answers whether there is more to do. One step makes few bytes, however many all of it
    /// stands for: a kilobyte can stand for a megabyte.
    pub(super) fn step(&mut self, encoded: &mut &[u8]) -> Result<bool, BodyError> {
        match self {
            Self::Gzip(decoder) => {
                let taken = decoder.write(encoded);
                let taken =
                    taken.map_err(|_| decoder.get_ref().refused().unwrap_or(BodyError::BadEncoding))?;
                if taken == 0 && !encoded.is_empty() {
                    return Err(BodyError::BadEncoding);
                }
                *encoded = &encoded[taken..];
                Ok(!encoded.is_empty())
            }
            Self::Zstd(decoder) => decoder.step(encoded),
        }
    }

    /// Takes all of it.
    pub(super) fn take_in(&mut self, mut encoded: &[u8]) -> Result<(), BodyError> {
        while self.step(&mut encoded)? {}
        Ok(())
    }

    /// How many bytes there are of the body so far.
    pub(super) fn produced(&self) -> usize {
        match self {
            Self::Gzip(decoder) => decoder.get_ref().len(),
            Self::Zstd(decoder) => decoder.into.len(),
        }
    }

    /// The whole body, if it ended where a body may end.
    pub(super) fn finish(self) -> Result<Buffer, BodyError> {
        match self {
            Self::Gzip(mut decoder) => {
                let ended = decoder.try_finish();
                ended.map_err(|_| decoder.get_ref().refused().unwrap_or(BodyError::BadEncoding))?;
                decoder.finish().map_err(|_| BodyError::BadEncoding)
            }
            Self::Zstd(decoder) => decoder.finish(),
        }
    }
}

/// One or more zstd frames. (The crate's own writer doesn't tell a truncated frame from a whole one.)
pub(super) struct Zstd {
    context: DCtx<'static>,
    scratch: Box<[u8]>,
    into: Buffer,
    is_between_frames: bool,
}

impl Zstd {
    fn new(into: Buffer) -> Result<Self, BodyError> {
        let mut context = DCtx::try_create().ok_or(BodyError::Overloaded)?;
        context
            .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
            .map_err(|_| BodyError::BadEncoding)?;
        let scratch = vec![0; 32 * 1024].into_boxed_slice();
        Ok(Self { context, scratch, into, is_between_frames: true })
    }

    fn step(&mut self, encoded: &mut &[u8]) -> Result<bool, BodyError> {
        let mut input = InBuffer::around(encoded);
        let mut output = OutBuffer::around(&mut self.scratch[..]);
        let hint = self.context.decompress_stream(&mut output, &mut input);
        self.is_between_frames = hint.map_err(|_| BodyError::BadEncoding)? == 0;
        let (taken, produced) = (input.pos(), output.pos());
        self.into.set_overhead(self.context.sizeof() + self.scratch.len());
        self.into.append(&self.scratch[..produced])?;
        *encoded = &encoded[taken..];
        // A full scratch may mean that more is waiting inside, but not behind the end of a frame: asking
        // there would begin another one.
        let is_done = encoded.is_empty() && (self.is_between_frames || produced < self.scratch.len());
        Ok(!is_done)
    }

    fn finish(self) -> Result<Buffer, BodyError> {
        if self.is_between_frames { Ok(self.into) } else { Err(BodyError::BadEncoding) }
    }
}
