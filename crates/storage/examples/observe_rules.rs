//! What a tick of 1,000 rules costs on PostgreSQL, over 1,000,000 events of a day: reading each rule's state,
//! and looking at its window of five minutes.
//!
//! ```text
//! cargo run -p pulsestream-storage --example observe_rules
//! ```
//!
//! One rule after the other, so that the time that passes is at least the processor time of both ends.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::Instant;

use pulsestream_domain::{
    Timestamp,
    alerting::{Aggregate, Measure, NumberField, ObservationQuery, Span},
    identity::Origin,
    ports::AlertStore as _,
    search::Filter,
};
use pulsestream_storage::{Settings, Store};
use pulsestream_testing::{builders, shared};
use sea_orm::ConnectionTrait as _;
use serde_json::json;

const RULES: u128 = 1_000;
const NOW: Timestamp = Timestamp::from_secs(1_795_343_430);

const EVENTS: &str = "
INSERT INTO events (
    tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint, method,
    status_code, duration_ms, occurred_at, received_at, document, terms, processing_status)
SELECT '{tenant}', gen_random_uuid(), n::text, '\\x00000000000000000000000000000000', 'api_call', 'info',
    'service-' || n % 10, '/', 'GET', 200 + n % 5 * 100, n % 977, {now} - n::bigint * 86400, {now},
    '{\"title\":\"t\"}', '', 'completed'
FROM generate_series(1, 1000000) AS n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let database = shared::databases()?.fresh()?;
    let store = Store::connect(&Settings::new(database.url())).await?;
    store.migrate().await?;
    let tenant = builders::tenant(1);
    let origin = |number| Origin::operator(uuid::Uuid::from_u128(number), NOW);
    store.create_tenant(&tenant, None, &origin(0)).await?;
    let mut rules = Vec::new();
    for number in 1..=RULES {
        let rule = builders::rule(tenant.id, number, json!({}));
        store.create_rule(&rule, None, u32::MAX, &origin(number)).await?;
        rules.push(rule.id);
    }
    let raw = sea_orm::Database::connect(database.url()).await?;
    let events =
        EVENTS.replace("{tenant}", &tenant.id.0.to_string()).replace("{now}", &NOW.as_micros().to_string());
    raw.execute_unprepared(&events).await?;
    raw.execute_unprepared("VACUUM ANALYZE").await?;

    let loading = Instant::now();
    for rule in &rules {
        anyhow::ensure!(store.load(tenant.id, *rule, NOW).await?.is_some());
    }
    println!("load: {:?} for {RULES} rules", loading.elapsed());
    let number = |aggregate| Measure::Aggregate { field: NumberField::DurationMs, aggregate };
    for (name, measure) in [
        ("count", None),
        ("errors", Some(Measure::Errors)),
        ("average", Some(number(Aggregate::Average))),
        ("p95", Some(number(Aggregate::P95))),
    ] {
        for group_by in [&[][..], &["service"][..]] {
            let query = ObservationQuery {
                filter: Filter::default(),
                group_by: group_by.iter().map(|field| field.parse()).collect::<Result<_, _>>()?,
                measure: measure.clone(),
                window: Span { from: NOW.plus_secs(-300), to: NOW },
                earlier: None,
                max_groups: 1_000,
            };
            let observing = Instant::now();
            let mut seen = 0;
            for _ in &rules {
                let observed = store.observe(tenant.id, &query).await?;
                seen = observed.groups.iter().map(|group| group.window.count).sum();
            }
            println!("observe {name} by {group_by:?}: {:?}, {seen} events each", observing.elapsed());
        }
    }
    Ok(())
}
