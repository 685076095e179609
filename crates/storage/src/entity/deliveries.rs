use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deliveries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub channel_id: Uuid,
    pub reason: String,
    pub facts: String,
    pub state: String,
    pub attempts: i32,
    pub failures: i32,
    pub parts_done: i64,
    pub created_at: i64,
    pub next_attempt_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
