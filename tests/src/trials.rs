//! From async functions to the trials of a run: names, time caps, timings.

use std::{
    any::Any,
    cell::RefCell,
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    process,
    sync::{LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use libtest_mimic::{Failed, Trial};
use tokio::{runtime::Runtime, time::timeout};

use crate::{Combination, canary, shared};

/// How long a trial may take unless it asks for more.
pub const DEFAULT_CAP: Duration = Duration::from_secs(60);

/// How long a trial may outlive its cap before the whole run is given up: something holds every thread there is.
const GRACE: Duration = Duration::from_secs(120);

/// How many are named at the end.
const SLOWEST: usize = 10;

/// The runtime of every trial. Harness code may block a thread for a moment, hence more than the cores.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(16).enable_all().build().expect("a process can have one more event loop")
});

/// When a trial that is under way should have ended at the latest.
static RUNNING: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

static TIMINGS: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The trials of a list of `async fn(Combination)`, each on all four combinations.
#[macro_export]
macro_rules! on_all_four {
    ($($test:ident),* $(,)?) => {
        $crate::on_all_four!(within $crate::trials::DEFAULT_CAP; $($test),*)
    };
    (within $cap:expr; $($test:ident),* $(,)?) => {
        $crate::on_some!(&$crate::Combination::ALL, within $cap; $($test),*)
    };
}

/// The trials of a list of `async fn(Combination)`, each on some combinations.
#[macro_export]
macro_rules! on_some {
    ($combinations:expr, within $cap:expr; $($test:ident),* $(,)?) => {
        [$($crate::trials::on($combinations, module_path!(), stringify!($test), $cap, $test)),*]
            .into_iter()
            .flatten()
            .collect::<Vec<$crate::Trial>>()
    };
}

/// The trials of a list of `async fn()`, for what does not depend on a combination.
#[macro_export]
macro_rules! once {
    ($($test:ident),* $(,)?) => {
        vec![$($crate::trials::once(module_path!(), stringify!($test), $crate::trials::DEFAULT_CAP, $test)),*]
    };
}

/// One trial per combination, named `module::name::combination`.
pub fn on_each_combination<F, Answer>(module: &str, name: &str, cap: Duration, test: F) -> Vec<Trial>
where
    F: Fn(Combination) -> Answer + Clone + Send + 'static,
    Answer: Future<Output = ()> + Send + 'static,
{
    on(&Combination::ALL, module, name, cap, test)
}

/// One trial for each of these combinations.
pub fn on<F, Answer>(
    combinations: &[Combination],
    module: &str,
    name: &str,
    cap: Duration,
    test: F,
) -> Vec<Trial>
where
    F: Fn(Combination) -> Answer + Clone + Send + 'static,
    Answer: Future<Output = ()> + Send + 'static,
{
    let trial = |combination: &Combination| {
        let (test, combination) = (test.clone(), *combination);
        once(module, &format!("{name}::{combination}"), cap, move || test(combination))
    };
    combinations.iter().map(trial).collect()
}

/// One trial that does not depend on a combination, named `module::name`.
pub fn once<F, Answer>(module: &str, name: &str, cap: Duration, test: F) -> Trial
where
    F: FnOnce() -> Answer + Send + 'static,
    Answer: Future<Output = ()> + Send + 'static,
{
    let module = module.split_once("::").map_or(module, |(_crate, path)| path);
    let name = format!("{module}::{name}");
    Trial::test(name.clone(), move || {
        let started = Instant::now();
        RUNNING.lock().expect("no holder panics").insert(name.clone(), started + cap + GRACE);
        let outcome = run(cap, async move { test().await });
        RUNNING.lock().expect("no holder panics").remove(&name);
        TIMINGS.lock().expect("no holder panics").push((started.elapsed(), name));
        outcome
    })
}

/// Runs to the end or to the cap. On the runtime's threads, so that a trial that blocks is capped as well.
fn run(cap: Duration, test: impl Future<Output = ()> + Send + 'static) -> Result<(), Failed> {
    let caught = AssertUnwindSafe(test).catch_unwind();
    // The hook left the panic's text on the thread that runs this line.
    let task = RUNTIME.spawn(async { caught.await.map_err(|_| LAST_PANIC.take()) });
    let abort = task.abort_handle();
    match RUNTIME.block_on(async { timeout(cap, task).await }) {
        Ok(Ok(outcome)) => outcome.map_err(Failed::from),
        Ok(Err(error)) => Err(Failed::from(error)),
        Err(_) => {
            // Its servers end with it, as soon as it next waits for something.
            abort.abort();
            Err(Failed::from(format!("took longer than {cap:?}")))
        }
    }
}

/// Ends the whole run, and says with which trials under way, when one of them outlives its cap: a run that hangs says
/// nothing.
pub fn watch() {
    thread::spawn(|| {
        loop {
            thread::sleep(Duration::from_secs(1));
            let running = RUNNING.lock().expect("no holder panics");
            if running.values().any(|end| *end < Instant::now()) {
                eprintln!("given up, with these under way: {:?}", running.keys());
                process::exit(101);
            }
        }
    });
}

/// Keeps what a panic says, place included, for the trial's report.
pub fn record_panics() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let text = format!("{}\n  at {place}", message(info.payload()));
        LAST_PANIC.set(text);
    }));
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text")
}

/// Ends the run: prints the slowest trials and what was looked at for canaries, and stops the servers that they
/// shared.
///
/// # Panics
/// When a shared server has logged what it must not, or does not end well, and when a tenant was shown what is another's.
pub fn finish() {
    // There is no trial any more whose report would have the text.
    drop(panic::take_hook());
    print_slowest();
    let end = Instant::now() + GRACE;
    RUNNING.lock().expect("no holder panics").insert("the end of the shared servers".to_owned(), end);
    RUNTIME.block_on(shared::stop());
    canary::finish();
}

fn print_slowest() {
    let mut timings = TIMINGS.lock().expect("no holder panics").clone();
    timings.sort_unstable_by(|one, other| other.cmp(one));
    println!("the ten slowest tests:");
    for (time, name) in timings.iter().take(SLOWEST) {
        println!("{:>8.2} s  {name}", time.as_secs_f64());
    }
    println!();
}
