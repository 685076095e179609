//! Where in PostgreSQL's answers the end of an insert is told.
//!
//! An insert is its own transaction. It answers with one row that has one column, the ids of the rows it has made, and no
//! other statement answers so. Its `CommandComplete` leaves the server together with the end of the transaction: whoever
//! loses that message has committed rows and an insert without an answer.

use std::ops::Range;

/// Tag and length of a message.
const HEAD: usize = 5;
/// Enough of a message to tell what it completes.
const KEPT: usize = 18;
/// The number of columns of a row, as it is in `DataRow`.
const ONE_COLUMN: &[u8] = &[0, 1];
/// An array of one dimension, with whatever flags, whose elements are of the type `uuid`; behind the length of the column.
const ONE_DIMENSION: &[u8] = &[0, 0, 0, 1];
const OF_UUID: &[u8] = &2950_u32.to_be_bytes();

/// Reads along on one connection, from the server's first byte on. There must be no TLS.
#[derive(Default, Debug)]
pub struct CommitFinder {
    head: Vec<u8>,
    body: Vec<u8>,
    body_left: usize,
    /// Whether the last row had ids of rows that were made.
    has_made_rows: bool,
}

impl CommitFinder {
    /// Reads what comes next, up to the end of the first message that completes an insert of at least one row.
    /// Answers where in it that message is; from 0 on, when it began before.
    pub fn read(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        let (mut at, mut begun) = (0, 0);
        while at < bytes.len() {
            if self.head.len() < HEAD {
                if self.head.is_empty() {
                    begun = at;
                    self.body.clear();
                }
                self.head.push(bytes[at]);
                at += 1;
                if self.head.len() < HEAD {
                    continue;
                }
                let length = u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]);
                // The length counts itself.
                self.body_left = (length as usize).saturating_sub(4);
            } else {
                let taken = self.body_left.min(bytes.len() - at);
                let kept = taken.min(KEPT - self.body.len().min(KEPT));
                self.body.extend_from_slice(&bytes[at..at + kept]);
                self.body_left -= taken;
                at += taken;
            }
            if self.body_left == 0 {
                let tag = self.head[0];
                self.head.clear();
                match tag {
                    b'D' => self.has_made_rows = is_list_of_ids(&self.body),
                    b'C' if std::mem::take(&mut self.has_made_rows) => return Some(begun..at),
                    _ => {}
                }
            }
        }
        None
    }
}

/// Whether a row has one column, with at least one id. Without any the column is null.
fn is_list_of_ids(row: &[u8]) -> bool {
    row.starts_with(ONE_COLUMN) && row.get(6..10) == Some(ONE_DIMENSION) && row.get(14..18) == Some(OF_UUID)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut message = vec![tag];
        message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
        message.extend_from_slice(body);
        message
    }

    /// A row with one column of so many ids, or with null.
    fn ids(count: usize) -> Vec<u8> {
        let mut column =
            [ONE_DIMENSION, &[0; 4], OF_UUID, &(count as u32).to_be_bytes(), &[0, 0, 0, 1]].concat();
        (0..count).for_each(|_| column.extend([&[0, 0, 0, 16][..], &[7; 16]].concat()));
        match count {
            0 => message(b'D', &[ONE_COLUMN, &[255; 4]].concat()),
            _ => message(b'D', &[ONE_COLUMN, &(column.len() as u32).to_be_bytes(), &column].concat()),
        }
    }

    #[test]
    fn the_end_of_an_insert_is_found_however_it_is_cut() {
        let done = message(b'C', b"SELECT 1\0");
        let number = message(b'D', &[ONE_COLUMN, &[0, 0, 0, 8], &[0; 8]].concat());
        let looked = [message(b'R', &[0; 40]), number, done.clone(), message(b'2', b"")].concat();
        let nothing_new = [ids(0), done.clone()].concat();
        let before = [looked, nothing_new, ids(3)].concat();
        let all = [before.clone(), done.clone(), message(b'Z', b"I")].concat();
        let (at, end) = (before.len(), before.len() + done.len());

        assert_eq!(CommitFinder::default().read(&all), Some(at..end));
        for size in 1..all.len() {
            let mut finder = CommitFinder::default();
            let mut offset = 0;
            let found = all.chunks(size).find_map(|part| {
                let found = finder.read(part).map(|place| offset + place.end);
                offset += part.len();
                found
            });
            assert_eq!(found, Some(end), "in parts of {size}");
        }
        assert_eq!(CommitFinder::default().read(&before), None);
    }
}
