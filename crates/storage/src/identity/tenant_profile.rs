//! What is known of a tenant beside what its events need.

use pulsestream_domain::{identity::TenantProfile, ports::StoreError, tenant::TenantId};
use sea_orm::{ActiveValue::Set, EntityTrait as _};

use crate::{
    Store,
    entity::tenants::{ActiveModel, Entity, Model},
    error::UnreadableRow,
    row,
};

impl Store {
    /// The profile of a tenant.
    ///
    /// # Errors
    /// When the store does not answer, or the row can't be read.
    pub async fn tenant_profile(&self, id: TenantId) -> Result<Option<TenantProfile>, StoreError> {
        let lookups = &self.connections.lookups.of(id);
        let find = Entity::find_by_id(id.0).one(lookups);
        Ok(self.read(find).await?.map(profile).transpose()?)
    }
}

/// The profile as columns; the others are not set.
pub(crate) fn columns(profile: &TenantProfile) -> ActiveModel {
    ActiveModel {
        contact_email: Set(profile.contact_email.as_ref().map(ToString::to_string)),
        billing_email: Set(profile.billing_email.as_ref().map(ToString::to_string)),
        subscription_tier: Set(profile.subscription_tier.clone()),
        timezone: Set(profile.timezone.clone()),
        retention_days: Set(profile.retention_days.map(i64::from)),
        ..ActiveModel::default()
    }
}

fn profile(row: Model) -> Result<TenantProfile, UnreadableRow> {
    let unreadable = |column| UnreadableRow { table: "tenants", column, row: row.id.to_string() };
    let email = |column, text: Option<&str>| match text {
        None => Ok(None),
        Some(text) => row::parsed(text).map(Some).ok_or_else(|| unreadable(column)),
    };
    let days = row.retention_days.map(u32::try_from).transpose();
    Ok(TenantProfile {
        contact_email: email("contact_email", row.contact_email.as_deref())?,
        billing_email: email("billing_email", row.billing_email.as_deref())?,
        retention_days: days.map_err(|_| unreadable("retention_days"))?,
        subscription_tier: row.subscription_tier,
        timezone: row.timezone,
    })
}
