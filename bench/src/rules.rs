//! What it costs to evaluate rules, tick by tick.
//!
//! Not a comparison: the product evaluates rules by itself, whatever anybody sends, and what is asked is how much
//! of a processor that takes. So the server and PostgreSQL are left alone and their processor time is read
//! between the ticks.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use pulsestream_alerting::new_job;
use pulsestream_domain::{
    identity::Origin,
    job::JobId,
    ports::{Clock as _, IdSource as _},
};
use pulsestream_ingestion::{SystemClock, SystemIds};
use pulsestream_storage::{Settings, Store};
use pulsestream_testing::builders;
use sea_orm::sqlx::{self, Connection as _, PgConnection};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{cpu, postgres::Postgres, product::Product, runtime::block_on};

/// Rules, all active.
const RULES: u128 = 1_000;
/// How often each of them is evaluated, in seconds; all at the same ticks.
const TICK_SECS: i64 = 10;
/// Ticks before the first that counts: connections are made, statements prepared, pages read.
const WARM_UP_TICKS: u32 = 2;
/// How long after a tick everything has to be done.
const PATIENCE: Duration = Duration::from_secs(8);
/// How many seconds of processor time a tick may cost.
pub(crate) const GATE: f64 = 1.0;

/// So many events of the 24 hours that end ten minutes after now, those to come included: windows are as
/// full at the last tick as at the first.
const EVENTS: &str = "
INSERT INTO events (
    tenant_id, id, external_id, content_hash, event_type, severity, service, endpoint, method, environment,
    status_code, duration_ms, occurred_at, received_at, document, terms, processing_status)
SELECT ($1::uuid[])[1 + n % cardinality($1)], gen_random_uuid(), n::text, '\\x00000000000000000000000000000000', 'api_call',
    (ARRAY['info', 'info', 'info', 'info', 'info', 'info', 'warning', 'warning', 'error', 'critical'])[1 + hash % 10],
    'service-' || n / cardinality($1) % 20,
    '/endpoint/' || hash / 10 % 30, (ARRAY['GET', 'GET', 'GET', 'POST'])[1 + hash / 300 % 4],
    'production', (ARRAY[200, 200, 200, 200, 200, 200, 201, 404, 404, 500])[1 + hash / 1200 % 10],
    hash / 12000 % 2000 / 4.0, $2::bigint - n::bigint * 86400, $2 - n::bigint * 86400,
    '{\"title\":\"t\",\"message\":\"' || repeat(md5(n::text), 18) || '\"}', '', 'completed'
FROM (SELECT n, hashint4(n) & 2147483647 AS hash FROM generate_series(1, 1000000) AS n) AS numbers";

/// A thousand rules, and whose they are.
#[derive(Debug)]
pub(crate) struct Case {
    /// To name it on the command line.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) title: &'static str,
    tenants: u128,
}

/// All cases.
pub(crate) const CASES: [Case; 2] = [
    Case { name: "rules-50-tenants", title: "20 rules for each of 50 tenants", tenants: 50 },
    Case { name: "rules-1-tenant", title: "1,000 rules of one tenant", tenants: 1 },
];

/// What one tick cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick {
    pub(crate) server: Duration,
    pub(crate) database: Duration,
    /// The share of all cores that went to others meanwhile, 0 to 1.
    pub(crate) foreign: f64,
}

/// All ticks of a case.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) case: &'static Case,
    pub(crate) ticks: Vec<Tick>,
    /// Alerts that were raised and not over when the last tick was done.
    pub(crate) active_alerts: i64,
}

impl Tick {
    /// Of both, in seconds.
    pub(crate) fn cost(&self) -> f64 {
        (self.server + self.database).as_secs_f64()
    }
}

/// Evaluates the rules of a case for so many ticks that count.
///
/// # Errors
/// When something fails, or a rule was not evaluated at a tick.
pub(crate) fn run(
    case: &'static Case,
    postgres: &Postgres,
    binary: &Path,
    directory: &Path,
    ticks: usize,
) -> Result<Results> {
    let url = postgres.create(&case.name.replace('-', "_"))?;
    let product = Product::prepare(binary, directory, url.clone(), 0)?;
    block_on(fill(case, &url)).context("filling the database")?;
    let server = product.serve()?;
    let watched = (server.pid(), postgres.pid().context("the database is no process of ours")?);

    for _ in 0..WARM_UP_TICKS {
        tick(&url)?;
    }
    let mut results = Results { case, ticks: Vec::new(), active_alerts: 0 };
    let mut before = Readings::take(watched)?;
    for _ in 0..ticks {
        tick(&url)?;
        let after = Readings::take(watched)?;
        results.ticks.push(after.since(&before));
        before = after;
    }
    results.active_alerts = block_on(ask(&url, "SELECT count(*) FROM alerts WHERE status = 'active'"))?;
    server.stop()?;
    Ok(results)
}

