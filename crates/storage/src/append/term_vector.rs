//! Terms as PostgreSQL keeps them.

use sea_orm::sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, types::Oid},
};

/// The terms of an event as a `tsvector`, for an insert: PostgreSQL takes it as it is, where a text would have to be
/// cut into an array first.
#[derive(Clone, Copy, Debug)]
pub struct TermVector<'a>(&'a str);

impl<'a> TermVector<'a> {
    /// Of what [`Terms::as_str`](pulsestream_domain::event::Terms::as_str) gives.
    pub fn of(terms: &'a str) -> Self {
        Self(terms)
    }
}

// The same in every PostgreSQL: `src/include/catalog/pg_type.dat`.
const TSVECTOR: Oid = Oid(3614);
const ARRAY_OF_TSVECTOR: Oid = Oid(3643);

impl Type<Postgres> for TermVector<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TSVECTOR)
    }
}

impl PgHasArrayType for TermVector<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(ARRAY_OF_TSVECTOR)
    }
}

impl Encode<'_, Postgres> for TermVector<'_> {
    /// As `tsvectorrecv` reads it: how many lexemes there are, then each with a zero at its end and the number of its
    /// positions, which is none. Terms are sorted by their bytes, as PostgreSQL sorts lexemes.
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        let mut lexemes = 0_u32;
        for term in self.0.split(' ').filter(|term| !term.is_empty()) {
            buffer.extend_from_slice(term.as_bytes());
            buffer.extend_from_slice(&[0; 3]);
            lexemes += 1;
        }
        buffer[start..start + 4].copy_from_slice(&lexemes.to_be_bytes());
        Ok(IsNull::No)
    }
}
