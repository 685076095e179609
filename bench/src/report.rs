//! What comes out, in Markdown.

use std::fmt::Write as _;

use crate::{
    case::{Case, Gate},
    environment::Environment,
    footprint, growth,
    measurement::{Measurement, Traces},
    options::Options,
    pair::{Pair, Results, median, micros, millis},
    pressure, rules, search,
};

/// One line about a pair that has just ended.
pub(crate) fn progress(case: &Case, pair: &Pair) -> String {
    let Pair { yardstick, product } = pair;
    format!(
        "{:<20} product {:>8.0}/s   {:<11} {:>8.0}/s   ratio {:.2}   foreign {}{}",
        case.name,
        product.rate(),
        case.yardstick.name(),
        yardstick.rate(),
        pair.ratio(),
        foreign(pair),
        if pair.is_quiet() { "" } else { "   dropped" }
    )
}

/// One line about rules that were evaluated.
pub(crate) fn progress_of_rules(results: &rules::Results) -> String {
    let costs: Vec<String> = results.ticks.iter().map(|tick| format!("{:.2}", tick.cost())).collect();
    format!("{:<20} processor seconds per tick: {}", results.case.name, costs.join(" "))
}

/// What there is to tell. What was not asked for is left out.
pub(crate) struct Parts {
    pub(crate) cases: Vec<Results>,
    pub(crate) searches: Option<search::Outcome>,
    pub(crate) growth: Option<growth::Outcome>,
    pub(crate) pressure: Option<pressure::Outcome>,
    pub(crate) footprint: Option<footprint::Outcome>,
    pub(crate) rules: Vec<rules::Results>,
}

/// The whole report.
pub(crate) fn write(parts: &Parts, environment: &Environment, options: &Options) -> String {
    let mut text = include_str!("introduction.md").to_owned();
    let of_cases =
        |section: fn(&[Results]) -> String| (!parts.cases.is_empty()).then(|| section(&parts.cases));
    let sections = [
        ("Ratios", of_cases(ratios)),
        ("Gates", of_cases(gates)),
        ("Cost and latency", of_cases(costs)),
        ("Search", parts.searches.as_ref().map(search::write)),
        ("Growth", parts.growth.as_ref().map(growth::write)),
        ("Memory", parts.footprint.as_ref().map(footprint::write)),
        ("Under pressure", parts.pressure.as_ref().map(pressure::write)),
        ("Rules", (!parts.rules.is_empty()).then(|| evaluations(&parts.rules))),
        ("Every pair", of_cases(pairs)),
        ("Environment", Some(surroundings(environment, options))),
    ];
    for (title, section) in sections {
        let Some(section) = section else { continue };
        _ = write!(text, "\n## {title}\n\n{section}");
    }
    text
}

fn ratios(results: &[Results]) -> String {
    let mut table = Table::new(&[
        "case",
        "",
        "product, events/s",
        "yardstick, events/s",
        "",
        "ratio",
        "lowest to highest",
    ]);
    for result in results {
        let case = result.case;
        let range = result.range().map(|(low, high)| format!("{low:.2} to {high:.2}"));
        table.row([
            format!("`{}`", case.name),
            case.title.to_owned(),
            whole(result.median(|pair| pair.product.rate())),
            whole(result.median(|pair| pair.yardstick.rate())),
            case.yardstick.name().to_owned(),
            result.median(Pair::ratio).map_or_else(none, |ratio| format!("**{ratio:.2}**")),
            range.unwrap_or_else(none),
        ]);
    }
    format!("Medians over the pairs that count.\n\n{}", table.text)
}

fn gates(results: &[Results]) -> String {
    let mut table = Table::new(&["case", "what", "reached", "gate", ""]);
    for result in results {
        for gate in result.case.gates {
            let reached = result.reached(*gate);
            let (what, bound, digits) = match gate {
                Gate::Rate(least) => ("rate, as a multiple of the yardstick's", format!("≥ {least:.2}"), 2),
                Gate::P99(most) => ("p99, as a multiple of the yardstick's", format!("≤ {most:.2}"), 2),
                Gate::Cost(most) => {
                    ("processor time, as a multiple of the yardstick's", format!("≤ {most:.2}"), 2)
                }
                Gate::RedisCalls(most) => ("requests to Redis for one event", format!("≤ {most:.3}"), 4),
                Gate::MemoryAtRest(most) => ("memory of the servers at rest, MiB", format!("≤ {most:.0}"), 0),
                Gate::MemoryAtPeak(most) => ("memory of the servers at most, MiB", format!("≤ {most:.0}"), 0),
            };
            table.row([
                format!("`{}`", result.case.name),
                what.to_owned(),
                reached.map_or_else(none, |reached| format!("**{reached:.digits$}**")),
                bound,
                reached.map_or("no quiet pair", |reached| verdict(gate.is_met(reached))).to_owned(),
            ]);
        }
    }
    table.text
}

