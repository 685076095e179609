//! The command line of the product.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::time::timeout;

use crate::{binary, ground::Ground};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The settings that name a store, by their paths.
pub fn settings_of(ground: &Ground) -> Vec<(String, String)> {
    let secret = "what the secrets of channels are sealed with in tests";
    let mut settings = vec![
        ("database.url".to_owned(), ground.database_url().to_owned()),
        ("alerting.secret_key".to_owned(), secret.to_owned()),
        ("auth.secret_key".to_owned(), ground.secret_key().to_owned()),
        // Not the default on a named database.
        ("auth.registration".to_owned(), "open".to_owned()),
        // Debug builds beside each other are often behind, and few trials are about that.
        ("server.max_lag".to_owned(), "10s".to_owned()),
    ];
    if let Some(url) = ground.redis_url() {
        settings.push(("redis.url".to_owned(), url.to_owned()));
    }
    settings
}

/// The server on this store, on a port that the system picks, with what it is to do wrong.
pub fn serve(ground: &Ground, settings: &[(String, String)], sabotage: Option<&str>) -> Command {
    let mut command = on(ground, settings, binary::command(sabotage));
    set(&mut command, "server.bind", "127.0.0.1:0");
    set(&mut command, "log.format", "json");
    command
}

/// The program with the settings of this store; arguments are still to be given.
pub fn program(ground: &Ground, settings: &[(String, String)]) -> Command {
    program_doing(ground, settings, None)
}

/// The program as [`program`], with what it is to do wrong.
pub fn program_doing(ground: &Ground, settings: &[(String, String)], sabotage: Option<&str>) -> Command {
    on(ground, settings, binary::command(sabotage))
}

fn on(ground: &Ground, settings: &[(String, String)], mut command: Command) -> Command {
    command.current_dir(ground.directory());
    for (path, value) in settings_of(ground).iter().chain(settings) {
        set(&mut command, path, value);
    }
    command
}

/// The program, seeing nothing of the environment but the search path.
pub fn bare() -> Command {
    binary::command(None)
}

/// Gives a command a setting by its path: `server.bind` is `PULSESTREAM_SERVER__BIND`.
pub fn set(command: &mut Command, path: &str, value: &str) {
    let name = path.to_uppercase().replace('.', "__");
    command.env(format!("PULSESTREAM_{name}"), value);
}

/// Runs a command to its end.
pub async fn output(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await;
    output.expect("a command ends within a minute").expect("the binary runs")
}

/// Runs a command that has to succeed and to print JSON.
pub async fn json(command: Command) -> Value {
    let output = output(command).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let problems = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {text}{problems}", output.status);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in what it printed: {text}"))
}
