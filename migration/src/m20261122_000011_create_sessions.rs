//! Sessions, their refresh tokens, and tokens that reset passwords. Of tokens only digests are kept.

use sea_orm_migration::prelude::*;

use crate::columns::Columns;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = Columns::of(manager);
        let sessions = Table::create()
            .table("sessions")
            .col(columns.uuid("tenant_id"))
            .col(columns.uuid("id"))
            .col(columns.uuid("user_id"))
            .col(columns.instant("token_life_secs").not_null())
            .col(columns.instant("created_at").not_null())
            .col(columns.instant("expires_at").not_null())
            .col(columns.instant("ended_at").null())
            .primary_key(Index::create().col("tenant_id").col("id"))
            .foreign_key(&mut to_users("sessions_user", "sessions"))
            .take();
        manager.create_table(sessions).await?;
        let mut of_user = Index::create().name("sessions_of_user").table("sessions").take();
        manager.create_index(of_user.col("tenant_id").col("user_id").take()).await?;

        let mut session = ForeignKey::create()
            .name("refresh_tokens_session")
            .from("refresh_tokens", ("tenant_id", "session_id"))
            .to("sessions", ("tenant_id", "id"))
            .on_delete(ForeignKeyAction::Cascade)
            .take();
        let refresh_tokens = Table::create()
            .table("refresh_tokens")
            .col(columns.uuid("tenant_id"))
            .col(columns.bytes("digest"))
            .col(columns.uuid("session_id"))
            .col(columns.instant("expires_at").not_null())
            .col(columns.instant("used_at").null())
            .primary_key(Index::create().col("tenant_id").col("digest"))
            .foreign_key(&mut session)
            .take();
        manager.create_table(refresh_tokens).await?;
        // For the cascade, which would read the whole table for each session otherwise.
        let mut of_session = Index::create().name("refresh_tokens_of_session").table("refresh_tokens").take();
        manager.create_index(of_session.col("tenant_id").col("session_id").take()).await?;

        let password_resets = Table::create()
            .table("password_resets")
            .col(columns.uuid("tenant_id"))
            .col(columns.bytes("digest"))
            .col(columns.uuid("user_id"))
            .col(columns.instant("expires_at").not_null())
            .col(columns.instant("used_at").null())
            .primary_key(Index::create().col("tenant_id").col("digest"))
            .foreign_key(&mut to_users("password_resets_user", "password_resets"))
            .take();
        manager.create_table(password_resets).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["password_resets", "refresh_tokens", "sessions"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

fn to_users(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(name)
        .from(table, ("tenant_id", "user_id"))
        .to("users", ("tenant_id", "id"))
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}
