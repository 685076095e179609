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

    pub(super) fn feed(&mut self, encoded: &[u8]) -> Result<(), BodyError> {
        match self {
            Self::Gzip(decoder) => {
                let written = decoder.write_all(encoded);
                written.map_err(|_| decoder.get_ref().refused().unwrap_or(BodyError::BadEncoding))
            }
            Self::Zstd(decoder) => decoder.feed(encoded),
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

    fn feed(&mut self, encoded: &[u8]) -> Result<(), BodyError> {
        let mut input = InBuffer::around(encoded);
        loop {
            let mut output = OutBuffer::around(&mut self.scratch[..]);
            let hint = self.context.decompress_stream(&mut output, &mut input);
            self.is_between_frames = hint.map_err(|_| BodyError::BadEncoding)? == 0;
            let is_used_up = input.pos() == encoded.len();
            let produced = output.pos();
            self.into.set_overhead(self.context.sizeof() + self.scratch.len());
            self.into.append(&self.scratch[..produced])?;
            // A full scratch may mean that more is waiting inside, but not behind the end of a frame: asking
            // there would begin another one.
            if is_used_up && (self.is_between_frames || produced < self.scratch.len()) {
                return Ok(());
            }
        }
    }

    fn finish(self) -> Result<Buffer, BodyError> {
        if self.is_between_frames { Ok(self.into) } else { Err(BodyError::BadEncoding) }
    }
}
