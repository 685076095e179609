//! Hashing passwords, with a bound on what that may cost.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use pulsestream_domain::{
    identity::{Password, PasswordHash},
    ports::BoxError,
};
use tokio::sync::Semaphore;

use crate::entropy::Entropy;

/// OWASP's second choice for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// How much hashing may cost.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many hashes may be under way at a time. Each takes 19 MiB and a core.
    pub at_a_time: usize,
    /// How many more may wait. Beyond it: refused, at once.
    pub waiting: usize,
}

impl Default for Settings {
    /// 2 at a time, 16 more waiting.
    fn default() -> Self {
        Self { at_a_time: 2, waiting: 16 }
    }
}

/// Why there is no hash and no verdict.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many are waiting. Soon may work.
    #[error("too many passwords are being hashed")]
    Busy,
    /// Argon2 itself failed, or the hash that was kept is none.
    #[error("the password could not be hashed")]
    Failed(#[source] BoxError),
}

/// Whether a password is the right one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is not.
    Wrong,
    /// It is. If its hash was made with other parameters than today's, this is what to keep instead.
    Right {
        /// The new hash of the same password.
        rehashed: Option<PasswordHash>,
    },
}

/// Hashes and checks passwords with Argon2id.
pub struct Passwords {
    argon2: Argon2<'static>,
    entropy: Arc<dyn Entropy>,
    /// For those that are under way.
    turns: Arc<Semaphore>,
    /// For those that are under way or wait.
    places: Arc<Semaphore>,
}

impl Passwords {
    /// Within these bounds, with salts from this source.
    pub fn new(settings: Settings, entropy: Arc<dyn Entropy>) -> Self {
        let params =
            Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within Argon2's");
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            entropy,
            turns: Arc::new(Semaphore::new(settings.at_a_time.max(1))),
            places: Arc::new(Semaphore::new(settings.at_a_time.max(1) + settings.waiting)),
        }
    }

    /// What to keep of a password.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, PasswordError> {
        let (argon2, salt) = (self.argon2.clone(), self.salt());
        self.run(move || hash(&argon2, &password, &salt)).await
    }

    /// Checks a password against what was kept. With nothing kept the answer is [`Verdict::Wrong`], and takes as long
    /// as any other: how long a login takes does not tell whether there is such a user.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn verify(
        &self,
        password: Password,
        kept: Option<&PasswordHash>,
    ) -> Result<Verdict, PasswordError> {
        let (argon2, salt, kept) = (self.argon2.clone(), self.salt(), kept.cloned());
        self.run(move || {
            let Some(kept) = kept else {
                hash(&argon2, &password, &salt)?;
                return Ok(Verdict::Wrong);
            };
            let parsed = phc::PasswordHash::new(&kept.0).map_err(failed)?;
            match argon2.verify_password(password.as_bytes(), &parsed) {
                Ok(()) if is_current(&parsed) => Ok(Verdict::Right { rehashed: None }),
                Ok(()) => Ok(Verdict::Right { rehashed: Some(hash(&argon2, &password, &salt)?) }),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(Verdict::Wrong),
                Err(error) => Err(failed(error)),
            }
        })
        .await
    }

    fn salt(&self) -> [u8; SALT_BYTES] {
        *self.entropy.bytes().first_chunk().expect("32 bytes begin with 16")
    }

    /// Runs one hash on a thread that may block, when it is its turn. The thread holds on to turn and place: a caller
    /// who goes away frees neither while it works.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(failed)?;
        let working = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        working.await.map_err(failed)?
    }
}

/// A password for somebody who has to choose another one first: 24 characters, 144 random bits.
pub fn one_time_password(entropy: &dyn Entropy) -> Password {
    let bytes: [u8; 18] = *entropy.bytes().first_chunk().expect("32 bytes begin with 18");
    Password::new(URL_SAFE_NO_PAD.encode(bytes)).expect("24 characters are enough")
}

