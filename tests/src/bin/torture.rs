//! Everything broken on purpose, and what was lost counted: see `docs/dependability.md`.

use std::{
    io,
    panic::AssertUnwindSafe,
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, Subcommand};
use futures_util::FutureExt;
use pulsestream_tests::{
    binary,
    torture::{
        Wish, experiments,
        figures::{Figures, write_into},
        mutants::CAUGHT_BY,
        report::Report,
    },
};
use tokio::time::timeout;

/// The longest that an experiment may take, beside the random faults that were asked for. After long ones there is much to
/// send again and to compare.
const CAP: Duration = Duration::from_secs(900);
/// Where the figures of the last run are.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/dependability.md");

/// Breaks everything on purpose and counts what was lost.
#[derive(Parser, Debug)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    /// What every choice follows from; a new one each time without it.
    #[arg(long, global = true)]
    seed: Option<u64>,
    /// A short form of everything: a few minutes.
    #[arg(long)]
    short: bool,
    /// How long each kind of cluster is under random faults (T1b).
    #[arg(long)]
    minutes: Option<u64>,
    /// Only experiments, or mutants, whose names begin with one of these: `--only T1a,T3`.
    #[arg(long, global = true, value_delimiter = ',')]
    only: Vec<String>,
    /// Write the figures into docs/dependability.md.
    #[arg(long)]
    write: bool,
    /// Say what breaks when it does.
    #[arg(long)]
    verbose: bool,
    /// The server does this wrong, by a name of the sabotage crate.
    #[arg(long)]
    mutant: Option<String>,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// Says what experiments there are.
    List,
    /// Has every mutant caught by the experiment that has to.
    Mutants,
}

#[tokio::main(worker_threads = 8)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Task::List) => {
            experiments::all()
                .iter()
                .for_each(|experiment| println!("{:14} {}", experiment.name, experiment.about));
            ExitCode::SUCCESS
        }
        Some(Task::Mutants) => mutants(&arguments),
        None => run(&arguments).await,
    }
}

async fn run(arguments: &Arguments) -> ExitCode {
    // One line: the text of a failure, which is all that matters of it here.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("a panic without a text");
        println!("      FAILED {text:.400} at {place}");
    }));
    if let Some(mutant) = &arguments.mutant {
        binary::be_mutant(mutant);
    }
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let random_faults = arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let wish = Wish { seed, is_short: arguments.short, is_verbose: arguments.verbose, random_faults };
    println!("seed {seed}");
    let is_wanted = |name: &str| {
        arguments.only.is_empty() || arguments.only.iter().any(|only| name.starts_with(only.as_str()))
    };
    let (mut passed, mut failed, mut left_out, begun) = (0, Vec::new(), Vec::new(), Instant::now());
    let mut figures = Figures::default();
    for experiment in experiments::all().iter().filter(|experiment| is_wanted(experiment.name)) {
        println!("{}: {}", experiment.name, experiment.about);
        let begun = Instant::now();
        // A harness that can't go on says so by a panic, and so does a server that ends badly.
        let running = AssertUnwindSafe(experiment.run(wish)).catch_unwind();
        let report = match timeout(CAP + random_faults.unwrap_or_default(), running).await {
            Ok(Ok(report)) => report,
            Ok(Err(_)) => broken("the harness or a server panicked"),
            Err(_) => broken("it hangs"),
        };
        print!("{report}");
        let verdict = match (report.failures(), report.left_out()) {
            ([_, ..], _) => {
                failed.push(experiment.name);
                "FAILED"
            }
            ([], Some(_)) => {
                left_out.push(experiment.name);
                "LEFT OUT"
            }
            ([], None) => {
                passed += 1;
                "passed"
            }
        };
        println!("   {verdict} in {:.1} s", begun.elapsed().as_secs_f64());
        figures.add(experiment.name, report);
    }
    let table = figures.table(seed);
    println!("\n{table}");
    if arguments.write {
        match write_into(Path::new(DOCUMENT), &table) {
            Ok(()) => println!("written into {DOCUMENT}"),
            Err(error) => failed.push(error_writing(&error)),
        }
    }
    println!(
        "{passed} passed, {} failed {failed:?}, {} left out {left_out:?}, seed {seed}, {:.0} s",
        failed.len(),
        left_out.len(),
        begun.elapsed().as_secs_f64()
    );
    if failed.is_empty() && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The report of an experiment that came to none.
fn broken(why: &str) -> Report {
    let mut report = Report::default();
    report.expect(false, || why.to_owned());
    report
}

fn error_writing(error: &io::Error) -> &'static str {
    println!("      FAILED writing the figures: {error}");
    "writing"
}

/// Each in a process of its own, which has to fail.
fn mutants(arguments: &Arguments) -> ExitCode {
    let seed = arguments.seed.unwrap_or_else(fresh_seed).to_string();
    let is_wanted = |name: &str| {
        arguments.only.is_empty() || arguments.only.iter().any(|only| name.starts_with(only.as_str()))
    };
    let (mut caught, mut all) = (0, 0);
    for (mutant, experiment) in CAUGHT_BY.iter().filter(|(mutant, _)| is_wanted(mutant)) {
        let program = std::env::current_exe().expect("a program has a path");
        let mut command = Command::new(program);
        command.args(["--short", "--seed", &seed, "--mutant", mutant, "--only", experiment]);
        let output = command.stdin(Stdio::null()).output().expect("it is this program");
        let said = String::from_utf8_lossy(&output.stdout);
        let is_caught = !output.status.success();
        let why = said.lines().find(|line| line.contains("FAILED")).unwrap_or("").trim();
        println!("{} {mutant} by {experiment}: {:.150}", if is_caught { "caught" } else { "MISSED" }, why);
        caught += usize::from(is_caught);
        all += 1;
    }
    println!("{caught}/{all} mutants caught, seed {seed}");
    if caught == all && all > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "each run without a seed is to be another one")]
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(since.subsec_nanos()) ^ since.as_secs()
}
