//! `pulsestream bench`: what it says became of its events is what became of them.

use pulsestream_tests::{
    App, Combination, Tenant, TenantOptions, Trial, command, on_some, trials::DEFAULT_CAP,
};
use serde_json::Value;

pub(crate) fn trials() -> Vec<Trial> {
    on_some!(
        &[Combination::SQLITE, Combination::POSTGRES_REDIS], within DEFAULT_CAP;
        everything_it_says_is_stored_is_stored,
        what_a_limit_refuses_is_told_and_not_stored,
    )
}

async fn bench(app: &App, tenant: &Tenant, arguments: &[&str]) -> Value {
    let mut bench = command::bare();
    bench.args(["bench", "--json", "--url", &app.url(""), "--key", &tenant.key]).args(arguments);
    bench.current_dir(app.ground().directory());
    command::json(bench).await
}

fn count(said: &Value, name: &str) -> u64 {
    said["events"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"))
}

async fn everything_it_says_is_stored_is_stored(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;

    let at_rate =
        bench(&app, &tenant, &["--rate", "100", "--seconds", "2", "--batch", "10", "--connections", "4"])
            .await;
    assert_eq!(count(&at_rate, "stored"), 200, "{at_rate}");
    assert_eq!(at_rate["requests"], 20, "{at_rate}");
    assert!(at_rate["latency_ms"]["p50"].as_f64() <= at_rate["latency_ms"]["max"].as_f64(), "{at_rate}");

    let flat_out = bench(&app, &tenant, &["--seconds", "1", "--connections", "2"]).await;
    assert!(count(&flat_out, "stored") > 0, "{flat_out}");
    for name in ["refused", "duplicates", "unsettled", "retries"] {
        assert_eq!(count(&flat_out, name), 0, "{flat_out}");
    }
    let said = count(&at_rate, "stored") + count(&flat_out, "stored");
    assert_eq!(app.rows(&tenant).await.len() as u64, said);
}

async fn what_a_limit_refuses_is_told_and_not_stored(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.tenant_with(TenantOptions::default().per_minute(25)).await;

    let said = bench(&app, &tenant, &["--rate", "50", "--seconds", "1", "--batch", "5"]).await;

    assert_eq!((count(&said, "stored"), count(&said, "unsettled")), (25, 25), "{said}");
    assert_eq!(app.rows(&tenant).await.len(), 25);
}
