//! What routes about alerting stand on.

use std::sync::Arc;

use pulsestream_alerting::Evaluator;
use pulsestream_domain::ports::{BoxError, StoreError};
use pulsestream_notification::{Keyring, Notifier, OutboundPolicy};

use crate::error::ApiError;

/// Fills 32 bytes with the system's randomness.
pub type Randomness = Arc<dyn Fn() -> Result<[u8; 32], BoxError> + Send + Sync>;

/// What routes about alerting stand on. The same parts work in the background.
#[derive(Clone)]
pub struct Alerting {
    /// Evaluates rules when somebody asks for it.
    pub evaluator: Arc<Evaluator>,
    /// Tries channels.
    pub notifier: Arc<Notifier>,
    /// What a channel's address is held to when it is saved.
    pub policy: OutboundPolicy,
    /// Seals the secrets of channels.
    pub keyring: Keyring,
    /// Where secrets come from.
    pub randomness: Randomness,
    /// How many rules a tenant may have.
    pub max_rules: u32,
}

impl Alerting {
    /// So many random bytes; at most 32.
    pub(crate) fn random<const LENGTH: usize>(&self) -> Result<[u8; LENGTH], ApiError> {
        const { assert!(LENGTH <= 32, "there are no more") };
        let bytes = (self.randomness)().map_err(StoreError::Unexpected)?;
        let mut wanted = [0; LENGTH];
        wanted.copy_from_slice(&bytes[..LENGTH]);
        Ok(wanted)
    }
}