/// Waits for the next tick and makes sure that all rules have been evaluated at it.
fn tick(url: &str) -> Result<()> {
    let next = (SystemClock.now().as_secs() / TICK_SECS + 1) * TICK_SECS;
    let wait = next * 1_000_000 - SystemClock.now().as_micros() + PATIENCE.as_micros() as i64;
    sleep(Duration::from_micros(wait.unsigned_abs()));
    let late = "SELECT count(*) FROM jobs WHERE kind = 'evaluate_rule' AND (attempts > 0 OR due_at <= $1)";
    let late = block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        let late: i64 = sqlx::query_scalar(late).bind(next * 1_000_000).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(late)
    })?;
    ensure!(late == 0, "{late} rules were not evaluated at their tick");
    Ok(())
}

async fn ask(url: &str, question: &'static str) -> Result<i64> {
    let mut connection = PgConnection::connect(url).await?;
    let answer = sqlx::query_scalar(question).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(answer)
}

/// Processor time so far.
struct Readings {
    at: Instant,
    machine: Duration,
    own: Duration,
    server: Duration,
    database: Duration,
}

impl Readings {
    fn take((server, database): (u32, u32)) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            machine: cpu::of_machine()?,
            // The servers are among what this process has started.
            own: cpu::of_tree(std::process::id())?,
            server: cpu::of_tree(server)?,
            database: cpu::of_tree(database)?,
        })
    }

    fn since(&self, before: &Self) -> Tick {
        let capacity = (self.at - before.at).as_secs_f64() * cpu::cores() as f64;
        let own = self.own.saturating_sub(before.own);
        let foreign = self.machine.saturating_sub(before.machine).saturating_sub(own);
        Tick {
            server: self.server.saturating_sub(before.server),
            database: self.database.saturating_sub(before.database),
            foreign: foreign.as_secs_f64() / capacity,
        }
    }
}

async fn fill(case: &Case, url: &str) -> Result<()> {
    let store = Store::connect(&Settings::new(url)).await?;
    let (now, ids) = (SystemClock.now(), SystemIds::default());
    let origin = || Origin::operator(ids.uuid_v7(now), now);
    let tenants: Vec<_> = (1..=case.tenants).map(builders::tenant).collect();
    for tenant in &tenants {
        store.create_tenant(tenant, None, &origin()).await?;
        store.create_channel(&builders::log_channel(tenant.id, 1), None, 1, &origin()).await?;
    }
    for number in 0..RULES {
        let tenant_id = tenants[(number * case.tenants / RULES) as usize].id;
        let rule = builders::rule(tenant_id, number + 1, definition(number));
        let job = new_job(&rule, JobId(ids.uuid_v7(now)), now);
        store.create_rule(&rule, Some(&job), u32::MAX, &origin()).await?;
    }
    store.close().await;

    let mut connection = PgConnection::connect(url).await?;
    let owners: Vec<Uuid> = tenants.iter().map(|tenant| tenant.id.0).collect();
    sqlx::query(EVENTS).bind(owners).bind(now.plus_secs(600).as_micros()).execute(&mut connection).await?;
    for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    Ok(connection.close().await?)
}

/// The rule with this number: as many of each condition, each for one of 20 services and something else. Seven
/// of ten look at five minutes, the others at one, fifteen and sixty.
fn definition(number: u128) -> Value {
    let severity = ["warning", "error", "critical"][(number / 20 % 3) as usize];
    let (condition, members) = match number % 10 {
        0 => (json!({"type": "count", "min_count": 100}), json!({"severity": severity})),
        1 => (
            json!({"type": "threshold", "metric_field": "duration_ms", "aggregate": "avg"}),
            json!({"method": "GET"}),
        ),
        2 => (
            json!({"type": "threshold", "metric_field": "duration_ms", "aggregate": "p95"}),
            json!({"method": "POST"}),
        ),
        3 => {
            (json!({"type": "pattern", "pattern": {"type": "error_rate", "max_error_rate": 0.9}}), json!({}))
        }
        4 => (
            json!({"type": "pattern", "pattern": {"type": "response_time", "max_avg_response_time": 400}}),
            json!({"status_code": "2xx"}),
        ),
        5 => (json!({"type": "ratio", "numerator": {"severity": severity}}), json!({"method": "GET"})),
        6 => (json!({"type": "absence", "look_back": "2h"}), json!({"environment": "production"})),
        7 => (json!({"type": "change"}), json!({"severity": severity})),
        8 => (json!({"type": "match"}), json!({"status_code": "503"})),
        _ => (json!({"type": "count", "min_count": 1_000}), json!({"endpoint": "/endpoint/1*"})),
    };
    let mut filter = members;
    filter["service"] = format!("service-{}", (number * 7 + number / 20) % 20).into();
    json!({
        "condition": condition,
        "threshold_value": 1_000,
        "filter": filter,
        "group_by": match number % 10 { 6 => json!(["method"]), 9 => json!(["method", "status_code"]), _ => json!([]) },
        "time_window": match number / 10 % 10 { 7 => "15m", 8 => "1m", 9 => "1h", _ => "5m" },
        "evaluation_interval": TICK_SECS,
        "notification_channels": ["Channel 1"],
    })
}
