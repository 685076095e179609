//! The figures of a run as a table for `docs/dependability.md`.

use std::{
    fmt::Write as _,
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::report::Report;

const BEGIN: &str = "<!-- figures of the last run: begin -->";
const END: &str = "<!-- figures of the last run: end -->";

/// What a run came to.
#[derive(Default, Debug)]
pub struct Figures {
    experiments: Vec<(&'static str, Report)>,
}

impl Figures {
    /// Adds those of an experiment.
    pub fn add(&mut self, name: &'static str, report: Report) {
        self.experiments.push((name, report));
    }

    /// All of them, below what the run was: its command, commit, date, seed and machine.
    pub fn table(&self, seed: u64) -> String {
        let mut table = String::new();
        let mut line = |text: &str| writeln!(table, "{text}").expect("a text takes any text");
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        line(&format!(
            "`just torture {}`, seed {seed}, commit {}, {}, a {build} build on {cores} cores:",
            arguments.join(" "),
            commit(),
            today()
        ));
        line("");
        line("| experiment | figure | value |");
        line("|---|---|---|");
        for (name, report) in &self.experiments {
            for (figure, value) in report.figures() {
                line(&format!("| {name} | {} | {} |", cell(figure), cell(value)));
            }
            for failure in report.failures() {
                line(&format!("| {name} | **failed** | {} |", cell(failure)));
            }
            if let Some(why) = report.left_out() {
                line(&format!("| {name} | **left out** | {} |", cell(why)));
            }
        }
        table
    }
}

/// Puts a table into a document, in place of the one between its markers.
///
/// # Errors
/// When the document can't be read or written, or has no markers.
pub fn write_into(document: &Path, table: &str) -> io::Result<()> {
    let text = fs::read_to_string(document)?;
    fs::write(document, replaced(&text, table).ok_or_else(|| io::Error::other("it has no markers"))?)
}

fn replaced(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{table}\n{END}{after}"))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The commit that is checked out, with a word when the files are not its own.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::null());
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=10", "HEAD"]) else { return "unknown".to_owned() };
    let is_changed =
        git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|list| !list.is_empty());
    if is_changed { format!("{commit} with changes") } else { commit }
}

#[expect(clippy::disallowed_methods, reason = "a figure is of a day")]
fn today() -> String {
    let now = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    now.split('T').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_takes_the_place_of_the_one_before() {
        let text = format!("a\n{BEGIN}\nold\n{END}\nz\n");
        let once = replaced(&text, "new\n").expect("there are markers");
        assert_eq!(once, format!("a\n{BEGIN}\n\nnew\n\n{END}\nz\n"));
        assert_eq!(replaced(&once, "new\n"), Some(once.clone()));
        assert_eq!(replaced("nothing", "new"), None);
    }

    #[test]
    fn failures_are_in_the_table() {
        let mut report = Report::default();
        report.figure("a|b", 1);
        report.expect(false, || "it broke".to_owned());
        let mut figures = Figures::default();
        figures.add("T0", report);
        let table = figures.table(7);
        assert!(
            table.contains("| T0 | a\\|b | 1 |") && table.contains("| T0 | **failed** | it broke |"),
            "{table}"
        );
        assert!(table.contains("seed 7"), "{table}");
    }
}
