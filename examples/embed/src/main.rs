//! Ingestion inside another program, on SQLite: no HTTP, no server to run beside it.
//!
//! `cargo run -p pulsestream-example-embed` takes in three events, of which one is broken, then the same ones
//! again, prints what each was answered, and finds what was stored. The database is `./embed.sqlite`, or the
//! file named as the first argument.

use std::sync::Arc;

use anyhow::Result;
use pulsestream_domain::{
    identity::Origin,
    ports::{Clock, IdSource},
    search::{CursorKey, Parameters, parse},
    tenant::{DuplicatePolicy, Limits, Tenant, TenantId},
};
use pulsestream_ingestion::{Ingestion, Settings, SystemClock, SystemIds};
use pulsestream_rate_limit::LocalLimiter;
use pulsestream_storage::Store;
use serde_json::json;

#[tokio::main]
async fn main() -> Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "embed.sqlite".to_owned());
    let store = Store::connect(&pulsestream_storage::Settings::new(format!("sqlite://{path}"))).await?;
    store.migrate().await?;

    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds::default()));
    let tenant = Arc::new(shop(&store, &*clock, &*ids).await?);
    let limiter = Arc::new(LocalLimiter::new());
    let ingestion = Ingestion::new(Arc::new(store.clone()), limiter, clock, ids, Settings::default());

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

    let words = Parameters::new([("q".to_owned(), "paid".to_owned())]);
    // Cursors are not handed out here, so the key they are sealed with does not matter.
    let query = parse(words, tenant.id, &CursorKey([0; 32])).expect("a word is a valid query");
    let page = store.search(tenant.id, &query).await?;
    println!("{} stored event is about a payment", page.total_count);

    // What was taken in is finished; what comes now is refused.
    ingestion.drain().await;
    store.close().await;
    Ok(())
}

/// The tenant whose events these are, made on the first run.
async fn shop(store: &Store, clock: &dyn Clock, ids: &dyn IdSource) -> Result<Tenant> {
    let slug = "shop".parse()?;
    if let Some(tenant) = store.tenant_by_slug(&slug).await? {
        return Ok(tenant);
    }
    let now = clock.now();
    let tenant = Tenant {
        id: TenantId(ids.uuid_v7(now)),
        name: "Shop".to_owned(),
        slug,
        limits: Limits::per_minute(6_000),
        duplicate_policy: DuplicatePolicy::Strict,
        created_at: now,
    };
    // Who made it, for the audit log.
    store.create_tenant(&tenant, None, &Origin::operator(ids.uuid_v7(now), now)).await?;
    Ok(tenant)
}
