//! `pulsestream healthcheck`: for containers and hosts without curl.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use url::Url;

use super::output::Output;
use crate::{client::Client, first_start::base_url, settings::Settings};

const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What to ask: whether the process lives, or whether it should get requests
    #[arg(long, value_enum, default_value_t = Mode::Ready)]
    mode: Mode,
    /// Which server; without it, the one that the settings describe, on this host
    #[arg(long)]
    url: Option<Url>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Live,
    Ready,
}

impl Mode {
    const fn path(self) -> &'static str {
        match self {
            Self::Live => "/livez",
            Self::Ready => "/readyz",
        }
    }
}

/// Asks, and answers with the exit code.
pub(crate) async fn run(arguments: Arguments, settings: &Settings, output: Output) -> Result<ExitCode> {
    let client = match arguments.url {
        Some(url) => Client::new(&url, None, TIMEOUT)?,
        // Over loopback the certificate has another name. Nothing secret is said, and whoever could pose as
        // this server here could as well replace it.
        None => Client::trusting_anybody(&own_url(settings)?, TIMEOUT)?,
    };
    let response = client.get(arguments.mode.path()).send().await.context("the server does not answer")?;
    let status = response.status();
    let body = response.text().await.context("reading the answer")?;
    if output.is_json {
        output.text(&body)?
    } else {
        output.text(&format!("{status}"))?
    }
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The server of these settings: where operations are, or else where everything is; one that chose its port has
/// written it down.
fn own_url(settings: &Settings) -> Result<Url> {
    let text = match &settings.server.address_file {
        _ if let Some(address) = settings.server.operations_bind => base_url("http", address),
        Some(path) if settings.server.bind.port() == 0 => std::fs::read_to_string(path)
            .with_context(|| format!("server.address_file: reading {}", path.display()))?,
        _ => base_url(settings.tls.scheme(), settings.server.bind),
    };
    text.trim().parse().context("the address of the server can't be read")
}
