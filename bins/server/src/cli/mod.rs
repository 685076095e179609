//! The command line.

mod audit;
mod backup;
mod bench;
mod config;
mod healthcheck;
mod import;
mod key;
mod output;
mod search;
mod secret;
mod target;
mod tenant;
mod user;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::{
    compose, serve,
    settings::{self, Log, Settings},
    telemetry,
};
use output::Output;

/// Takes in events, stores each exactly once, and finds them at once.
#[derive(Parser, Debug)]
#[command(name = "pulsestream", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// File of settings; without it, `pulsestream.toml` beside this program, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print data as JSON, one object or one list, instead of for people
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve HTTP until SIGTERM or SIGINT (what happens without a command, too)
    Serve,
    /// Bring the database's schema up to date, and make or drop the index of words
    Migrate,
    /// Make, list, show and change tenants; also while a server runs on the same store
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Make, list, rotate and revoke API keys; also while a server runs on the same store
    #[command(subcommand)]
    Key(key::Command),
    /// Make and list users, change their role, help those who forgot their password; also while a server runs
    #[command(subcommand)]
    User(user::Command),
    /// Print what was changed about tenants, keys and users, by whom and from where
    Audit(audit::Arguments),
    /// Import access logs or events from a file, once each, however often it is run
    Import(import::Arguments),
    /// Make a backup of the store, also while servers run on it; or make sure that one is as it was made
    Backup(backup::Backup),
    /// Fill an empty store from a backup
    Restore(backup::Made),
    /// Search events in the store or on a server
    Search(search::Arguments),
    /// Send made-up events to a running server and print how long it took with them
    Bench(bench::Arguments),
    /// Check and print settings
    #[command(subcommand)]
    Config(config::Command),
    /// Ask a running server how it is; ends with 0 if well, else with 1
    Healthcheck(healthcheck::Arguments),
    /// Print the OpenAPI document
    Openapi,
}

/// Reads the command line; on a wrong one, and for `--help`, prints and ends the process.
pub(crate) fn parse() -> Cli {
    Cli::parse()
}

