//! What looks at the jobs of all tenants: who works does so for everybody.

use pulsestream_domain::{
    Timestamp,
    job::{Demand, LeasedJob, QueueFigures},
    ports::StoreError,
    tenant::TenantId,
};
use sea_orm::{ConnectionTrait as _, DbErr, FromQueryResult, QueryResult};
use serde_json::json;

use super::read::leased;
use crate::{Database, Store, entity::jobs::Model, error::UnreadableRow, lists::hex, row};

/// What can be claimed, in the order it is: who has it, and since when it waits. The conditions have to imply
/// those of the indexes.
///
/// What somebody was lost with goes first: it had its turn. Then a step per priority, so that the index leads
/// right to what is due; one range over all of them would lead past every job that is scheduled for later.
const STEPS: [(&str, &str); 4] = [
    ("lease_until <= $2", "lease_until"),
    ("lease_until IS NULL AND dead_at IS NULL AND priority = 0 AND run_at <= $2", "run_at"),
    ("lease_until IS NULL AND dead_at IS NULL AND priority = 1 AND run_at <= $2", "run_at"),
    ("lease_until IS NULL AND dead_at IS NULL AND priority = 2 AND run_at <= $2", "run_at"),
];

const FIGURES: &str = "
SELECT kind,
    count(*) FILTER (WHERE dead_at IS NULL AND coalesce(lease_until, run_at) <= $1) AS due,
    count(*) FILTER (WHERE dead_at IS NULL AND lease_until IS NULL AND run_at > $1) AS scheduled,
    count(*) FILTER (WHERE dead_at IS NULL AND lease_until > $1) AS leased,
    count(dead_at) AS dead,
    min(run_at) FILTER (WHERE dead_at IS NULL AND coalesce(lease_until, run_at) <= $1) AS oldest_due
FROM jobs GROUP BY kind ORDER BY kind";

#[derive(FromQueryResult)]
struct Figures {
    kind: String,
    due: i64,
    scheduled: i64,
    leased: i64,
    dead: i64,
    oldest_due: Option<i64>,
}

