//! How commands print: for people, or as JSON.

use std::io::{self, Write};

use serde::Serialize;

/// Prints to standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) is_json: bool,
}

impl Output {
    /// Prints what was done: a sentence for people, or the data.
    pub(crate) fn done(self, sentence: &str, data: &impl Serialize) -> io::Result<()> {
        if self.is_json { self.json(data) } else { self.text(sentence) }
    }

    /// Prints a table for people, or a list.
    pub(crate) fn table<T: Serialize, const N: usize>(
        self,
        head: [&str; N],
        rows: &[T],
        cells: impl Fn(&T) -> [String; N],
    ) -> io::Result<()> {
        if self.is_json {
            return self.json(&rows);
        }
        let cells: Vec<[String; N]> = rows.iter().map(cells).collect();
        self.text(&aligned(head, &cells))
    }

    /// Prints names and values for people, or an object.
    pub(crate) fn fields(self, data: &impl Serialize, fields: &[(&str, String)]) -> io::Result<()> {
        if self.is_json {
            return self.json(data);
        }
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
        self.text(&lines.join("\n"))
    }

    /// Prints one line of JSON.
    pub(crate) fn json(self, data: &impl Serialize) -> io::Result<()> {
        self.text(&serde_json::to_string(data)?)
    }

    /// Prints a text and a line ending.
    pub(crate) fn text(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // Whoever read it has seen enough, as `head` does.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            outcome => outcome,
        }
    }
}

/// Columns as wide as their widest cell, without spaces at the ends of lines.
fn aligned<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let rows = [["ä".to_owned(), "1".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(aligned(["SLUG", "N"], &rows), "SLUG  N\nä     1\nlong");
    }
}
