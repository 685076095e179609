//! What the database itself writes down about each job: who claimed it, who ended it, and what effect it had.
//!
//! On PostgreSQL each process has a name of its own, so the ledger knows whose statement ended a job and can
//! compare it with who held the job by then. SQLite has one process at a time.

use anyhow::{Context as _, Result};
use pulsestream_domain::{Timestamp, job::Lease};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr, FromQueryResult,
    Statement, TransactionTrait as _, Value,
};

const TABLES: [&str; 3] = [
    "CREATE TABLE claims (job text NOT NULL, token bigint NOT NULL, name text NOT NULL, \
     PRIMARY KEY (job, token))",
    "CREATE TABLE endings (job text NOT NULL, token bigint NOT NULL, name text NOT NULL, how text NOT NULL)",
    "CREATE TABLE effects (job text NOT NULL, token bigint NOT NULL, kind text NOT NULL)",
];

const POSTGRES_TRIGGERS: &str = "
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE me text := current_setting('application_name');
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO endings VALUES (replace(old.id::text, '-', ''), old.token, me, 'completed');
    ELSIF new.token > old.token THEN
        INSERT INTO claims VALUES (replace(new.id::text, '-', ''), new.token, me);
    ELSIF old.lease_until IS NOT NULL AND new.lease_until IS NULL THEN
        INSERT INTO endings VALUES (replace(old.id::text, '-', ''), old.token, me, 'kept');
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION note();";

const SQLITE_TRIGGERS: &str = "
CREATE TRIGGER note_claim AFTER UPDATE ON jobs WHEN new.token > old.token
BEGIN INSERT INTO claims VALUES (lower(hex(new.id)), new.token, ''); END;
CREATE TRIGGER note_kept AFTER UPDATE ON jobs WHEN old.lease_until IS NOT NULL AND new.lease_until IS NULL
BEGIN INSERT INTO endings VALUES (lower(hex(old.id)), old.token, '', 'kept'); END;
CREATE TRIGGER note_completion AFTER DELETE ON jobs
BEGIN INSERT INTO endings VALUES (lower(hex(old.id)), old.token, '', 'completed'); END;";

/// Each figure as a query of its own.
const ACCOUNT: &str = "
SELECT
    (SELECT count(*) FROM endings WHERE how = 'completed') AS completions,
    (SELECT count(DISTINCT job) FROM endings WHERE how = 'completed') AS completed_jobs,
    (SELECT count(*) FROM jobs WHERE dead_at IS NOT NULL) AS dead,
    (SELECT count(*) FROM jobs WHERE dead_at IS NOT NULL AND payload IN ('fail', 'panic', 'hang')
     AND error IS NOT NULL) AS dead_poison,
    (SELECT count(*) FROM endings LEFT JOIN claims USING (job, token)
     WHERE claims.name IS NULL OR claims.name <> endings.name) AS ended_by_others,
    (SELECT count(*) FROM endings WHERE how = 'completed' AND NOT EXISTS (
        SELECT 1 FROM effects WHERE effects.job = endings.job AND effects.token = endings.token
    )) AS completed_without_effect,
    (SELECT count(*) FROM effects WHERE kind = 'once') AS once_effects,
    (SELECT count(DISTINCT job) FROM effects WHERE kind = 'once') AS once_jobs,
    (SELECT count(*) FROM effects WHERE kind = 'plain') AS plain_effects,
    (SELECT count(*) FROM claims LEFT JOIN endings USING (job, token)
     WHERE endings.how IS NULL) AS attempts_left_over";

/// How the work ended.
#[derive(FromQueryResult, Debug)]
pub(crate) struct Account {
    pub(crate) completions: i64,
    pub(crate) completed_jobs: i64,
    pub(crate) dead: i64,
    pub(crate) dead_poison: i64,
    /// Endings by a process that had not claimed the job under that token.
    pub(crate) ended_by_others: i64,
    /// Completions under a token whose holder had not written its effect.
    pub(crate) completed_without_effect: i64,
    pub(crate) once_effects: i64,
    pub(crate) once_jobs: i64,
    /// More than the jobs of that kind, by those that were run twice. Only shown.
    #[expect(dead_code, reason = "it is printed")]
    pub(crate) plain_effects: i64,
    /// Claims whose holder never ended the job: it was killed, paused or cut off.
    pub(crate) attempts_left_over: i64,
}

