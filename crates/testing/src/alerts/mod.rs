//! Rules and alerts without a database, and what a store of them has to do.

mod contract;
mod memory;
mod observe;

pub use contract::{Fixture, alert_store};
pub use memory::MemoryAlerts;
