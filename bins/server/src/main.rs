//! The `pulsestream` binary: settings, wiring, command line, telemetry, shutdown. It decides nothing itself.

mod alerting;
mod backup;
mod cli;
mod client;
mod compose;
mod first_start;
mod import;
mod load;
mod mail;
mod own_addresses;
mod retention;
mod sealing_key;
mod secret_key;
mod serve;
mod settings;
mod shutdown;
mod telemetry;
mod tenancy;
mod tls;

use std::{process::ExitCode, thread::available_parallelism};

/// Events are many small texts on many threads: the allocator of the system holds on to far more memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Requests are worked by actix's threads, one per core. What is left for these is committing groups and
    // work in the background; more of them mostly wake each other (docs/performance.md).
    let threads = available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
    match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => {
            eprintln!("pulsestream: starting the threads: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> ExitCode {
    // Before anything that may speak TLS. It fails only when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::run(cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("pulsestream: {}", one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, on one line: whoever starts a service reads one line.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Some errors repeat their cause in their own text.
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line.replace('\n', " ")
}
