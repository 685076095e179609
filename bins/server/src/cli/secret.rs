//! API keys on the command line.

use std::{convert::Infallible, fmt, io, str::FromStr};

use anyhow::{Context, Result};
use pulsestream_domain::api_key::ApiKey;

/// A key, or `-` when it comes on standard input, where no list of processes shows it.
///
/// Any text is one at first: the parser of the command line repeats what it refuses.
#[derive(Clone)]
pub(crate) struct KeyArgument(String);

impl FromStr for KeyArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl KeyArgument {
    /// Whether standard input is where the key is.
    pub(crate) fn is_on_standard_input(&self) -> bool {
        self.0 == "-"
    }

    /// The key; reads the first line of standard input if that is where it is.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn read(self) -> Result<ApiKey> {
        if !self.is_on_standard_input() {
            return self.0.parse().context("the argument is no API key: those have at least 16 characters");
        }
        let mut line = String::new();
        io::stdin().read_line(&mut line).context("reading the API key from standard input")?;
        let no_key = "the first line of standard input is no API key: those have at least 16 characters";
        line.trim().parse().context(no_key)
    }
}

impl fmt::Debug for KeyArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_key_is_not_repeated() {
        let Ok(argument) = "hunter2".parse::<KeyArgument>();
        assert!(!format!("{argument:?}").contains("hunter2"));
        let error = argument.read().expect_err("it is too short");
        assert!(!format!("{error:#}").contains("hunter2"));
    }
}
