//! Ingestion inside another program: a store of one's own, no HTTP, no SQL.
//!
//! `cargo run -p pulsestream-example-embed` takes in three events of which one is broken, then the same ones
//! again, and prints what each was answered.

mod memory;

use std::sync::Arc;

use anyhow::Result;
use pulsestream_domain::{
    ports::{Clock, IdSource},
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use pulsestream_ingestion::{Ingestion, Settings, SystemClock, SystemIds};
use pulsestream_rate_limit::LocalLimiter;
use serde_json::json;

use memory::MemoryStore;

#[tokio::main]
async fn main() -> Result<()> {
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds::default()));
    let store = Arc::new(MemoryStore::default());
    let limiter = Arc::new(LocalLimiter::new());
    let ingestion = Ingestion::new(store.clone(), limiter, clock.clone(), ids.clone(), Settings::default());

    let now = clock.now();
    let tenant = Arc::new(Tenant {
        id: TenantId(ids.uuid_v7(now)),
        name: "Shop".to_owned(),
        slug: "shop".parse()?,
        limits: Limits::per_minute(6_000),
        duplicate_policy: DuplicatePolicy::Strict,
        created_at: now,
    });
    let source = json!({"service": "shop", "endpoint": "/orders", "method": "POST"});
    let events = [
        json!({"event_id": "order-1", "event_type": "user_action", "title": "Order placed", "source": source}),
        json!({"event_id": "order-2", "event_type": "user_action", "title": "Order placed"}),
        json!({"event_id": "order-3", "event_type": "user_action", "title": "Order paid", "source": source}),
    ];
    for attempt in ["first", "again"] {
        let receipt = ingestion.ingest_events(&tenant, &events).await?;
        for item in &receipt.outcomes {
            let id = item.event_id.as_ref().map_or("?", |id| id.as_str());
            println!("{attempt}: {id}: {:?}", item.outcome);
        }
    }
    // What was taken in is finished; what comes now is refused.
    ingestion.drain().await;
    println!("{} events are stored", store.len());
    Ok(())
}
