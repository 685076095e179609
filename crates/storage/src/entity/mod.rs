//! The tables as `SeaORM` sees them.
#![expect(unreachable_pub, reason = "SeaORM's derives want public items")]

pub(crate) mod alert_timeline;
pub(crate) mod alerts;
pub(crate) mod api_keys;
pub(crate) mod channels;
pub(crate) mod deliveries;
pub(crate) mod delivery_alerts;
pub(crate) mod delivery_attempts;
pub(crate) mod events;
pub(crate) mod jobs;
pub(crate) mod rules;
pub(crate) mod secrets;
pub(crate) mod silences;
pub(crate) mod tenants;
