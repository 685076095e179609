//! `pulsestream config`.

use anyhow::{Context, Result};
use clap::Subcommand;

use super::output::Output;
use crate::settings::{self, Settings};

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Tell whether the settings are good; nothing is connected to
    Check,
    /// Print what the defaults, the file and the environment came to, secrets redacted
    Print,
}

/// Runs the command. Settings that are not good never get here.
pub(crate) fn run(command: &Command, settings: &Settings, output: Output) -> Result<()> {
    match command {
        Command::Check => output.done("the settings are good", &serde_json::json!({ "valid": true }))?,
        Command::Print => {
            let text = settings::to_toml(settings).context("printing the settings")?;
            output.done(&text, settings)?;
        }
    }
    Ok(())
}
