//! Lines of a log, each within a bound.

use std::io::{self, BufRead, Read};

/// The longest line that is looked at: the largest payload and as much again for the rest.
pub(super) const MAX_LINE_BYTES: usize = 21 * 1024 * 1024;

/// One step through a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The buffer holds a line, without its line ending.
    Whole,
    /// The line is longer than [`MAX_LINE_BYTES`]; it was skipped.
    TooLong,
    /// There are no more.
    End,
}

/// Reads the next line into the buffer, which is emptied first.
pub(super) fn next(reader: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<Line> {
    buffer.clear();
    let limit = MAX_LINE_BYTES as u64 + 1;
    if reader.take(limit).read_until(b'\n', buffer)? == 0 {
        return Ok(Line::End);
    }
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
        buffer.pop_if(|last| *last == b'\r');
    } else if buffer.len() > MAX_LINE_BYTES {
        buffer.clear();
        reader.skip_until(b'\n')?;
        return Ok(Line::TooLong);
    }
    Ok(Line::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_or_without_carriage_return_and_the_last_one_with_nothing() {
        let mut reader: &[u8] = b"a\r\nb\n\nc";
        let mut buffer = Vec::new();
        for expected in ["a", "b", "", "c"] {
            assert_eq!(next(&mut reader, &mut buffer).expect("memory"), Line::Whole);
            assert_eq!(buffer, expected.as_bytes());
        }
        assert_eq!(next(&mut reader, &mut buffer).expect("memory"), Line::End);
    }

    #[test]
    fn a_line_beyond_the_bound_is_skipped_and_the_next_is_read() {
        let mut text = vec![b'x'; MAX_LINE_BYTES + 10];
        text.extend(b"\nnext\n");
        let (mut reader, mut buffer) = (text.as_slice(), Vec::new());
        assert_eq!(next(&mut reader, &mut buffer).expect("memory"), Line::TooLong);
        assert_eq!(next(&mut reader, &mut buffer).expect("memory"), Line::Whole);
        assert_eq!(buffer, b"next");
    }
}
