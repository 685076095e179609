//! Where imported events go.

mod http;
mod store;

use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;

pub(crate) use http::HttpSink;
pub(crate) use store::{StoreSink, Unlimited};

use super::batch::Record;

/// Takes events. One offer is one try: who offers again what was not taken is [`super::delivery`].
#[async_trait]
pub(crate) trait Sink: Send + Sync {
    /// Offers events, each of which has an id, and says of each what became of it, in the same order.
    ///
    /// # Errors
    /// When no later offer can do better: the key is wrong, the disk is full.
    async fn offer(&self, records: &[Record]) -> Result<Answer>;
}

/// What a sink said to an offer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// One for each event offered.
    pub(crate) verdicts: Vec<Verdict>,
    /// How long to wait before offering the rest, if the sink knows.
    pub(crate) retry_after: Option<Duration>,
    /// Why there is a rest.
    pub(crate) trouble: Option<String>,
}

/// What became of one event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It is new and stored.
    Stored,
    /// It was stored before.
    Duplicate,
    /// It will never be stored; why.
    Refused(String),
    /// It may be taken later.
    NotYet,
}

impl Answer {
    /// Nothing was taken, or nobody knows what was.
    fn nothing(events: usize, retry_after: Option<Duration>, trouble: impl Into<String>) -> Self {
        Self { verdicts: vec![Verdict::NotYet; events], retry_after, trouble: Some(trouble.into()) }
    }
}
