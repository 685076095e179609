//! What servers stand on: a database, a Redis, a directory. Several servers may share one.

use std::{fs, path::PathBuf};

use pulsestream_testing::{databases::FreshDatabase, shared};
use sea_orm::sqlx::{
    self, AssertSqlSafe, Connection, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions,
};
use uuid::Uuid;

use crate::{Combination, Database, Limiter, Tenant, sandbox};

/// The places of one store and its limits.
pub struct Ground {
    directory: PathBuf,
    database_url: String,
    /// To look into the database with, whoever owns it.
    administrator_url: String,
    redis_url: Option<String>,
    secret_key: String,
    // Dropped last of all: it removes what the URL names.
    _database: Option<FreshDatabase>,
}

/// Servers of the trial's own instead of the shared ones.
#[derive(Default)]
pub(crate) struct Own {
    pub(crate) postgres_url: Option<String>,
    pub(crate) sqlite_url: Option<String>,
    pub(crate) redis_url: Option<String>,
}

/// An event as it is in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// The event id.
    pub external_id: Option<String>,
    /// When the server took it in, in microseconds since 1970.
    pub received_at: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// What is not in columns, as JSON.
    pub document: String,
}

impl StoredRow {
    /// What [`event_with`](crate::event_with) put into the event; nothing of any other event.
    pub fn content(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.document).unwrap_or_default();
        document["payload"]["content"].as_str().unwrap_or_default().to_owned()
    }
}

const ROWS: &str = "SELECT external_id, received_at, is_deleted, document FROM events \
                    WHERE tenant_id = $1 ORDER BY received_at, id";

impl Ground {
    pub(crate) fn new(combination: Combination, own: Own) -> Self {
        let directory = sandbox::directory();
        let (database_url, database) = match (combination.database, own.postgres_url) {
            (Database::Sqlite, _) if own.sqlite_url.is_some() => (own.sqlite_url.unwrap_or_default(), None),
            (Database::Sqlite, _) => (format!("sqlite://{}/events.db", directory.display()), None),
            (Database::Postgres, Some(url)) => (url, None),
            (Database::Postgres, None) => {
                let databases = shared::databases().unwrap_or_else(|missing| panic!("{missing:#}"));
                // Not a superuser's: who is one goes through every wall.
                let fresh = databases.fresh_with_owner().unwrap_or_else(|error| panic!("{error:#}"));
                (fresh.url(), Some(fresh))
            }
        };
        let administrator_url =
            database.as_ref().map_or_else(|| database_url.clone(), FreshDatabase::administrator_url);
        let redis_url = match (combination.limiter, own.redis_url) {
            (Limiter::InProcess, _) => None,
            (Limiter::Redis, Some(url)) => Some(url),
            (Limiter::Redis, None) => {
                let keys = shared::key_space().unwrap_or_else(|missing| panic!("{missing:#}"));
                Some(keys.url().to_owned())
            }
        };
        // No two are the same, so that servers that share a Redis hold up nobody for each other.
        let secret_key = format!("what servers in {} sign with", directory.display());
        Self { directory, database_url, administrator_url, redis_url, secret_key, _database: database }
    }

    /// A directory of its own, which a server may write to.
    pub fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// Where the database is.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// Where Redis is, if limits are counted there. The limiter's keys are named after tenants, whose ids no
    /// other run has, and expire by themselves, so that servers can share a Redis.
    pub fn redis_url(&self) -> Option<&str> {
        self.redis_url.as_deref()
    }

    /// What the servers sign tokens with, so that trials can make their own, good and bad.
    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// All events of a tenant, oldest first, deleted ones included.
    pub async fn rows(&self, tenant: &Tenant) -> Vec<StoredRow> {
        let tenant: Uuid = tenant.id.parse().expect("a tenant's id is a UUID");
        let rows = if self.database_url.starts_with("sqlite:") {
            let mut connection = self.sqlite().await;
            sqlx::query_as(ROWS).bind(tenant).fetch_all(&mut connection).await
        } else {
            let mut connection = self.postgres().await;
            sqlx::query_as(ROWS).bind(tenant).fetch_all(&mut connection).await
        };
        let row = |(external_id, received_at, is_deleted, document)| StoredRow {
            external_id,
            received_at,
            is_deleted,
            document,
        };
        rows.expect("the database can be read").into_iter().map(row).collect()
    }

    /// The one number that a query gives.
    pub async fn number(&self, query: &str) -> i64 {
        let query = AssertSqlSafe(query.to_owned());
        let number = if self.database_url.starts_with("sqlite:") {
            let mut connection = self.sqlite().await;
            sqlx::query_scalar(query).fetch_one(&mut connection).await
        } else {
            let mut connection = self.postgres().await;
            sqlx::query_scalar(query).fetch_one(&mut connection).await
        };
        number.expect("the database can be read")
    }

    /// Tries to change the database behind the server's back.
    ///
    /// # Errors
    /// What the database says against it.
    pub async fn try_execute(&self, statement: &str) -> Result<(), String> {
        let statement = AssertSqlSafe(statement.to_owned());
        let outcome = if self.database_url.starts_with("sqlite:") {
            let path = self.database_url.trim_start_matches("sqlite://");
            let options = SqliteConnectOptions::new().filename(path);
            let connection = SqliteConnection::connect_with(&options).await;
            let mut connection = connection.expect("the file can be opened");
            sqlx::query(statement).execute(&mut connection).await.map(|_| ())
        } else {
            sqlx::query(statement).execute(&mut self.postgres().await).await.map(|_| ())
        };
        outcome.map_err(|error| error.to_string())
    }

    /// A connection of the test's own to PostgreSQL.
    pub async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.administrator_url).await.expect("the database can be reached")
    }

    async fn sqlite(&self) -> SqliteConnection {
        let path = self.database_url.trim_start_matches("sqlite://");
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        SqliteConnection::connect_with(&options).await.expect("the file can be opened")
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        sandbox::remove(&self.directory);
        debug_assert!(fs::metadata(&self.directory).is_err());
    }
}
