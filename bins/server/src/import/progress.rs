//! The progress bar of an import: on a terminal only, and on standard error.

use indicatif::{ProgressBar, ProgressStyle};

use super::source::Source;

/// A bar over the bytes of a file, or a count of bytes for a pipe. Invisible when nobody watches.
pub(super) fn bar(source: &Source) -> ProgressBar {
    // Drawing to a standard error that is no terminal is left out by the library itself.
    let (bar, template) = match source.total_bytes {
        Some(total) => (
            ProgressBar::new(total),
            "{bar:30} {percent:>3}%  {binary_bytes} of {binary_total_bytes}  {msg}  {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {binary_bytes}  {msg}  {elapsed}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is fixed and valid"))
}
