//! The ways the product is set up: what it stands on, and the settings that are not its defaults.

/// One way. Everything that is not said here is as it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Setup {
    /// One server on PostgreSQL, with limits in the process.
    Postgres,
    /// The same with limits shared over Redis.
    Redis,
    /// Two servers that share PostgreSQL and Redis; half of the connections go to each.
    TwoServers,
    /// As [`Postgres`](Self::Postgres), committing every request by itself, up to 32 at a time.
    OneByOne,
    /// As [`Postgres`](Self::Postgres), without the index of words.
    NoTextIndex,
    /// One server on an SQLite file, with limits in the process.
    Sqlite,
}

impl Setup {
    /// How many servers there are.
    pub(crate) const fn servers(self) -> u64 {
        match self {
            Self::TwoServers => 2,
            Self::Postgres | Self::Redis | Self::OneByOne | Self::NoTextIndex | Self::Sqlite => 1,
        }
    }

    /// Whether Redis takes part.
    pub(crate) const fn has_redis(self) -> bool {
        matches!(self, Self::Redis | Self::TwoServers)
    }

    /// Environment variables of the servers, beyond those that say where things are.
    pub(crate) const fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::OneByOne => &[
                ("PULSESTREAM_INGESTION__DIRECT_EVENTS", "1"),
                ("PULSESTREAM_INGESTION__DIRECT_REQUESTS", "1000"),
                ("PULSESTREAM_DATABASE__INGEST_CONNECTIONS", "32"),
            ],
            Self::NoTextIndex => &[("PULSESTREAM_SEARCH__TEXT_INDEX", "none")],
            Self::Postgres | Self::Redis | Self::TwoServers | Self::Sqlite => &[],
        }
    }
}
