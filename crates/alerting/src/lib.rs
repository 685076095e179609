//! Alert rules: from a window of events to alerts, and to what is said of them.
//!
//! ```text
//! job (a tick T) ─ load ─ observe [T − delay − window, T − delay) ─ judge ─ evaluate ─ commit
//!                   │        │                                       │         │          │
//!                 rule,    figures by group                       holds?   transition   alerts, timeline,
//!                 alerts                                                                deliveries, and the job
//! ```
//!
//! [`evaluate()`] is pure: the same rule, alerts, figures and time give the same [`Transition`]. [`Evaluator`]
//! does the reading and writing around it, against an [`AlertStore`]. All that one evaluation changes is one
//! transaction together with the settlement of its job, so a worker that dies anywhere has either done it or
//! not begun.
//!
//! | file | does |
//! |---|---|
//! | `question` | which events, in which window, a rule asks about |
//! | `judge` | whether the condition holds for a group |
//! | `evaluate` | what that means for the group's alert |
//! | `notices` | who is told what |
//! | `words` | titles, messages, and what else is kept of a trigger |
//! | `evaluator` | the work of a job; evaluation on demand |
//! | `backtest` | what a rule would have done |
//! | `delivery` | getting what is said to people: [`Deliverer`] |
//!
//! A tick that was missed is caught up, each by itself and in order. What an alert's state depends on
//! (`for`, `keep_firing_for`, cooldown, the hourly limit) counts in the time of ticks; whether somebody is
//! told (silences, repeats) counts in the time of the evaluation, so that catching up floods nobody.
//!
//! To add a condition: a variant of [`Condition`](pulsestream_domain::alerting::Condition) with its JSON, an
//! arm in `judge`, one in `words`, and a row in each of the tables in `tests`.
//!
//! [`AlertStore`]: pulsestream_domain::ports::AlertStore
//! [`Transition`]: pulsestream_domain::alerting::Transition

mod backtest;
mod causes;
mod delivery;
mod evaluate;
mod evaluator;
mod judge;
mod notices;
mod question;
mod words;

pub use backtest::{Backtest, BacktestError, Episode, MAX_TICKS, backtest};
pub use delivery::{
    ChannelSecrets, Deliverer, DelivererSettings, Transport, UnreadableSecrets, deliver_settings, try_channel,
};
pub use evaluate::evaluate;
pub use evaluator::{Evaluated, Evaluator, KIND, Settings, job_settings, new_job, next_tick};
pub use judge::{Judgement, Verdict, judge};
pub use notices::resolved_by_hand;
pub use question::{question, window_before, window_now};
