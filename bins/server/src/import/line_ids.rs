//! Ids for lines that have none: the same line at the same place among its equals always gets the same id.

use std::collections::HashMap;

/// Counts how often each line has occurred in one file.
///
/// Two requests in the same second look alike, and are two events: the second gets another id. Reading the
/// file again gives the same ids again, so a second import stores nothing. Keeps about 40 bytes per distinct
/// line.
#[derive(Default)]
pub(super) struct LineIds {
    seen: HashMap<[u8; 16], u32>,
}

impl LineIds {
    /// The id of the next line of the file: `line-<128 bits of its hash>-<occurrence>`.
    pub(super) fn next(&mut self, line: &[u8]) -> String {
        let digest = blake3::hash(line);
        let mut key = [0; 16];
        key.copy_from_slice(&digest.as_bytes()[..16]);
        let occurrence = self.seen.entry(key).or_default();
        *occurrence += 1;
        format!("line-{}-{occurrence}", &digest.to_hex()[..32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identical_lines_get_different_ids_and_the_same_ones_next_time() {
        let import = || {
            let mut ids = LineIds::default();
            ["a", "b", "a", "a"].map(|line| ids.next(line.as_bytes()))
        };
        let ids = import();
        assert_eq!(ids, import());
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[2] != ids[3]);
        assert!(ids[0].ends_with("-1") && ids[2].ends_with("-2") && ids[3].ends_with("-3"));
    }

    #[test]
    fn an_id_depends_on_the_line_and_not_on_where_it_stands() {
        let mut first = LineIds::default();
        let mut second = LineIds::default();
        second.next(b"rotated in between");
        assert_eq!(first.next(b"a"), second.next(b"a"));
    }
}