fn costs(results: &[Results]) -> String {
    let mut table = Table::new(&[
        "case",
        "p50, ms",
        "p99, ms",
        "p99.9, ms",
        "server, µs",
        "database, µs",
        "Redis, µs",
        "yardstick's server, µs",
        "yardstick's database, µs",
        "log, bytes",
        "stored, bytes",
        "memory, MiB",
    ]);
    for result in results {
        let millis = |of: fn(crate::measurement::Latency) -> std::time::Duration| {
            two_digits(result.median_of_some(|pair| millis(&pair.product, of)))
        };
        let micros = |half: fn(&Pair) -> &Measurement, of: fn(crate::measurement::Costs) -> _| {
            one_digit(result.median_of_some(|pair| micros(half(pair), of)))
        };
        let per_event = |of: fn(Traces) -> Option<u64>| {
            whole(
                result.median_of_some(|pair| of(pair.product.traces).map(|all| pair.product.per_event(all))),
            )
        };
        table.row([
            format!("`{}`", result.case.name),
            millis(|latency| latency.p50),
            millis(|latency| latency.p99),
            millis(|latency| latency.p999),
            micros(|pair| &pair.product, |costs| costs.server),
            micros(|pair| &pair.product, |costs| costs.database),
            micros(|pair| &pair.product, |costs| costs.redis),
            micros(|pair| &pair.yardstick, |costs| costs.server),
            micros(|pair| &pair.yardstick, |costs| costs.database),
            per_event(|traces| traces.wal_bytes),
            per_event(|traces| traces.stored_bytes),
            whole(result.median_of_some(|pair| {
                pair.product.traces.memory_at_peak.map(|bytes| bytes as f64 / f64::from(1 << 20))
            })),
        ]);
    }
    format!(
        "Latency is of whole requests, a batch being one. Cost is processor time for one event, of a process and all its children. \
         The log is PostgreSQL's write-ahead log, stored is the table with its indexes, both for one event; memory is \
         the most that the server took. Of two servers, costs and memory are those of both, and a percentile is that of \
         the slower one. \
         With SQLite the product's server and its database are one process; the yardstick's is counted as \
         database, with the making of its rows.\n\n{}",
        table.text
    )
}

fn evaluations(results: &[rules::Results]) -> String {
    let mut table = Table::new(&[
        "case",
        "",
        "server, s",
        "database, s",
        "together, s",
        "lowest to highest",
        "gate",
        "",
        "alerts raised",
        "foreign",
    ]);
    for rules::Results { case, ticks, active_alerts } in results {
        let each = |of: fn(&rules::Tick) -> f64| ticks.iter().map(of).collect::<Vec<f64>>();
        let costs = each(rules::Tick::cost);
        let highest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let lowest = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let cost = median(costs.clone());
        table.row([
            format!("`{}`", case.name),
            case.title.to_owned(),
            two_digits(median(each(|tick| tick.server.as_secs_f64()))),
            two_digits(median(each(|tick| tick.database.as_secs_f64()))),
            cost.map_or_else(none, |cost| format!("**{cost:.2}**")),
            format!("{lowest:.2} to {:.2}", highest(&costs)),
            format!("< {:.2}", rules::GATE),
            verdict(cost.is_some_and(|cost| cost < rules::GATE)).to_owned(),
            whole(Some(*active_alerts as f64)),
            format!("{:.0} %", highest(&each(|tick| tick.foreign)) * 100.0),
        ]);
    }
    format!(
        "Processor time for one tick of 10 s in which 1,000 rules are evaluated over 1,000,000 events of a day: medians \
         over the ticks, of the whole server and the whole of PostgreSQL, with what they do when nothing is due. \
         Foreign: at most.\n\n{}",
        table.text
    )
}

fn pairs(results: &[Results]) -> String {
    let mut table = Table::new(&[
        "case",
        "pair",
        "product, events/s",
        "yardstick, events/s",
        "ratio",
        "p50, ms",
        "p99, ms",
        "p99.9, ms",
        "server, µs",
        "database, µs",
        "foreign",
        "",
    ]);
    for result in results {
        for (index, pair) in result.pairs.iter().enumerate() {
            let Pair { product, yardstick } = pair;
            table.row([
                format!("`{}`", result.case.name),
                (index + 1).to_string(),
                whole(Some(product.rate())),
                whole(Some(yardstick.rate())),
                format!("{:.2}", pair.ratio()),
                two_digits(millis(product, |latency| latency.p50)),
                two_digits(millis(product, |latency| latency.p99)),
                two_digits(millis(product, |latency| latency.p999)),
                one_digit(micros(product, |costs| costs.server)),
                one_digit(micros(product, |costs| costs.database)),
                foreign(pair),
                if pair.is_quiet() { String::new() } else { "dropped".to_owned() },
            ]);
        }
    }
    format!("Foreign: in the yardstick's half, then in the product's.\n\n{}", table.text)
}

fn surroundings(environment: &Environment, options: &Options) -> String {
    let mut table = Table::new(&["", ""]);
    for (name, value) in &environment.0 {
        table.row([(*name).to_owned(), value.clone()]);
    }
    table.row(["command".to_owned(), format!("`{}`", options.command())]);
    table.text
}

fn foreign(pair: &Pair) -> String {
    format!("{:.0} % / {:.0} %", pair.yardstick.foreign * 100.0, pair.product.foreign * 100.0)
}

/// Whether a gate is met, for a cell.
pub(crate) fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**not met**" }
}

pub(crate) fn none() -> String {
    "–".to_owned()
}

pub(crate) fn one_digit(value: Option<f64>) -> String {
    value.map_or_else(none, |value| format!("{value:.1}"))
}

pub(crate) fn two_digits(value: Option<f64>) -> String {
    value.map_or_else(none, |value| format!("{value:.2}"))
}

/// With a comma before each three digits.
pub(crate) fn whole(value: Option<f64>) -> String {
    let Some(value) = value else { return none() };
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) struct Table {
    pub(crate) text: String,
}

impl Table {
    pub(crate) fn new(columns: &[&str]) -> Self {
        let mut table = Self { text: String::new() };
        table.row(columns.iter().map(|column| (*column).to_owned()));
        table.row(columns.iter().map(|_| "---".to_owned()));
        table
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        _ = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_in_groups_of_three() {
        for (value, expected) in [(0.4, "0"), (999.0, "999"), (1_000.0, "1,000"), (1_234_567.8, "1,234,568")]
        {
            assert_eq!(whole(Some(value)), expected);
        }
    }
}
