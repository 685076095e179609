//! What is known of a tenant beside what its events need.

use super::Email;

/// A tenant's contacts and terms: for people and for retention, never looked at while events are taken in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantProfile {
    /// Whom to write to.
    pub contact_email: Option<Email>,
    /// Whom to send bills to.
    pub billing_email: Option<Email>,
    /// The plan, as whoever runs the service calls it; 1–50 characters.
    pub subscription_tier: String,
    /// A name of the IANA time zone database, 1–64 characters; for people's screens only.
    pub timezone: String,
    /// How many days events are kept after they were taken in, 1–36,500; for ever when `None`. The audit log and the
    /// history of alerts are kept for ever either way.
    pub retention_days: Option<u32>,
}

impl Default for TenantProfile {
    /// Nobody to write to, the plan `free`, UTC, and events for ever.
    fn default() -> Self {
        Self {
            contact_email: None,
            billing_email: None,
            subscription_tier: "free".to_owned(),
            timezone: "UTC".to_owned(),
            retention_days: None,
        }
    }
}
