use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub rule_id: Uuid,
    pub rule_name: String,
    pub fingerprint: Vec<u8>,
    pub labels: String,
    pub title: String,
    pub message: String,
    pub severity: String,
    pub status: String,
    pub value: Option<f64>,
    pub trigger_data: String,
    pub started_at: i64,
    pub triggered_at: Option<i64>,
    pub clear_since: Option<i64>,
    pub acknowledged_at: Option<i64>,
    pub acknowledged_by: Option<String>,
    pub resolved_at: Option<i64>,
    pub resolved_by: Option<String>,
    pub resolution_note: Option<String>,
    pub is_silenced: bool,
    pub notified_at: Option<i64>,
    pub notified_severity: Option<String>,
    pub changed_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
