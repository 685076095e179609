//! Rules, alerts, and who is told.

mod contract;
