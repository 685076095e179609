//! A JSON array, one item at a time and without holding the whole of it.
//!
//! Items are told apart by brackets and quotes alone and are parsed on their own afterwards, so a bad item
//! does not spoil its neighbours.

use std::io::{self, BufRead};

use super::lines::MAX_LINE_BYTES;

/// A place in an array.
pub(super) struct Items<R> {
    reader: R,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    After,
    Done,
}

/// One step through an array.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The bytes of an item, perhaps none, with white space around.
    Whole(Vec<u8>),
    /// The item is longer than [`MAX_LINE_BYTES`]; it was skipped.
    TooLong,
    /// What follows can't be told apart into items.
    Broken(&'static str),
    /// There are no more.
    End,
}

impl<R: BufRead> Items<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, state: State::Before }
    }

    /// The next item. After [`Item::Broken`] there is only [`Item::End`].
    pub(super) fn next(&mut self) -> io::Result<Item> {
        if self.state == State::Before {
            match self.next_visible()? {
                Some(b'[') => self.state = State::Inside,
                _ => return Ok(self.broken("it does not start with [")),
            }
        }
        if self.state == State::Inside
            && let Some(item) = self.item()?
        {
            return Ok(item);
        }
        if self.state == State::After && self.next_visible()?.is_some() {
            return Ok(self.broken("something follows the array"));
        }
        self.state = State::Done;
        Ok(Item::End)
    }

    /// What stands before the next comma or the end; `None` when nothing stands before the end.
    fn item(&mut self) -> io::Result<Option<Item>> {
        let mut item = Vec::new();
        let (mut depth, mut in_text, mut is_escaped, mut is_too_long) = (0_u32, false, false, false);
        while let Some(byte) = self.byte()? {
            if in_text {
                match byte {
                    _ if is_escaped => is_escaped = false,
                    b'\\' => is_escaped = true,
                    b'"' => in_text = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => in_text = true,
                    b'{' | b'[' => depth += 1,
                    b',' if depth == 0 => return Ok(Some(whole(item, is_too_long))),
                    b']' if depth == 0 => {
                        self.state = State::After;
                        let is_empty = item.trim_ascii().is_empty();
                        return Ok((!is_empty).then(|| whole(item, is_too_long)));
                    }
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            if item.len() < MAX_LINE_BYTES {
                item.push(byte);
            } else {
                is_too_long = true;
            }
        }
        Ok(Some(self.broken("the array does not end")))
    }

    fn broken(&mut self, why: &'static str) -> Item {
        self.state = State::Done;
        Item::Broken(why)
    }

    fn next_visible(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.byte()? {
                Some(byte) if byte.is_ascii_whitespace() => {}
                other => return Ok(other),
            }
        }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let first = self.reader.fill_buf()?.first().copied();
        if first.is_some() {
            self.reader.consume(1);
        }
        Ok(first)
    }
}

fn whole(item: Vec<u8>, is_too_long: bool) -> Item {
    if is_too_long { Item::TooLong } else { Item::Whole(item) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<String> {
        let mut items = Items::new(text.as_bytes());
        let mut found = Vec::new();
        loop {
            match items.next().expect("memory") {
                Item::End => return found,
                Item::Whole(item) => found.push(String::from_utf8_lossy(&item).trim().to_owned()),
                Item::TooLong => found.push("too long".to_owned()),
                Item::Broken(why) => found.push(why.to_owned()),
            }
        }
    }

    #[test]
    fn items_are_told_apart_whatever_is_inside_them() {
        assert_eq!(
            items(r#" [ {"a":[1,2]} , {"b":"],\"}"} , 3 ] "#),
            [r#"{"a":[1,2]}"#, r#"{"b":"],\"}"}"#, "3"]
        );
        assert_eq!(items("[]"), [""; 0]);
        assert_eq!(items("[ \n ]\n"), [""; 0]);
    }

    #[test]
    fn a_bad_item_leaves_its_neighbours_alone() {
        assert_eq!(items("[{}, oops, {\"a\":1}]"), ["{}", "oops", "{\"a\":1}"]);
        assert_eq!(items("[{},,{}]"), ["{}", "", "{}"]);
    }

    #[test]
    fn an_array_that_ends_early_says_so_after_its_last_whole_item() {
        assert_eq!(items("[{},{\"a\":"), ["{}", "the array does not end"]);
        assert_eq!(items("{}"), ["it does not start with ["]);
        assert_eq!(items(""), ["it does not start with ["]);
        assert_eq!(items("[] x"), ["something follows the array"]);
        assert_eq!(items("[{}]\n[{}]"), ["{}", "something follows the array"]);
        assert_eq!(items("[{},]"), ["{}"]);
    }
}