fn hash(
    argon2: &Argon2<'_>,
    password: &Password,
    salt: &[u8; SALT_BYTES],
) -> Result<PasswordHash, PasswordError> {
    let hash = argon2.hash_password_with_salt(password.as_bytes(), salt).map_err(failed)?;
    Ok(PasswordHash(hash.to_string()))
}

/// Whether a hash was made as one would be made today.
fn is_current(hash: &phc::PasswordHash) -> bool {
    let params = Params::try_from(hash).ok();
    hash.algorithm == Algorithm::Argon2id.ident()
        && hash.version == Some(Version::V0x13.into())
        && params.is_some_and(|p| (p.m_cost(), p.t_cost(), p.p_cost()) == (MEMORY_KIB, PASSES, LANES))
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> PasswordError {
    PasswordError::Failed(error.into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::entropy::SystemEntropy;

    fn passwords(settings: Settings) -> Passwords {
        Passwords::new(settings, Arc::new(SystemEntropy))
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).expect("it is long enough")
    }

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_only() {
        let passwords = passwords(Settings::default());
        let kept = passwords.hash(password("correct horse")).await.expect("it hashes");
        assert!(kept.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", kept.0);
        assert_ne!(kept, passwords.hash(password("correct horse")).await.expect("it hashes"));

        let verdict = async |text, kept| passwords.verify(password(text), kept).await.expect("a verdict");
        assert_eq!(verdict("correct horse", Some(&kept)).await, Verdict::Right { rehashed: None });
        assert_eq!(verdict("correct horsf", Some(&kept)).await, Verdict::Wrong);
        assert_eq!(verdict("correct horse", None).await, Verdict::Wrong);
    }

    #[tokio::test]
    async fn an_unknown_user_costs_as_much_as_a_known_one() {
        let passwords = passwords(Settings::default());
        let kept = passwords.hash(password("correct horse")).await.expect("it hashes");
        let mut fastest = [Duration::MAX; 2];
        for _ in 0..5 {
            for (fastest, kept) in fastest.iter_mut().zip([Some(&kept), None]) {
                let begun = Instant::now();
                passwords.verify(password("wrong horse!"), kept).await.expect("a verdict");
                *fastest = begun.elapsed().min(*fastest);
            }
        }
        let [known, unknown] = fastest;
        // Without a hash it would be a thousandth.
        assert!(unknown * 4 > known, "{unknown:?} {known:?}");
    }

    #[tokio::test]
    async fn a_weaker_hash_is_replaced_when_its_password_comes() {
        let passwords = passwords(Settings::default());
        let weak = Params::new(8, 1, 1, None).expect("they are allowed");
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, weak);
        let kept = hash(&weak, &password("correct horse"), &[7; 16]).expect("it hashes");

        let verdict = passwords.verify(password("correct horse"), Some(&kept)).await;

        let Ok(Verdict::Right { rehashed: Some(strong) }) = verdict else { panic!("{verdict:?}") };
        assert!(strong.0.contains("m=19456,t=2,p=1"));
        let again = passwords.verify(password("correct horse"), Some(&strong)).await;
        assert_eq!(again.ok(), Some(Verdict::Right { rehashed: None }));
    }

    #[tokio::test]
    async fn a_hash_that_is_none_is_no_wrong_password() {
        let broken = PasswordHash("not a hash".to_owned());
        let verdict = passwords(Settings::default()).verify(password("correct horse"), Some(&broken)).await;
        assert!(matches!(verdict, Err(PasswordError::Failed(_))), "{verdict:?}");
    }

    #[tokio::test]
    async fn beyond_the_queue_is_refused_at_once_and_there_is_room_again_later() {
        let passwords = passwords(Settings { at_a_time: 1, waiting: 1 });
        let hash = || passwords.hash(password("correct horse"));
        let (one, two, three) = tokio::join!(hash(), hash(), hash());
        assert!(one.is_ok() && two.is_ok());
        assert!(matches!(three, Err(PasswordError::Busy)), "{three:?}");
        assert!(passwords.hash(password("correct horse")).await.is_ok());
    }
}
