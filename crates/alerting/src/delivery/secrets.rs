//! The secrets of a channel, as they are sealed.

use std::collections::BTreeMap;

use pulsestream_domain::{
    Timestamp,
    alerting::{Channel, Secrets},
};
use pulsestream_notification::{
    Keyring, OpenError, ParseSealedError, ParseSecretError, Sealed, Secret, SecretOwner, SigningSecret,
    SigningSecrets,
};
use serde::{Deserialize, Serialize};

/// Everything of a channel that must not be read back, together: one sealed text per channel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChannelSecrets {
    /// What its owner has said.
    pub given: Secrets,
    /// What a webhook is signed with. The service makes it, and shows it once.
    pub signing: Option<SigningSecret>,
    /// What it was signed with before, and until when that still counts.
    pub previous_signing: Option<(SigningSecret, Timestamp)>,
}

/// Why the secrets of a channel could not be read. The operator's fault in each case, not the receiver's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnreadableSecrets {
    /// The column does not hold a sealed secret.
    #[error("the column does not hold a sealed secret")]
    NotSealed(#[from] ParseSealedError),
    /// It does not open.
    #[error("the sealed secrets can't be opened")]
    Closed(#[from] OpenError),
    /// What it holds are not the secrets of a channel.
    #[error("what was sealed are not the secrets of a channel")]
    Malformed,
}

/// What is sealed, as JSON.
#[derive(Serialize, Deserialize)]
struct Plain {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_key: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_signing: Option<(String, i64)>,
}

impl ChannelSecrets {
    /// Seals them for one channel. `nonce` has to be random.
    pub fn seal(&self, keyring: &Keyring, channel: &Channel, nonce: [u8; 24]) -> String {
        let plain = Plain {
            url: self.given.url.clone(),
            routing_key: self.given.routing_key.clone(),
            headers: self.given.headers.clone(),
            signing: self.signing.as_ref().map(SigningSecret::reveal),
            previous_signing: self
                .previous_signing
                .as_ref()
                .map(|(secret, until)| (secret.reveal(), until.as_micros())),
        };
        let text = serde_json::to_string(&plain).expect("texts and a number are JSON");
        keyring.seal(&Secret::new(text), owner(channel), nonce).to_string()
    }

    /// Opens what was sealed for this very channel.
    ///
    /// # Errors
    /// See [`UnreadableSecrets`].
    pub fn open(keyring: &Keyring, channel: &Channel, sealed: &str) -> Result<Self, UnreadableSecrets> {
        let opened = keyring.open(&sealed.parse::<Sealed>()?, owner(channel))?;
        let plain: Plain = serde_json::from_str(opened.reveal()).map_err(|_| UnreadableSecrets::Malformed)?;
        Self::read(plain).map_err(|_| UnreadableSecrets::Malformed)
    }

    fn read(plain: Plain) -> Result<Self, ParseSecretError> {
        let previous = |(secret, until): (String, i64)| {
            secret.parse().map(|secret| (secret, Timestamp::from_micros(until)))
        };
        Ok(Self {
            given: Secrets { url: plain.url, routing_key: plain.routing_key, headers: plain.headers },
            signing: plain.signing.map(|secret| secret.parse()).transpose()?,
            previous_signing: plain.previous_signing.map(previous).transpose()?,
        })
    }

    /// What signs at this moment.
    pub fn signing_at(&self, now: Timestamp) -> Option<SigningSecrets> {
        let still_counts = |(_, until): &&(SigningSecret, Timestamp)| now < *until;
        let previous = self.previous_signing.as_ref().filter(still_counts).map(|(secret, _)| secret.clone());
        self.signing.clone().map(|current| SigningSecrets { current, previous })
    }
}

fn owner(channel: &Channel) -> SecretOwner {
    SecretOwner { tenant_id: channel.tenant_id, channel_id: channel.id.0 }
}

#[cfg(test)]
mod tests {
    use pulsestream_notification::SealingKey;
    use pulsestream_testing::builders::{log_channel, tenant};

    use super::*;

    fn keyring() -> Keyring {
        Keyring::new(SealingKey::new("test", [1; 32]).expect("a plain name"))
    }

    #[test]
    fn secrets_open_as_they_were_for_their_channel_only() {
        let channel = log_channel(tenant(1).id, 1);
        let (old, new) = (SigningSecret::from_entropy([1; 32]), SigningSecret::from_entropy([2; 32]));
        let until = Timestamp::from_secs(100);
        for secrets in [
            ChannelSecrets::default(),
            ChannelSecrets {
                given: Secrets {
                    url: Some("https://hooks.example.com/T0".to_owned()),
                    routing_key: Some("key".to_owned()),
                    headers: [("x-token".to_owned(), "hunter2".to_owned())].into(),
                },
                signing: Some(new.clone()),
                previous_signing: Some((old.clone(), until)),
            },
        ] {
            let sealed = secrets.seal(&keyring(), &channel, [3; 24]);
            assert_eq!(ChannelSecrets::open(&keyring(), &channel, &sealed), Ok(secrets));
            let other = log_channel(tenant(1).id, 2);
            let refused = ChannelSecrets::open(&keyring(), &other, &sealed);
            assert_eq!(refused, Err(UnreadableSecrets::Closed(OpenError::NotAuthentic)));
        }
    }

    #[test]
    fn the_previous_signing_secret_counts_until_its_time_is_over() {
        let (old, new) = (SigningSecret::from_entropy([1; 32]), SigningSecret::from_entropy([2; 32]));
        let secrets = ChannelSecrets {
            signing: Some(new.clone()),
            previous_signing: Some((old.clone(), Timestamp::from_secs(100))),
            ..ChannelSecrets::default()
        };
        for (secs, previous) in [(99, Some(old)), (100, None)] {
            let expected = SigningSecrets { current: new.clone(), previous };
            assert_eq!(secrets.signing_at(Timestamp::from_secs(secs)), Some(expected));
        }
    }

    #[test]
    fn what_is_not_sealed_secrets_is_refused() {
        let channel = log_channel(tenant(1).id, 1);
        let open = |sealed: &str| ChannelSecrets::open(&keyring(), &channel, sealed);
        assert_eq!(open("hunter2"), Err(UnreadableSecrets::NotSealed(ParseSealedError)));
        for text in ["hunter2", r#"{"signing": "hunter2"}"#] {
            let sealed = keyring().seal(&Secret::new(text), owner(&channel), [3; 24]).to_string();
            assert_eq!(open(&sealed), Err(UnreadableSecrets::Malformed));
        }
    }
}
