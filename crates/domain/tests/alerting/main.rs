//! What clients may say of rules, channels and silences, and what people may do to alerts.

mod alerts;
mod channels;
mod rules;

use pulsestream_domain::{Timestamp, event::FieldError, tenant::TenantId};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const TENANT: TenantId = TenantId(Uuid::from_u128(1));

fn codes<T: std::fmt::Debug>(outcome: Result<T, Vec<FieldError>>) -> Vec<(String, &'static str)> {
    let errors = outcome.err().unwrap_or_default();
    errors.into_iter().map(|error| (error.pointer, error.code.as_str())).collect()
}

fn one(pointer: &str, code: &'static str) -> Vec<(String, &'static str)> {
    vec![(pointer.to_owned(), code)]
}
