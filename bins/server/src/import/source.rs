//! Where the bytes come from: a file or standard input, plain or gzip.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 256 * 1024;

/// An opened input, unpacked as it is read.
pub(crate) struct Source {
    reader: Box<dyn BufRead + Send>,
    /// How large the file is on disk; `None` for a pipe.
    pub(super) total_bytes: Option<u64>,
    bytes_read: BytesRead,
}

/// How many bytes of the file, packed as they are, have been read so far.
#[derive(Clone, Default)]
pub(super) struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Self::new(Box::new(io::stdin()), None).context("reading standard input");
        }
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let about = file.metadata().with_context(|| format!("reading {}", path.display()))?;
        anyhow::ensure!(!about.is_dir(), "{} is a directory", path.display());
        let total_bytes = about.is_file().then_some(about.len());
        Self::new(Box::new(file), total_bytes).with_context(|| format!("reading {}", path.display()))
    }

    fn new(raw: Box<dyn Read + Send>, total_bytes: Option<u64>) -> io::Result<Self> {
        let bytes_read = BytesRead::default();
        let mut counted = BufReader::with_capacity(BUFFER_BYTES, Counted { raw, count: bytes_read.clone() });
        let mut head = Vec::new();
        counted.by_ref().take(2).read_to_end(&mut head)?;
        let is_gzip = head == GZIP_MAGIC;
        let whole = Cursor::new(head).chain(counted);
        let reader: Box<dyn BufRead + Send> = if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { reader, total_bytes, bytes_read })
    }

    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::new(Box::new(Cursor::new(bytes.to_vec())), None).expect("memory can be read")
    }

    pub(super) fn bytes_read(&self) -> BytesRead {
        self.bytes_read.clone()
    }

    pub(super) fn into_reader(self) -> Box<dyn BufRead + Send> {
        self.reader
    }
}

struct Counted {
    raw: Box<dyn Read + Send>,
    count: BytesRead,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(buffer)?;
        self.count.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written")
    }

    fn text(source: Source) -> io::Result<String> {
        let mut text = String::new();
        source.into_reader().read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_have_several_members() {
        let rotated_twice = [gzip(b"a\n"), gzip(b"b\n")].concat();
        assert_eq!(text(Source::of(&rotated_twice)).expect("valid gzip"), "a\nb\n");
        for plain in ["", "a", "ab", "abc\n"] {
            assert_eq!(text(Source::of(plain.as_bytes())).expect("plain"), plain);
        }
    }

    #[test]
    fn gzip_that_ends_early_is_an_error_after_what_could_be_read() {
        let packed = gzip(b"a line\n");
        assert!(text(Source::of(&packed[..packed.len() - 4])).is_err());
    }
}
