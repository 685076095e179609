//! API keys on the command line.

use std::{io, str::FromStr};

use anyhow::{Context, Result};
use pulsestream_domain::api_key::{ApiKey, ParseKeyError};

/// A key, or the word that it comes on standard input, where no list of processes shows it.
#[derive(Clone, Debug)]
pub(crate) enum KeyArgument {
    Given(ApiKey),
    StandardInput,
}

impl FromStr for KeyArgument {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "-" => Ok(Self::StandardInput),
            text => text.parse().map(Self::Given),
        }
    }
}

impl KeyArgument {
    /// The key; reads the first line of standard input if that is where it is.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn read(self) -> Result<ApiKey> {
        match self {
            Self::Given(key) => Ok(key),
            Self::StandardInput => {
                let mut line = String::new();
                io::stdin().read_line(&mut line).context("reading the API key from standard input")?;
                line.trim()
                    .parse()
                    .context("the first line of standard input is no API key of at least 16 characters")
            }
        }
    }
}