impl Store {
    /// See [`JobQueue::claim`](pulsestream_domain::ports::JobQueue::claim).
    pub(super) async fn claim_jobs(
        &self,
        demands: &[Demand],
        lease_until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<LeasedJob>, StoreError> {
        let demands: Vec<&Demand> = demands.iter().filter(|demand| demand.room > 0).collect();
        if demands.is_empty() {
            return Ok(Vec::new());
        }
        let (until, now) = (lease_until.as_micros(), now.as_micros());
        let rows = match self.database() {
            Database::Postgres => self.change(self.claim_on_postgres(&demands, until, now)).await?,
            // Looking costs the one writer nothing, and most looks find nothing.
            Database::Sqlite if !self.is_any_due(&demands, now).await? => Vec::new(),
            Database::Sqlite => self.change(self.claim_on_sqlite(&demands, until, now)).await?,
        };
        #[cfg(feature = "sabotage")]
        if !rows.is_empty() {
            pulsestream_sabotage::step("job_claimed");
        }
        Ok(rows.into_iter().map(leased).collect::<Result<_, _>>()?)
    }

    /// See [`JobQueue::figures`](pulsestream_domain::ports::JobQueue::figures).
    pub(super) async fn job_figures(&self, now: Timestamp) -> Result<Vec<QueueFigures>, StoreError> {
        let statement = self.sql(FIGURES, [now.as_micros().into()]);
        let rows = self
            .read(async {
                let rows = self.connections.queries.query_all_raw(statement).await?;
                rows.iter().map(|row| Figures::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        Ok(rows.into_iter().map(queue_figures).collect::<Result<_, _>>()?)
    }

    async fn claim_on_postgres(
        &self,
        demands: &[&Demand],
        until: i64,
        now: i64,
    ) -> Result<Vec<Model>, DbErr> {
        let has_sated = demands.iter().any(|demand| !demand.sated.is_empty());
        let wanted = |demand: &&Demand| json!({"kind": demand.kind.as_str(), "room": demand.room, "sated": hexes(&demand.sated)});
        let list = json!(demands.iter().map(wanted).collect::<Vec<_>>()).to_string();
        let text = postgres_claim(demands.len(), has_sated);
        let statement = self.sql(&text, [list.into(), now.into(), until.into()]);
        models(&self.connections.changes.across_tenants().query_all_raw(statement).await?)
    }

    async fn is_any_due(&self, demands: &[&Demand], now: i64) -> Result<bool, StoreError> {
        let kinds: Vec<&str> = demands.iter().map(|demand| demand.kind.as_str()).collect();
        let exists = STEPS
            .map(|(is_due, _)| format!("EXISTS (SELECT 1 FROM jobs WHERE kind = wanted.value AND {is_due})"));
        let text = format!("SELECT 1 FROM json_each($1) AS wanted WHERE {} LIMIT 1", exists.join(" OR "));
        let statement = self.sql(&text, [json!(kinds).to_string().into(), now.into()]);
        Ok(self.read(self.connections.lookups.across_tenants().query_one_raw(statement)).await?.is_some())
    }

    async fn claim_on_sqlite(&self, demands: &[&Demand], until: i64, now: i64) -> Result<Vec<Model>, DbErr> {
        let transaction = self.begin_across_tenants().await?;
        let mut claimed = Vec::new();
        for demand in demands {
            let sated = json!(hexes(&demand.sated)).to_string();
            let mut room = i64::from(demand.room);
            for pass in passes(!demand.sated.is_empty()) {
                let values = [
                    demand.kind.as_str().into(),
                    now.into(),
                    until.into(),
                    sated.as_str().into(),
                    room.into(),
                ];
                let rows = transaction.query_all_raw(self.sql(&sqlite_claim(pass), values)).await?;
                claimed.extend(models(&rows)?);
                room -= rows.len() as i64;
                if room == 0 {
                    break;
                }
            }
        }
        transaction.commit().await?;
        Ok(claimed)
    }
}

/// One look for jobs to claim.
struct Pass {
    is_due: &'static str,
    since: &'static str,
    /// Whether it is for tenants that are sated, or for all others.
    are_sated: bool,
}

/// Tenants that are not sated come first, whatever the priority: else one tenant's urgent jobs could hold up
/// everybody.
fn passes(has_sated: bool) -> impl Iterator<Item = Pass> {
    let groups: &[bool] = if has_sated { &[false, true] } else { &[false] };
    groups
        .iter()
        .flat_map(|are_sated| STEPS.map(|(is_due, since)| Pass { is_due, since, are_sated: *are_sated }))
}

/// One statement for all kinds, in which each pass takes what the ones before it left room for.
///
/// The number of demands is in the text: few numbers occur, and for a number the plan is made once.
fn postgres_claim(demands: usize, has_sated: bool) -> String {
    let mut text = format!(
        "WITH wanted AS (
            SELECT * FROM jsonb_to_recordset($1::jsonb) AS each (kind text, room bigint, sated uuid[])
            LIMIT {demands})"
    );
    let mut picked = Vec::new();
    for (number, Pass { is_due, since, are_sated }) in passes(has_sated).enumerate() {
        let count =
            |pass| format!(" - (SELECT count(*) FROM pass_{pass} AS before WHERE before.kind = wanted.kind)");
        let taken: String = (0..number).map(count).collect();
        let not = if are_sated { "" } else { "NOT" };
        text += &format!(
            ", pass_{number} AS (
                SELECT pick.* FROM wanted CROSS JOIN LATERAL (
                    SELECT kind, tenant_id, id FROM jobs
                    WHERE kind = wanted.kind AND {is_due} AND {not} (tenant_id = ANY (wanted.sated))
                    ORDER BY {since} LIMIT wanted.room{taken}
                    FOR UPDATE SKIP LOCKED) AS pick)"
        );
        picked.push(format!("SELECT tenant_id, id FROM pass_{number}"));
    }
    text + &format!(
        " UPDATE jobs SET token = token + 1, attempts = attempts + 1, lease_until = $3
          FROM ({}) AS picked WHERE jobs.tenant_id = picked.tenant_id AND jobs.id = picked.id
          RETURNING jobs.*",
        picked.join(" UNION ALL ")
    )
}

fn sqlite_claim(Pass { is_due, since, are_sated }: Pass) -> String {
    let not = if are_sated { "" } else { "NOT" };
    format!(
        "UPDATE jobs SET token = token + 1, attempts = attempts + 1, lease_until = $3
         WHERE (tenant_id, id) IN (
             SELECT tenant_id, id FROM jobs
             WHERE kind = $1 AND {is_due} AND tenant_id {not} IN (SELECT unhex(value) FROM json_each($4))
             ORDER BY {since} LIMIT $5)
         RETURNING *"
    )
}

fn hexes(tenants: &[TenantId]) -> Vec<String> {
    tenants.iter().map(|TenantId(id)| hex(*id)).collect()
}

fn models(rows: &[QueryResult]) -> Result<Vec<Model>, DbErr> {
    rows.iter().map(|row| Model::from_query_result(row, "")).collect()
}

fn queue_figures(figures: Figures) -> Result<QueueFigures, UnreadableRow> {
    let unreadable = || UnreadableRow { table: "jobs", column: "kind", row: figures.kind.clone() };
    Ok(QueueFigures {
        kind: row::parsed(&figures.kind).ok_or_else(unreadable)?,
        due: row::count(figures.due),
        scheduled: row::count(figures.scheduled),
        leased: row::count(figures.leased),
        dead: row::count(figures.dead),
        oldest_due: figures.oldest_due.map(Timestamp::from_micros),
    })
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::job::Priority;

    use super::*;

    #[test]
    fn there_is_a_step_for_each_priority_in_order() {
        let priorities = [Priority::High, Priority::Normal, Priority::Low];
        assert!(priorities.is_sorted());
        assert_eq!(STEPS.len(), 1 + priorities.len());
        for (priority, (is_due, _)) in priorities.into_iter().zip(&STEPS[1..]) {
            assert!(is_due.contains(&format!("priority = {} ", priority.as_number())), "{is_due}");
        }
    }
}
