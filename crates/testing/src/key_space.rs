//! Keys on a Redis server, whoever runs it.

use anyhow::{Context, Result};
use deadpool_redis::redis::{Client, Commands, Connection};

use crate::databases::fresh_name;

/// The keys of one test: those that begin with a prefix that no other test has.
///
/// All tests of a server share database 0 (the only one that Redis Cluster has), so a test must neither
/// flush the server nor change its settings nor look at keys without the prefix. Dropping this removes
/// the keys that have it.
#[derive(Debug)]
pub struct KeySpace {
    url: String,
    prefix: String,
}

impl KeySpace {
    /// A new prefix on the server at `url`.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub fn fresh_at(url: &str) -> Result<Self> {
        let space = Self { url: url.to_owned(), prefix: format!("{}:", fresh_name()) };
        space.connect()?;
        Ok(space)
    }

    /// Where to connect to the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What every key has to begin with: `pulsestream_test_`, 32 random hexadecimal digits and a colon.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The keys that begin with the prefix now, prefix included, in no order.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub fn keys(&self) -> Result<Vec<Vec<u8>>> {
        let mut connection = self.connect()?;
        let found = connection.scan_match(format!("{}*", self.prefix))?;
        found.collect::<Result<_, _>>().context("listing keys")
    }

    fn remove_keys(&self) -> Result<()> {
        let mut connection = self.connect()?;
        for key in self.keys()? {
            // One by one, because keys of several slots can't be removed together in a cluster.
            connection.unlink::<_, ()>(key)?;
        }
        Ok(())
    }

    fn connect(&self) -> Result<Connection> {
        let client = Client::open(self.url.as_str()).context("reading the URL of Redis")?;
        client.get_connection().context("connecting to Redis")
    }
}

impl Drop for KeySpace {
    fn drop(&mut self) {
        if let Err(error) = self.remove_keys() {
            eprintln!("the keys {}* were left behind: {error:#}", self.prefix);
        }
    }
}
