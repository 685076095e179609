//! Where in PostgreSQL's answers the end of an insert is told.
//!
//! An insert is its own transaction, and its `CommandComplete` leaves the server together with the end of the
//! transaction. Whoever loses that message has committed rows and an insert without an answer.

use std::ops::Range;

/// Tag and length of a message.
const HEAD: usize = 5;
/// Enough of a message to tell what it completes.
const KEPT: usize = 16;

/// Reads along on one connection, from the server's first byte on. There must be no TLS.
#[derive(Default, Debug)]
pub struct CommitFinder {
    head: Vec<u8>,
    body: Vec<u8>,
    body_left: usize,
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
                let completes = self.head[0] == b'C'
                    && self.body.strip_prefix(b"INSERT 0 ").is_some_and(|rows| rows.first() != Some(&b'0'));
                self.head.clear();
                if completes {
                    return Some(begun..at);
                }
            }
        }
        None
    }
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

    #[test]
    fn the_end_of_an_insert_is_found_however_it_is_cut() {
        let before = [message(b'R', &[0; 40]), message(b'C', b"SELECT 5\0"), message(b'2', b"")].concat();
        let none = message(b'C', b"INSERT 0 0\0");
        let commit = message(b'C', b"INSERT 0 12\0");
        let commit_length = commit.len();
        let all = [before.clone(), none.clone(), commit, message(b'Z', b"I")].concat();
        let at = before.len() + none.len();

        assert_eq!(CommitFinder::default().read(&all), Some(at..at + commit_length));
        for size in 1..all.len() {
            let mut finder = CommitFinder::default();
            let mut offset = 0;
            let found = all.chunks(size).find_map(|part| {
                let found = finder.read(part).map(|place| offset + place.end);
                offset += part.len();
                found
            });
            assert_eq!(found, Some(at + commit_length), "in parts of {size}");
        }
        assert_eq!(CommitFinder::default().read(&[before, none].concat()), None);
    }
}
