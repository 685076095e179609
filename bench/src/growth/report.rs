//! What is told about a table that grows, in Markdown.

use super::{A_WEEK, MOST_GROWTH, Outcome, Step, TakenIn};
use crate::{
    measurement::{Costs, Latency},
    pair::{micros, millis},
    report::{Table, none, one_digit, two_digits, verdict, whole},
    search::{Part, Timing},
};

/// The last table of the section, for whoever waits.
pub(crate) fn progress(outcome: &Outcome) -> String {
    medians(&outcome.steps)
}

/// The section of the report.
pub(crate) fn write(outcome: &Outcome) -> String {
    let steps = &outcome.steps;
    format!(
        "One table of 50 tenants, the largest with 14 %, that is filled up to each size and emptied at none: 143,000 \
         events a day, so that more events are more days and not denser ones. At each size it is vacuumed and analysed, \
         and read once, as by those who searched before: the indexes into PostgreSQL's memory, the events into that of the machine. Then it is searched, then more events are taken in, one run of each load; these stay, and come on top of the next \
         size. Each load begins with a checkpoint, so the log has each page it touches first as a whole. The sizes are \
         many minutes apart, and a machine may be a third faster or slower by then. So the last column has growth without \
         the machine's part: that of the ratio to `latest 50`, which was asked for right before, at each size.\n\n\
         Taking events of all tenants in:\n\n{}\n\
         On the disk, in MiB:\n\n{}\n\
         99th percentiles of searches, in ms:\n\n{}\n\
         Medians of searches, in ms, and how they grew {}:\n\n{}",
        ingestion(steps),
        disk(steps),
        percentiles(steps),
        match &steps[..] {
            [.., before, last] => format!(
                "from {} events to {}",
                whole(Some(before.events as f64)),
                whole(Some(last.events as f64))
            ),
            _ => "(there is only one size)".to_owned(),
        },
        medians(steps)
    )
}

fn ingestion(steps: &[Step]) -> String {
    let mut table = Table::new(&[
        "load",
        "events before",
        "events/s",
        "p50, ms",
        "p99, ms",
        "p99.9, ms",
        "server, µs",
        "database, µs",
        "log, bytes",
        "foreign",
    ]);
    let loads = steps.first().map_or(0, |step| step.taken_in.len());
    for load in 0..loads {
        for step in steps {
            table.row(taken_in(step, load));
        }
    }
    table.text
}

/// The row of a load at a size.
fn taken_in(step: &Step, load: usize) -> Vec<String> {
    let TakenIn { title, outcome } = &step.taken_in[load];
    let earlier = step.taken_in[..load].iter().filter_map(|earlier| earlier.outcome.as_ref().ok());
    let before = step.stored + earlier.map(|measurement| measurement.tally.events).sum::<u64>();
    let mut cells = vec![(*title).to_owned(), whole(Some(before as f64))];
    match outcome {
        Ok(measurement) => {
            let millis = |of: fn(Latency) -> _| two_digits(millis(measurement, of));
            let micros = |of: fn(Costs) -> _| one_digit(micros(measurement, of));
            let log = measurement.traces.wal_bytes.map(|bytes| measurement.per_event(bytes));
            cells.extend([
                whole(Some(measurement.rate())),
                millis(|latency| latency.p50),
                millis(|latency| latency.p99),
                millis(|latency| latency.p999),
                micros(|costs| costs.server),
                micros(|costs| costs.database),
                whole(log),
                format!("{:.0} %", measurement.foreign * 100.0),
            ]);
        }
        Err(problem) => {
            cells.push(format!("**failed**: {}", problem.replace('\n', " ").replace('|', "\\|")));
            cells.extend((0..7).map(|_| none()));
        }
    }
    cells
}

fn disk(steps: &[Step]) -> String {
    let mut table = headed("", steps, |step| format!("{} events", whole(Some(step.stored as f64))), &[]);
    let mebibytes = |bytes: u64| whole(Some(bytes as f64 / f64::from(1 << 20)));
    let names: Vec<&str> =
        steps.last().into_iter().flat_map(|step| &step.parts).map(|part| &*part.name).collect();
    for name in names {
        let of = |step: &Step| step.parts.iter().find(|part| part.name == name).map(|part| part.bytes);
        let cells = steps.iter().map(|step| of(step).map_or_else(none, mebibytes));
        table.row([format!("`{name}`")].into_iter().chain(cells));
    }
    let sum = |step: &Step| step.parts.iter().map(|Part { bytes, .. }| bytes).sum::<u64>();
    table.row(["together".to_owned()].into_iter().chain(steps.iter().map(|step| mebibytes(sum(step)))));
    let each = steps.iter().map(|step| whole(Some(sum(step) as f64 / step.stored as f64)));
    table.row(["bytes per event".to_owned()].into_iter().chain(each));
    let exports = steps.iter().map(|step| whole(Some(step.export)));
    table.row(["export, events/s".to_owned()].into_iter().chain(exports));
    table.text
}

fn percentiles(steps: &[Step]) -> String {
    let mut table = headed("search", steps, size, &[]);
    for question in questions(steps) {
        let cells = question.timings.iter().map(|timing| cell(timing, 99));
        table.row([question.name.to_owned()].into_iter().chain(cells));
    }
    table.text
}