/// Does what the command line says.
///
/// # Errors
/// When it can't be done; one line, without secrets.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let output = Output { is_json: cli.json };
    let command = cli.command.unwrap_or(Command::Serve);
    if matches!(command, Command::Openapi) {
        output.text(&pulsestream_api::openapi_json())?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = load_settings(cli.config)?;
    if matches!(command, Command::Serve) {
        let log = telemetry::start_logs(&settings.log)?;
        return serve::serve(settings, log).await;
    }
    // What a command has to say is its output; the log is for what is wrong.
    let _log = telemetry::start_logs(&Log { filter: "warn".to_owned(), ..settings.log.clone() })?;
    match command {
        Command::Serve | Command::Openapi => {}
        Command::Migrate => migrate(&settings, output).await?,
        Command::Tenant(command) => tenant::run(command, &settings, output).await?,
        Command::Key(command) => key::run(command, &settings, output).await?,
        Command::User(command) => user::run(command, &settings, output).await?,
        Command::Audit(arguments) => audit::run(arguments, &settings, output).await?,
        Command::Import(arguments) => import::run(arguments, &settings, output).await?,
        Command::Backup(arguments) => backup::run(arguments, &settings, output).await?,
        Command::Restore(made) => backup::restore(made, &settings, output).await?,
        Command::Search(arguments) => search::run(arguments, &settings, output).await?,
        Command::Bench(arguments) => bench::run(arguments, output).await?,
        Command::Config(command) => config::run(&command, &settings, output)?,
        Command::Healthcheck(arguments) => return healthcheck::run(arguments, &settings, output).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn load_settings(named: Option<PathBuf>) -> Result<Settings> {
    let beside = || {
        let program = std::env::current_exe().ok()?;
        Some(program.with_file_name("pulsestream.toml")).filter(|path| path.exists())
    };
    let file = named.or_else(beside);
    // A variable that is not text can't be a setting.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(settings::load(file.as_deref(), environment)?)
}

async fn migrate(settings: &Settings, output: Output) -> Result<()> {
    let store = compose::connect(settings).await?;
    store.migrate().await.context("database.url")?;
    store.arrange_text_index().await.context("search.text_index")?;
    let ahead = store.steps_ahead().await.context("database.url")?;
    let sentence = match ahead.len() {
        0 => "the schema is up to date".to_owned(),
        steps => format!("the schema is {steps} steps ahead of this version, which works on with it"),
    };
    output.done(&sentence, &serde_json::json!({ "pending_migrations": 0, "steps_ahead": ahead }))?;
    store.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_manual_is_understood() {
        for line in [
            "",
            "serve",
            "--config x.toml serve",
            "migrate",
            "tenant create acme --name Acme --api-key - --rate-limit-per-minute 60 --rate-limit-burst 5 --duplicate-policy lenient",
            "tenant list --json",
            "tenant show acme",
            "tenant set acme --rate-limit-per-minute 60",
            "key create --tenant acme --name ci --scope events:write --scope events:read --expires-at 2030-01-01T00:00:00Z",
            "key list --tenant acme",
            "key rotate AbCd1234 --tenant acme --grace-seconds 60",
            "key revoke AbCd1234 --tenant acme",
            "tenant invite --hours 24",
            "user create ann@example.com --tenant acme --role owner --full-name Ann",
            "user create ann@example.com --password-from-stdin",
            "user list --tenant acme --json",
            "user set-role ann@example.com admin --tenant acme",
            "user reset-password ann@example.com --tenant acme",
            "audit --tenant acme --since 2030-01-01T00:00:00Z --actor operator --action key.created --limit 10 --json",
            "import access.log --format combined --service shop --response-time-ms 1.5",
            "import - --url http://127.0.0.1:8000 --key legacy-key-0123456789",
            "backup /var/backups/pulsestream-monday --json",
            "backup verify /var/backups/pulsestream-monday",
            "restore /var/backups/pulsestream-monday",
            "search service=web status_code=5xx --tenant acme --json",
            "search --url http://127.0.0.1:8000 --key legacy-key-0123456789 q=error",
            "bench --url http://127.0.0.1:8000 --key - --connections 8 --batch 100 --rate 2500.5 --seconds 30 --json",
            "config check",
            "config print",
            "healthcheck --mode live",
            "openapi",
        ] {
            let words = line.split_whitespace();
            assert!(Cli::try_parse_from(std::iter::once("pulsestream").chain(words)).is_ok(), "{line}");
        }
    }

    #[test]
    fn wrong_values_are_refused_without_being_run() {
        for line in [
            "tenant create Not-A-Slug",
            "tenant create acme --rate-limit-per-minute 0",
            "tenant create acme --duplicate-policy maybe",
            "tenant set acme --rate-limit-burst 0",
            "key create --tenant acme --name ci --scope everything",
            "tenant invite --hours 0",
            "user create ann",
            "user create ann@example.com --role root",
            "user set-role ann@example.com",
            "audit --actor me",
            "audit --action party",
            "import access.log --response-time-ms -1",
            "import access.log --url not-a-url",
            "import access.log --key legacy-key-0123456789",
            "import access.log --tenant acme --url http://127.0.0.1:1 --key legacy-key-0123456789",
            "backup",
            "backup verify",
            "backup one two",
            "restore",
            "search service",
            "bench --url http://127.0.0.1:8000",
            "bench --url http://127.0.0.1:8000 --key - --rate 0",
            "bench --url http://127.0.0.1:8000 --key - --batch 1001",
            "healthcheck --mode maybe",
        ] {
            let words = line.split_whitespace();
            assert!(Cli::try_parse_from(std::iter::once("pulsestream").chain(words)).is_err(), "{line}");
        }
    }
}
