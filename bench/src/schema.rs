//! The product's tables.

use anyhow::{Context, Result};
use sea_orm::{ConnectOptions, Database};

use crate::runtime::block_on;

/// Gives a database the product's schema.
///
/// # Errors
/// When the database refuses.
pub(crate) fn migrate(url: &str) -> Result<()> {
    block_on(async {
        let database = Database::connect(ConnectOptions::new(url).max_connections(1).to_owned()).await?;
        pulsestream_migration::up(&database).await?;
        Ok(database.close().await?)
    })
    .context("making the schema")
}
