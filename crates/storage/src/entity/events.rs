use sea_orm::entity::prelude::*;

/// Without the search terms, which are never read back, and which each database keeps in its own way.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub external_id: Option<String>,
    pub content_hash: Vec<u8>,
    pub event_type: String,
    pub severity: String,
    pub service: String,
    pub endpoint: String,
    pub method: String,
    pub environment: Option<String>,
    pub status_code: Option<i16>,
    pub duration_ms: Option<f64>,
    pub user_id: Option<String>,
    pub correlation_id: Option<String>,
    pub occurred_at: i64,
    pub received_at: i64,
    pub device_type: Option<String>,
    pub performance: Option<String>,
    pub document: String,
    pub processing_status: String,
    pub is_deleted: bool,
}

impl ActiveModelBehavior for ActiveModel {}