fn medians(steps: &[Step]) -> String {
    let mut table = headed("search", steps, size, &["growth", "gate", "", "beside `latest 50`"]);
    let is_comparable = steps.len() > 1 && steps[steps.len() - 2].events >= A_WEEK;
    for question in questions(steps) {
        let growth = question.growth();
        let is_gated = question.is_of_days && is_comparable;
        let cells = question.timings.iter().map(|timing| cell(timing, 50));
        table.row([question.name.to_owned()].into_iter().chain(cells).chain([
            growth.map_or_else(none, |growth| format!("**{growth:.2}**")),
            if is_gated { format!("≤ {MOST_GROWTH:.1}") } else { none() },
            match growth {
                Some(growth) if is_gated => {
                    let is_answered = question.timings.iter().all(|timing| timing.given_up() == 0);
                    verdict(growth <= MOST_GROWTH && is_answered).to_owned()
                }
                _ => none(),
            },
            two_digits(question.growth_beside()),
        ]));
    }
    table.text
}

/// One question at each size.
struct Grown {
    name: &'static str,
    is_of_days: bool,
    timings: Vec<Timing>,
    /// To the latest 50 in the same turns.
    ratios: Vec<f64>,
}

impl Grown {
    /// From the last size but one to the last, of the medians.
    fn growth(&self) -> Option<f64> {
        let [.., before, last] = &self.timings[..] else { return None };
        Some(last.millis(50) / before.millis(50))
    }

    /// The same of the ratios to the latest 50, in which the machine has no part.
    fn growth_beside(&self) -> Option<f64> {
        let [.., before, last] = self.ratios[..] else { return None };
        Some(last / before)
    }
}

/// The yardstick first, then everything in the order it was asked.
fn questions(steps: &[Step]) -> Vec<Grown> {
    let latest = |step: &Step| {
        step.questions.iter().fold(Timing::default(), |mut all, compared| {
            all.extend(compared.yardstick());
            all
        })
    };
    let yardstick = Grown {
        name: "latest 50",
        is_of_days: false,
        timings: steps.iter().map(latest).collect(),
        ratios: vec![1.0; steps.len()],
    };
    let asked = steps.first().map_or(&[][..], |step| &step.questions);
    let others = asked.iter().enumerate().map(|(place, compared)| Grown {
        name: compared.name,
        is_of_days: compared.is_of_days,
        timings: steps.iter().map(|step| step.questions[place].question()).collect(),
        ratios: steps.iter().map(|step| step.questions[place].ratios().0).collect(),
    });
    [yardstick].into_iter().chain(others).collect()
}

/// A table with a column for each size.
fn headed(first: &str, steps: &[Step], head: fn(&Step) -> String, last: &[&str]) -> Table {
    let sizes: Vec<String> = steps.iter().map(head).collect();
    let columns: Vec<&str> =
        [first].into_iter().chain(sizes.iter().map(String::as_str)).chain(last.iter().copied()).collect();
    Table::new(&columns)
}

fn size(step: &Step) -> String {
    format!("{} events", whole(Some(step.events as f64)))
}

fn cell(timing: &Timing, percent: usize) -> String {
    let millis = two_digits(Some(timing.millis(percent)));
    match timing.given_up() {
        0 => millis,
        given_up => format!("{millis} ({given_up} of {} given up)", timing.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Compared;

    fn steps(sizes: [u64; 2], medians: [u64; 2]) -> Vec<Step> {
        let step = |(events, millis)| {
            let mut day = Compared::of_a_day("day");
            day.add(Timing::of_millis(2), Timing::of_millis(millis));
            let mut page = Compared::page("page");
            page.add(Timing::of_millis(2), Timing::of_millis(millis));
            Step {
                events,
                stored: events,
                questions: vec![day, page],
                export: 1_000.0,
                parts: Vec::new(),
                taken_in: vec![TakenIn { title: "load", outcome: Err("a | b".to_owned()) }],
            }
        };
        sizes.into_iter().zip(medians).map(step).collect()
    }

    fn row<'a>(table: &'a str, name: &str) -> &'a str {
        table.lines().find(|line| line.starts_with(&format!("| {name} |"))).unwrap()
    }

    #[test]
    fn only_questions_about_days_have_a_gate_and_only_from_a_week_on() {
        let table = medians(&steps([1_000_000, 10_000_000], [4, 6]));
        assert_eq!(row(&table, "day"), "| day | 4.00 | 6.00 | **1.50** | ≤ 1.5 | met | 1.50 |");
        assert_eq!(row(&table, "page"), "| page | 4.00 | 6.00 | **1.50** | – | – | 1.50 |");
        assert_eq!(row(&table, "latest 50"), "| latest 50 | 2.00 | 2.00 | **1.00** | – | – | 1.00 |");
        assert!(
            row(&medians(&steps([1_000_000, 10_000_000], [4, 7])), "day").ends_with("**not met** | 1.75 |")
        );
        assert!(
            row(&medians(&steps([100_000, 1_000_000], [4, 7])), "day").ends_with("**1.75** | – | – | 1.75 |")
        );
    }

    #[test]
    fn a_load_that_failed_keeps_its_row() {
        let outcome = Outcome { steps: steps([1_000_000, 10_000_000], [4, 6]) };
        assert!(write(&outcome).contains("| load | 1,000,000 | **failed**: a \\| b | – |"));
    }
}
