//! The column types both databases agree on.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

/// Makes columns for one database.
#[derive(Clone, Copy)]
pub(crate) struct Columns(pub(crate) DatabaseBackend);

impl Columns {
    pub(crate) fn of(manager: &SchemaManager<'_>) -> Self {
        Self(manager.get_database_backend())
    }

    pub(crate) fn is_postgres(self) -> bool {
        self.0 == DatabaseBackend::Postgres
    }

    /// A UUID: native, or its 16 bytes.
    pub(crate) fn uuid(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        if self.is_postgres() {
            column.uuid()
        } else {
            column.custom("blob")
        };
        column.not_null().take()
    }

    /// A text that compares and sorts by its bytes.
    pub(crate) fn text(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        column.text();
        if self.is_postgres() {
            column.extra("COLLATE \"C\"");
        }
        column
    }

    /// Microseconds since 1970.
    pub(crate) fn instant(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).big_integer().take()
    }

    /// True or false.
    pub(crate) fn flag(self, name: &'static str) -> ColumnDef {
        ColumnDef::new(name).boolean().take()
    }

    /// Bytes.
    pub(crate) fn bytes(self, name: &'static str) -> ColumnDef {
        self.optional_bytes(name).not_null().take()
    }

    /// Bytes, or none.
    pub(crate) fn optional_bytes(self, name: &'static str) -> ColumnDef {
        let mut column = ColumnDef::new(name);
        if self.is_postgres() {
            column.custom("bytea")
        } else {
            column.custom("blob")
        };
        column
    }
}
