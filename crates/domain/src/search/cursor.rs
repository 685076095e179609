//! Cursors: a place in a search that stays right while events arrive.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::Order;
use crate::{
    Timestamp,
    event::{FieldError, NewEvent, Reason},
    tenant::TenantId,
};

/// Version, instant, row id, tag.
const LENGTH: usize = 1 + 8 + 16 + 16;
const VERSION: u8 = 1;

/// A place in the order of events: after the event with this time and row id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Position {
    /// The event's `occurred_at`.
    pub occurred_at: Timestamp,
    /// The event's row id.
    pub id: Uuid,
}

impl Position {
    /// The place of an event.
    pub fn of(event: &NewEvent) -> Self {
        Self { occurred_at: event.occurred_at, id: event.id }
    }

    /// Whether an event comes later in this order.
    pub fn is_before(&self, event: &NewEvent, order: Order) -> bool {
        let (here, there) = ((self.occurred_at, self.id), (event.occurred_at, event.id));
        match order {
            Order::Descending => there < here,
            Order::Ascending => there > here,
        }
    }
}

/// The secret that cursors are sealed with: shared by all instances on one store.
///
/// A cursor only says where to go on, in events its bearer may read anyway. It is sealed so that a wrong one
/// is refused instead of quietly giving another page.
#[derive(Clone)]
pub struct CursorKey(pub [u8; 32]);

impl CursorKey {
    /// Writes a place as an opaque text of URL-safe characters.
    pub fn seal(&self, tenant_id: TenantId, fingerprint: &[u8; 16], position: Position) -> String {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..9].copy_from_slice(&position.occurred_at.as_micros().to_be_bytes());
        bytes[9..25].copy_from_slice(position.id.as_bytes());
        let tag = self.tag(tenant_id, fingerprint, &bytes[..25]);
        bytes[25..].copy_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor that this key sealed for the same tenant, filters and order.
    ///
    /// # Errors
    /// [`Reason::BadCursor`] for any other text.
    pub fn open(
        &self,
        tenant_id: TenantId,
        fingerprint: &[u8; 16],
        text: &str,
    ) -> Result<Position, FieldError> {
        let refused = || FieldError::new("/cursor", Reason::BadCursor);
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| refused())?;
        let (body, tag) = bytes.split_at(25);
        if body[0] != VERSION
            || !bool::from(subtle::ConstantTimeEq::ct_eq(tag, &self.tag(tenant_id, fingerprint, body)[..]))
        {
            return Err(refused());
        }
        let (mut micros, mut id) = ([0; 8], [0; 16]);
        micros.copy_from_slice(&body[1..9]);
        id.copy_from_slice(&body[9..]);
        Ok(Position {
            occurred_at: Timestamp::from_micros(i64::from_be_bytes(micros)),
            id: Uuid::from_bytes(id),
        })
    }

    fn tag(&self, tenant_id: TenantId, fingerprint: &[u8; 16], body: &[u8]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(tenant_id.0.as_bytes()).update(fingerprint).update(body);
        let mut tag = [0; 16];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        tag
    }
}

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: CursorKey = CursorKey([3; 32]);
    const TENANT: TenantId = TenantId(Uuid::from_u128(1));

    proptest! {
        #[test]
        fn a_cursor_opens_only_as_it_was_sealed(micros in 0_i64..1 << 50, id in any::<u128>(), byte in 0_usize..41, bit in 0_u8..8) {
            let position = Position { occurred_at: Timestamp::from_micros(micros), id: Uuid::from_u128(id) };
            let sealed = KEY.seal(TENANT, &[9; 16], position);
            prop_assert_eq!(KEY.open(TENANT, &[9; 16], &sealed), Ok(position));
            prop_assert!(KEY.open(TENANT, &[8; 16], &sealed).is_err());
            prop_assert!(KEY.open(TenantId(Uuid::from_u128(2)), &[9; 16], &sealed).is_err());
            prop_assert!(CursorKey([4; 32]).open(TENANT, &[9; 16], &sealed).is_err());
            let mut bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap_or_default();
            bytes[byte] ^= 1 << bit;
            prop_assert!(KEY.open(TENANT, &[9; 16], &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn any_text_is_refused_without_a_panic(text in "\\PC{0,80}") {
            prop_assert!(KEY.open(TENANT, &[9; 16], &text).is_err());
        }
    }
}
