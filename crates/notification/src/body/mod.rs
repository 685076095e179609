//! From a notice to the bytes that are sent. Nothing here does IO; the same notice gives the same bytes.

mod group;
mod letter;
mod pagerduty;
mod slack;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;

pub(crate) use self::{group::group, letter::letter, pagerduty::pagerduty, slack::slack};
use crate::text::cut;

/// Every body is shorter than this. Receivers limit what they take, and Standard Webhooks advises 20 kB.
const MAX_BODY_BYTES: usize = 20_000;
const MAX_TITLE_CHARS: usize = 200;

/// How much of a notice a body tells.
#[derive(Clone, Copy)]
struct Detail {
    alerts: usize,
    /// Per alert.
    samples: usize,
    /// Labels per set of labels; annotations likewise.
    labels: usize,
    /// Per text.
    chars: usize,
}

impl Detail {
    const FULL: Self = Self { alerts: 100, samples: 5, labels: 32, chars: 4_096 };

    /// What to leave out next: samples, then long texts, then the last alerts; at the very end, labels.
    fn less(self) -> Option<Self> {
        match self {
            Self { samples: 1.., .. } => Some(Self { samples: self.samples / 2, ..self }),
            Self { chars: 512.., .. } => Some(Self { chars: self.chars / 2, ..self }),
            Self { alerts: 2.., .. } => Some(Self { alerts: self.alerts / 2, ..self }),
            Self { chars: 64.., .. } => Some(Self { chars: self.chars / 2, ..self }),
            Self { labels: 1.., .. } => Some(Self { labels: self.labels / 2, ..self }),
            _ => None,
        }
    }

    fn text(self, text: &str) -> String {
        cut(text, self.chars)
    }

    fn title(self, text: &str) -> String {
        cut(text, self.chars.min(MAX_TITLE_CHARS))
    }

    fn labels<T, U>(self, labels: impl IntoIterator<Item = (T, U)>) -> BTreeMap<String, String>
    where
        T: AsRef<str>,
        U: AsRef<str>,
    {
        let labels = labels.into_iter().take(self.labels);
        labels.map(|(name, value)| (self.title(name.as_ref()), self.text(value.as_ref()))).collect()
    }
}

/// Leaves out as little as it takes to stay below the limit.
fn fit(render: impl Fn(Detail) -> Vec<u8>) -> Vec<u8> {
    let mut detail = Detail::FULL;
    loop {
        let body = render(detail);
        match detail.less() {
            Some(less) if body.len() >= MAX_BODY_BYTES => detail = less,
            _ => return body,
        }
    }
}

/// Minified JSON below the limit. Serialized once: these bytes are signed, and these are sent.
fn fit_json<T: Serialize>(shape: impl Fn(Detail) -> T) -> Bytes {
    let render = |detail| serde_json::to_vec(&shape(detail)).expect("texts, numbers and maps with text keys");
    fit(render).into()
}

#[cfg(test)]
mod tests;
