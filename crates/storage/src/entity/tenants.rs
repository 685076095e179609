use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenants")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    #[sea_orm(unique)]
    pub slug: String,
    pub rate_limit_per_minute: i64,
    pub rate_limit_burst: i64,
    pub duplicate_policy: String,
    pub created_at: i64,
    pub contact_email: Option<String>,
    pub billing_email: Option<String>,
    pub subscription_tier: String,
    pub timezone: String,
    pub retention_days: Option<i64>,
    #[sea_orm(has_many)]
    pub api_keys: HasMany<super::api_keys::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
