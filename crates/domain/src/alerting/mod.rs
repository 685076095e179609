//! Alerting: what rules, alerts, silences, channels and deliveries *are*.
//!
//! A [`Rule`] is a saved search and a [`Condition`] over a window of time. Looking at that window gives an
//! [`Observed`]; what an evaluation wants to change because of it is a [`Transition`], which a store takes
//! in one transaction (see [`AlertStore`](crate::ports::AlertStore)). How the one becomes the other is
//! decided in the crate `alerting`; here are the shapes, their rules, and what people may do to an alert.
//!
//! | file | holds |
//! |---|---|
//! | `definition`, `condition`, `template` | what a client says of a rule: parsed, and written back |
//! | `saved_search`, `group` | which events, and by what they are told apart |
//! | `observation` | questions about a window of events, and their answers |
//! | `evaluation` | what an evaluation reads, and what it commits |
//! | `alert`, `timeline` | one alert, what people do to it, and what happened to it |
//! | `silence`, `channel`, `delivery` | who is told, who is not, and what came of it |
//! | `requests` | what a client says besides rules, silences and channels |
//! | `listing`, `change` | what a store is asked for, what it is given to keep, and what it answers |
//! | `dispatch`, `streak` | what a worker reads to deliver, and what it records |
//!
//! # Bodies
//!
//! [`Definition::parse`], [`SilenceDraft::parse`] and [`ChannelDraft::parse`] are strict: a member that is
//! not known is refused, and everything wrong is reported at once. What they accept they also write, so a
//! store keeps the JSON text of a definition and reads it back with the same parser.
//!
//! ```
//! use pulsestream_domain::alerting::{Condition, Definition};
//!
//! let body = r#"{"name": "Errors", "severity": "high", "condition": {"type": "count", "min_count": 3}}"#;
//! let rule = Definition::parse(serde_json::from_str(body)?).expect("it is valid");
//! assert_eq!(rule.condition, Condition::Count { min: 3, max: None });
//! assert_eq!(rule.time_window.as_str(), "5m");
//!
//! let stored = rule.to_json().to_string();
//! assert_eq!(Definition::parse(serde_json::from_str(&stored)?), Ok(rule));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod alert;
mod change;
mod channel;
mod condition;
mod definition;
mod delivery;
mod dispatch;
mod duration;
mod evaluation;
mod group;
mod listing;
mod names;
mod object;
mod observation;
mod requests;
mod saved_search;
mod silence;
mod streak;
mod template;
mod timeline;

pub use alert::{Action, Alert, Notified, WrongStatus};
pub use change::{ActedAlert, ChannelChange, ChannelCreated, RuleChange, RuleCreated};
pub use channel::{
    Channel, ChannelDraft, ChannelKind, ChannelRef, Destination, Secrets, WebhookFormat, resolve,
};
pub use condition::{ChangeMode, Comparison, Condition};
pub use definition::{Definition, Rule};
pub use delivery::{
    Attempt, AttemptOutcome, Delivery, DeliveryReason, DeliveryState, Facts, Firing, FiringStatus,
    MAX_ALERTS_PER_DELIVERY, MAX_OWNERS_TOLD,
};
pub use dispatch::{AttemptRecord, ChannelEffect, DELIVER, DueDelivery, Progress, Recorded};
pub use evaluation::{Committed, EVALUATE_RULE, Evaluation, HeldBack, RuleState, Transition};
pub use group::{Fingerprint, GroupField, Labels, MAX_GROUP_FIELDS, MAX_GROUPS};
pub use listing::{AlertQuery, AlertStats, DeliveryQuery, Listed, RuleQuery};
pub use names::{
    Aggregate, AlertSeverity, AlertStatus, Metric, NoDataPolicy, NumberField, Operator, TimeWindow,
};
pub use observation::{
    Example, ExampleQuery, Figures, GroupObservation, Measure, ObservationQuery, Observed, Portion,
    SeriesQuery, Span,
};
pub use requests::{ActionDraft, BacktestDraft, BacktestRule, RecoveryDraft};
pub use saved_search::SavedSearch;
pub use silence::{Matcher, Silence, SilenceDraft};
pub use streak::FailureStreak;
pub use template::{Placeholder, Template};
pub use timeline::{TimelineEntry, TimelineKind};

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// The id of a rule.
    RuleId;
    /// The id of an alert.
    AlertId;
    /// The id of a silence.
    SilenceId;
    /// The id of a channel.
    ChannelId;
    /// The id of a delivery: the same in each of its attempts, so that a receiver can tell a repeated one.
    DeliveryId;
}
