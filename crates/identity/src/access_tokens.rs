//! Access tokens: what people's requests carry.

use pulsestream_domain::{
    Timestamp,
    identity::{SessionId, UserId},
    tenant::TenantId,
};
use serde::{Deserialize, Serialize};

use crate::{
    SecretKey,
    jwt::{Refused, Signer, is_timely},
};

/// How long an access token is good, in seconds.
pub const ACCESS_SECS: i64 = 1_800;

const ISSUER: &str = "pulsestream";
const AUDIENCE: &str = "pulsestream-api";
const TYPE: &str = "access";

/// Whom an access token speaks for. What they may do is not in it: that is looked up, so that it can change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Subject {
    /// Whose user.
    pub tenant_id: TenantId,
    /// Who.
    pub user_id: UserId,
    /// Which login of theirs.
    pub session_id: SessionId,
}

/// Every claim has to be there, and no other may be.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    tenant: TenantId,
    sid: SessionId,
    typ: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Issues and checks access tokens.
pub struct AccessTokens(Signer);

impl AccessTokens {
    /// With a key derived from this secret.
    pub fn new(secret: &SecretKey) -> Self {
        Self(Signer::new(&secret.derive("pulsestream 2026 access tokens")))
    }

    /// A token that is good for [`ACCESS_SECS`].
    pub fn issue(&self, subject: &Subject, now: Timestamp) -> String {
        let now = now.as_secs();
        self.0.sign(&Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: subject.user_id,
            tenant: subject.tenant_id,
            sid: subject.session_id,
            typ: TYPE.to_owned(),
            iat: now,
            nbf: now,
            exp: now + ACCESS_SECS,
        })
    }

    /// Whom a token speaks for. Clocks may be 60 seconds apart.
    ///
    /// # Errors
    /// When it is not one of ours, or not good now. Which, is nobody's business.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Subject, Refused> {
        let claims: Claims = self.0.open(token)?;
        let is_ours = claims.iss == ISSUER && claims.aud == AUDIENCE && claims.typ == TYPE;
        if !is_ours || !is_timely(claims.iat, claims.nbf, claims.exp, now) {
            return Err(Refused);
        }
        Ok(Subject { tenant_id: claims.tenant, user_id: claims.sub, session_id: claims.sid })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn secret() -> SecretKey {
        "a secret of thirty-two bytes or more".parse().expect("long enough")
    }

    fn subject() -> Subject {
        Subject {
            tenant_id: TenantId(Uuid::from_u128(1)),
            user_id: UserId(Uuid::from_u128(2)),
            session_id: SessionId(Uuid::from_u128(3)),
        }
    }

    /// The claims of a good token with some of them changed; `null` takes one away.
    fn claims(changes: Value) -> Value {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": Uuid::from_u128(2), "tenant": Uuid::from_u128(1),
            "sid": Uuid::from_u128(3), "typ": TYPE, "iat": NOW.as_secs(), "nbf": NOW.as_secs(),
            "exp": NOW.as_secs() + ACCESS_SECS,
        });
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => claims.as_object_mut().expect("an object").remove(name),
                value => claims.as_object_mut().expect("an object").insert(name.clone(), value.clone()),
            };
        }
        claims
    }

    fn verdict(changes: Value) -> Result<Subject, Refused> {
        let tokens = AccessTokens::new(&secret());
        tokens.verify(&tokens.0.sign(&claims(changes)), NOW)
    }

    #[test]
    fn claims_are_all_there_right_and_timely() {
        let now = NOW.as_secs();
        for (changes, is_good) in [
            (json!({}), true),
            (json!({"exp": now - 5}), true),
            (json!({"exp": now - 60}), true),
            (json!({"exp": now - 61}), false),
            (json!({"nbf": now + 60}), true),
            (json!({"nbf": now + 61}), false),
            (json!({"iat": now + 61}), false),
            (json!({"exp": i64::MAX}), true),
            (json!({"exp": 1e20}), false),
            (json!({"exp": (now + 100).to_string()}), false),
            (json!({"exp": now as f64 + 0.5}), false),
            (json!({"aud": "somebody-else"}), false),
            (json!({"aud": [AUDIENCE]}), false),
            (json!({"iss": "somebody-else"}), false),
            (json!({"typ": "refresh"}), false),
            (json!({"typ": "invitation"}), false),
            (json!({"sub": "root"}), false),
            (json!({"role": "owner"}), false),
            (json!({"exp": null}), false),
            (json!({"nbf": null}), false),
            (json!({"iat": null}), false),
            (json!({"iss": null}), false),
            (json!({"aud": null}), false),
            (json!({"sub": null}), false),
            (json!({"tenant": null}), false),
            (json!({"sid": null}), false),
            (json!({"typ": null}), false),
        ] {
            assert_eq!(verdict(changes.clone()).is_ok(), is_good, "{changes}");
        }
    }

    #[test]
    fn a_header_has_one_spelling_whatever_the_signature() {
        let tokens = AccessTokens::new(&secret());
        let good = tokens.issue(&subject(), NOW);
        let (_, rest) = good.split_once('.').expect("three parts");
        let (claims, tag) = rest.split_once('.').expect("three parts");
        for header in [
            json!({"alg": "none", "typ": "JWT"}),
            json!({"alg": "None", "typ": "JWT"}),
            json!({"alg": "hs256", "typ": "JWT"}),
            json!({"alg": "HS512", "typ": "JWT"}),
            json!({"alg": "RS256", "typ": "JWT"}),
            json!({"alg": "HS256"}),
            json!({"alg": "HS256", "typ": "JWT", "kid": "../../dev/null"}),
            json!({"alg": "HS256", "typ": "JWT", "kid": "' UNION SELECT 'x"}),
            json!({"alg": "HS256", "typ": "JWT", "jku": "https://example.com/keys"}),
            json!({"alg": "HS256", "typ": "JWT", "x5u": "https://example.com/cert"}),
            json!({"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": "AA"}}),
            json!({"alg": "HS256", "typ": "JWT", "crit": ["exp"]}),
        ] {
            let header = URL_SAFE_NO_PAD.encode(header.to_string());
            for forged in [
                format!("{header}.{claims}.{tag}"),
                format!("{header}.{claims}."),
                format!("{header}.{claims}"),
            ] {
                assert_eq!(tokens.verify(&forged, NOW), Err(Refused), "{forged}");
            }
        }
        // Padding and other alphabets are other spellings of the same bytes.
        for forged in [format!("{good}="), format!("{good}."), format!(" {good}"), "x".repeat(1 << 20)] {
            assert_eq!(tokens.verify(&forged, NOW), Err(Refused));
        }
    }

    #[test]
    fn a_token_of_another_secret_is_none() {
        let other: SecretKey = "another secret of thirty-two bytes or more".parse().expect("long enough");
        let token = AccessTokens::new(&other).issue(&subject(), NOW);
        assert_eq!(AccessTokens::new(&secret()).verify(&token, NOW), Err(Refused));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(at in 0_usize..480, with in "[A-Za-z0-9_.-]") {
            let tokens = AccessTokens::new(&secret());
            let good = tokens.issue(&subject(), NOW);
            let at = at % good.len();
            prop_assume!(good[at..=at] != with);
            let forged = format!("{}{with}{}", &good[..at], &good[at + 1..]);
            prop_assert_eq!(tokens.verify(&forged, NOW), Err(Refused));
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text: String) {
            prop_assert_eq!(AccessTokens::new(&secret()).verify(&text, NOW), Err(Refused));
        }
    }
}
