//! `pulsestream backup` and `pulsestream restore`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::output::Output;
use crate::{
    backup::{self, Manifest},
    settings::Settings,
};

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Backup {
    /// Directory to make, with the backup in it
    #[arg(required = true)]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make sure that a backup is as it was made
    Verify(Made),
}

/// A backup.
#[derive(Args, Debug)]
pub(crate) struct Made {
    /// Directory of the backup
    directory: PathBuf,
}

/// Makes or verifies one.
///
/// # Errors
/// When that fails.
pub(crate) async fn run(arguments: Backup, settings: &Settings, output: Output) -> Result<()> {
    if let Some(Command::Verify(Made { directory })) = arguments.command {
        let manifest =
            backup::verify(&directory).await.with_context(|| format!("{}", directory.display()))?;
        return tell("is as it was made", &manifest, output);
    }
    let directory = arguments.directory.context("a backup needs a directory")?;
    let manifest = backup::make(settings, &directory).await?;
    tell(&format!("was made in {}", directory.display()), &manifest, output)
}

/// Restores one.
///
/// # Errors
/// When that fails.
pub(crate) async fn restore(made: Made, settings: &Settings, output: Output) -> Result<()> {
    let manifest = backup::restore(settings, &made.directory).await?;
    tell("was restored", &manifest, output)
}

fn tell(what: &str, manifest: &Manifest, output: Output) -> Result<()> {
    let (events, began_at) = (manifest.events(), &manifest.began_at);
    let sentence = format!("the backup of {began_at} with {events} events {what}");
    Ok(output.done(&sentence, manifest)?)
}