pub(crate) struct Ledger {
    db: DatabaseConnection,
}

impl Ledger {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        Self::open_as(url, "ledger").await
    }

    /// With connections of that name, so that what is completed through them is known as its owner's.
    pub(crate) async fn open_as(url: &str, name: &str) -> Result<Self> {
        let is_postgres = url.starts_with("postgres");
        let url = if is_postgres { format!("{url}&application_name={name}") } else { url.to_owned() };
        let mut options = ConnectOptions::new(url);
        options.max_connections(if is_postgres { 4 } else { 1 }).sqlx_logging(false);
        Ok(Self { db: Database::connect(options).await? })
    }

    pub(crate) async fn create(&self) -> Result<()> {
        for table in TABLES {
            self.db.execute_unprepared(table).await?;
        }
        let triggers = match self.db.get_database_backend() {
            DbBackend::Sqlite => SQLITE_TRIGGERS,
            _ => POSTGRES_TRIGGERS,
        };
        self.db.execute_unprepared(triggers).await?;
        Ok(())
    }

    /// Writes down that the holder of this lease has done the job.
    pub(crate) async fn write(&self, lease: &Lease) -> Result<(), DbErr> {
        self.db.execute_raw(self.effect(lease, "plain")).await?;
        Ok(())
    }

    /// The same, if the lease still holds, and completes the job with it. Changes nothing when it does not.
    pub(crate) async fn write_and_complete(&self, lease: &Lease, now: Timestamp) -> Result<(), DbErr> {
        let transaction = self.db.begin().await?;
        let complete =
            "DELETE FROM jobs WHERE tenant_id = $1 AND id = $2 AND token = $3 AND lease_until > $4";
        let values =
            [lease.tenant_id.0.into(), lease.id.0.into(), lease.token.into(), now.as_micros().into()];
        let completed = transaction.execute_raw(self.sql(complete, values)).await?;
        if completed.rows_affected() == 0 {
            return transaction.rollback().await;
        }
        transaction.execute_raw(self.effect(lease, "once")).await?;
        transaction.commit().await
    }

    /// How many jobs are not dead.
    pub(crate) async fn live_jobs(&self) -> Result<i64> {
        self.count("SELECT count(*) FROM jobs WHERE dead_at IS NULL", []).await
    }

    /// How many slow jobs the process of this name holds; on SQLite, that anybody holds.
    pub(crate) async fn slow_jobs_of(&self, name: &str) -> Result<i64> {
        let id = match self.db.get_database_backend() {
            DbBackend::Sqlite => "lower(hex(jobs.id))",
            _ => "replace(jobs.id::text, '-', '')",
        };
        let text = format!(
            "SELECT count(*) FROM jobs JOIN claims ON claims.job = {id} AND claims.token = jobs.token
             WHERE jobs.lease_until IS NOT NULL AND payload = 'slow' AND name IN ($1, '')"
        );
        self.count(&text, [name.into()]).await
    }

    pub(crate) async fn account(&self) -> Result<Account> {
        let account = self.sql(ACCOUNT, []);
        Account::find_by_statement(account).one(&self.db).await?.context("counts are a row")
    }

    async fn count<const N: usize>(&self, text: &str, values: [Value; N]) -> Result<i64> {
        let row = self.db.query_one_raw(self.sql(text, values)).await?.context("a count is a row")?;
        Ok(row.try_get_by_index(0)?)
    }

    fn effect(&self, lease: &Lease, kind: &str) -> Statement {
        let values = [lease.id.0.simple().to_string().into(), lease.token.into(), kind.into()];
        self.sql("INSERT INTO effects VALUES ($1, $2, $3)", values)
    }

    fn sql(&self, text: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        Statement::from_sql_and_values(self.db.get_database_backend(), text, values)
    }
}
