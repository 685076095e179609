//! How often somebody may try.
//!
//! A rate, never a lock: whoever tries a stranger's account holds its owner up for a minute at most. It counts in
//! the limiter that counts events, by account and by address as if each were a tenant; so instances that share a
//! Redis hold people up together, and without it each does so by itself, no less strictly.

use std::{net::IpAddr, sync::Arc};

use pulsestream_domain::{
    Timestamp,
    tenant::{Limits, TenantId},
};
use pulsestream_rate_limit::{Demand, Limiter, Refund};
use uuid::Uuid;

use crate::SecretKey;

/// Something that may be tried only so often.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Attempt {
    /// To show a password.
    Login,
    /// To have a password reset.
    PasswordReset,
    /// To make a tenant.
    Registration,
}

impl Attempt {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::PasswordReset => "password reset",
            Self::Registration => "registration",
        }
    }

    /// In any minute, for one account.
    const fn per_account(self) -> u32 {
        match self {
            Self::Login | Self::Registration => 10,
            Self::PasswordReset => 3,
        }
    }

    /// In any minute, from one address.
    const fn per_address(self) -> u32 {
        match self {
            Self::Login => 60,
            Self::PasswordReset => 20,
            Self::Registration => 30,
        }
    }
}

/// Too many tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many tries")]
pub struct Throttled {
    /// Whole seconds until the next one may work; at most about a minute.
    pub retry_after_seconds: u32,
}

/// Holds up those who try too often.
pub struct Throttle {
    limiter: Arc<dyn Limiter>,
    key: [u8; 32],
}

/// A try that was let through. It counts unless it is [forgiven](Throttle::forgive).
#[derive(Debug)]
pub struct Admitted(Vec<Refund>);

impl Throttle {
    /// Counts in this limiter, apart from other installations that share it: those have another secret.
    pub fn new(secret: &SecretKey, limiter: Arc<dyn Limiter>) -> Self {
        Self { limiter, key: secret.derive("pulsestream 2026 throttle") }
    }

    /// Lets a try through, or says when to come back. `account` is any text that names one; an address that is not
    /// known counts as one address.
    ///
    /// # Errors
    /// When there were too many, for the account or from the address.
    pub async fn admit(
        &self,
        attempt: Attempt,
        account: Option<&str>,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<Admitted, Throttled> {
        let mut admitted = Admitted(Vec::new());
        // The address first: one that is used up leaves no trace of the accounts it goes on to try.
        let place = address.map_or_else(|| "unknown".to_owned(), neighbourhood);
        let counters = std::iter::once(("address", place.as_str(), attempt.per_address()))
            .chain(account.map(|account| ("account", account, attempt.per_account())));
        for (kind, name, limit) in counters {
            let tenant_id = self.counter(attempt, kind, name);
            let demand = Demand { tenant_id, limits: Limits::per_minute(limit), count: 1 };
            let grants = self.limiter.reserve(&[demand], now).await;
            let Some(grant) = grants.first().filter(|grant| grant.granted == 1) else {
                let wait = grants.first().map_or(60, |grant| grant.usage.retry_after_seconds);
                return Err(Throttled { retry_after_seconds: wait.max(1) });
            };
            admitted.0.push(Refund { tenant_id, count: 1, at: grant.at });
        }
        Ok(admitted)
    }

    /// The id under which the limiter counts. It can't be a tenant's: those are UUIDs of version 7, this is one of
    /// version 8.
    fn counter(&self, attempt: Attempt, kind: &str, name: &str) -> TenantId {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in [attempt.as_str(), kind, name] {
            hasher.update(&part.len().to_le_bytes()).update(part.as_bytes());
        }
        let hash = hasher.finalize();
        TenantId(Uuid::new_v8(*hash.as_bytes().first_chunk().expect("32 bytes begin with 16")))
    }

    /// Takes back that a try counts, because it was a good one.
    pub async fn forgive(&self, admitted: Admitted, now: Timestamp) {
        self.limiter.give_back(&admitted.0, now).await;
    }
}

/// An IPv4 address, or the network of 64 bits that one subscriber has with IPv6.
fn neighbourhood(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", address.to_bits() >> 64),
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_rate_limit::LocalLimiter;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn throttle() -> Throttle {
        Throttle::new(&secret('a'), Arc::new(LocalLimiter::new()))
    }

    fn secret(letter: char) -> SecretKey {
        letter.to_string().repeat(32).parse().expect("long enough")
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    #[tokio::test]
    async fn an_account_is_held_up_from_everywhere_and_not_for_ever() {
        let throttle = throttle();
        let login = async |number, now| throttle.admit(Attempt::Login, Some("a"), address(number), now).await;
        for number in 0..10 {
            assert!(login(number, NOW).await.is_ok());
        }
        let Err(Throttled { retry_after_seconds }) = login(99, NOW).await else { panic!("let through") };
        assert!((1..=61).contains(&retry_after_seconds));
        assert!(login(99, NOW.plus_secs(retry_after_seconds.into())).await.is_ok());
    }

    #[tokio::test]
    async fn an_address_is_held_up_whatever_accounts_it_tries() {
        let throttle = throttle();
        let mut refused = 0;
        for number in 0..1_000 {
            let account = number.to_string();
            let login = throttle.admit(Attempt::Login, Some(&account), address(1), NOW).await;
            refused += usize::from(login.is_err());
        }
        assert_eq!(refused, 940);
        assert!(throttle.admit(Attempt::Login, Some("999"), address(2), NOW).await.is_ok());
        assert!(throttle.admit(Attempt::Registration, None, address(1), NOW).await.is_ok());
    }

    #[tokio::test]
    async fn a_good_try_does_not_count() {
        let throttle = throttle();
        for _ in 0..100 {
            let admitted =
                throttle.admit(Attempt::Login, Some("a"), address(1), NOW).await.expect("let through");
            throttle.forgive(admitted, NOW).await;
        }
    }

    #[tokio::test]
    async fn installations_that_share_a_limiter_hold_nobody_up_for_each_other() {
        let limiter = Arc::new(LocalLimiter::new());
        let [one, other] = ['a', 'b'].map(|letter| Throttle::new(&secret(letter), limiter.clone()));
        for _ in 0..60 {
            assert!(one.admit(Attempt::Login, None, address(1), NOW).await.is_ok());
        }
        assert!(one.admit(Attempt::Login, None, address(1), NOW).await.is_err());
        assert!(other.admit(Attempt::Login, None, address(1), NOW).await.is_ok());
    }

    #[test]
    fn a_subscriber_is_one_address() {
        let place = |text: &str| neighbourhood(text.parse().expect("an address"));
        assert_eq!(place("2001:db8:1:2::1"), place("2001:db8:1:2:ffff::9"));
        assert_ne!(place("2001:db8:1:2::1"), place("2001:db8:1:3::1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
    }
}
