//! Getting deliveries to people.
//!
//! ```text
//! job ─ due ─ open ─ parts ─ send ─ decide ─ record
//!        │      │       │      │       │        │
//!      facts, secrets notices  │   delivered, attempt, delivery,
//!      channel             Transport retry …   channel, and the job
//! ```
//!
//! | file | does |
//! |---|---|
//! | `secrets` | what is sealed of a channel |
//! | `parts` | from a channel and facts to what is sent, in how many parts |
//! | `send` | sends the parts that are still to be sent |
//! | `decide` | from how that went to what is recorded; pure |
//! | `own` | deliveries about channels themselves |
//! | `pace` | one message a second per channel of Slack |
//! | `deliverer` | the work of a job |
//! | `trial` | a channel, tried at once |

mod decide;
mod deliverer;
mod own;
mod pace;
mod parts;
mod secrets;
mod send;
mod trial;

pub use deliverer::{Deliverer, DelivererSettings, deliver_settings};
pub use secrets::{ChannelSecrets, UnreadableSecrets};
pub use send::Transport;
pub use trial::try_channel;
