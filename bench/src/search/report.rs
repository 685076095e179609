//! What is told about searches, in Markdown.

use super::{Outcome, timing::Compared};
use crate::report::{self, Table, none, one_digit, two_digits, whole};

/// What there is besides the questions, for whoever waits.
pub(crate) fn progress(outcome: &Outcome) -> String {
    others(outcome)
}

/// One line about a question, for whoever waits.
pub(crate) fn line(compared: &Compared) -> String {
    let (ratio, ..) = compared.ratios();
    let (question, yardstick) = (compared.question(), compared.yardstick());
    format!(
        "{:<32} p50 {:>8.2} ms   p99 {:>8.2} ms   latest 50: {:>6.2} ms   ratio {ratio:>6.2}   {}",
        compared.name,
        question.millis(50),
        question.millis(99),
        yardstick.millis(50),
        verdict(compared)
    )
}

/// The section of the report.
pub(crate) fn write(outcome: &Outcome) -> String {
    let mut table = Table::new(&["search", "p50, ms", "p99, ms", "ratio", "lowest to highest", "gate", ""]);
    for compared in &outcome.questions {
        let (ratio, lowest, highest) = compared.ratios();
        let question = compared.question();
        table.row([
            match question.given_up() {
                0 => compared.name.to_owned(),
                given_up => format!("{} ({given_up} of {} given up)", compared.name, question.len()),
            },
            two_digits(Some(question.millis(50))),
            two_digits(Some(question.millis(99))),
            format!("**{ratio:.2}**"),
            format!("{lowest:.2} to {highest:.2}"),
            compared.gate.map_or_else(none, |gate| format!("≤ {gate:.0}")),
            verdict(compared).to_owned(),
        ]);
    }
    let mut sizes = Table::new(&["", "MiB", "bytes per event"]);
    for part in &outcome.sizes {
        sizes.row([
            format!("`{}`", part.name),
            whole(Some(part.bytes as f64 / f64::from(1 << 20))),
            one_digit(Some(part.bytes as f64 / outcome.events as f64)),
        ]);
    }
    format!(
        "{} events of 50 tenants, the largest with 14 %, 143,000 a day, in PostgreSQL. Searches are sent one at a \
         time over one connection, of tenant after tenant, for pages of 50; \"of a day\" and every filter above \
         \"all time\" are about another day each time, \"of a week\" about other seven days. Each ratio is of the medians of a turn of one second, against \
         the latest 50 events of the same tenants right before; the middle one of three turns counts.\n\n{}\n{}\n\n{}",
        whole(Some(outcome.events as f64)),
        table.text,
        others(outcome),
        sizes.text
    )
}

fn verdict(compared: &Compared) -> &'static str {
    compared.is_met().map_or("–", report::verdict)
}

fn others(outcome: &Outcome) -> String {
    let load = &outcome.under_load;
    let ratio = load.busy.millis(99) / load.idle.millis(99);
    format!(
        "Export: {} events/s over one connection. A mix of five searches alone: p50 {:.2} ms, p99 {:.2} ms; while {} events/s \
         came in over 64 connections: p50 {:.2} ms, p99 {:.2} ms, {ratio:.1} times as long (gate: ≤ 5, {}).",
        whole(Some(outcome.export)),
        load.idle.millis(50),
        load.idle.millis(99),
        whole(Some(load.rate)),
        load.busy.millis(50),
        load.busy.millis(99),
        report::verdict(ratio <= 5.0)
    )
}
