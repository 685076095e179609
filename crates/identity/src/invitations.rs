//! Invitations: tokens that allow to make one tenant.

use pulsestream_domain::{Timestamp, tenant::TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    SecretKey,
    jwt::{Refused, Signer, is_timely},
};

const TYPE: &str = "invitation";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    tenant: TenantId,
    typ: String,
    iat: i64,
    exp: i64,
}

/// Issues and checks invitations.
///
/// An invitation holds the id that its tenant will have. A second tenant with that id can't be made, so each is
/// good once without anybody keeping a list.
pub struct Invitations(Signer);

impl Invitations {
    /// With a key derived from this secret.
    pub fn new(secret: &SecretKey) -> Self {
        Self(Signer::new(&secret.derive("pulsestream 2026 invitations")))
    }

    /// An invitation to make the tenant with this new id until `expires_at`.
    pub fn issue(&self, tenant_id: TenantId, now: Timestamp, expires_at: Timestamp) -> String {
        let (iat, exp) = (now.as_secs(), expires_at.as_secs());
        self.0.sign(&Claims { tenant: tenant_id, typ: TYPE.to_owned(), iat, exp })
    }

    /// The id of the tenant that may be made.
    ///
    /// # Errors
    /// When it is not one of ours, or not good now.
    pub fn verify(&self, invitation: &str, now: Timestamp) -> Result<TenantId, Refused> {
        let claims: Claims = self.0.open(invitation)?;
        let is_good = claims.typ == TYPE && is_timely(claims.iat, claims.iat, claims.exp, now);
        if is_good { Ok(claims.tenant) } else { Err(Refused) }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_invitation_is_good_for_its_time_and_its_secret() {
        let invitations = |text: &str| Invitations::new(&text.repeat(32).parse().expect("long enough"));
        let (now, id) = (Timestamp::from_secs(1_800_000_000), TenantId(Uuid::from_u128(7)));
        let invitation = invitations("a").issue(id, now, now.plus_secs(600));
        assert_eq!(invitations("a").verify(&invitation, now.plus_secs(660)), Ok(id));
        assert_eq!(invitations("a").verify(&invitation, now.plus_secs(661)), Err(Refused));
        assert_eq!(invitations("b").verify(&invitation, now), Err(Refused));
    }
}
