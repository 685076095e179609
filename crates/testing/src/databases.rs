//! Databases on a PostgreSQL server, whoever runs it.

use anyhow::{Context, Result, ensure};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection};
use url::Url;
use uuid::Uuid;

use crate::blocking::block_on;

/// The right to make and remove databases on one server.
#[derive(Clone, Debug)]
pub struct Databases {
    administrator: Url,
}

impl Databases {
    /// Those of the server at `url`, whose user needs `CREATEDB` and whose database is only connected to.
    ///
    /// # Errors
    /// When `url` is not a `postgres://` or `postgresql://` URL.
    pub fn at(url: &str) -> Result<Self> {
        let administrator = Url::parse(url).context("reading the URL of PostgreSQL")?;
        let scheme = administrator.scheme();
        ensure!(["postgres", "postgresql"].contains(&scheme), "{scheme}:// is not a URL of PostgreSQL");
        Ok(Self { administrator })
    }

    /// Where to connect to the database `name`, in the form that sqlx and libpq read.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let mut url = self.administrator.clone();
        url.set_path(name);
        url.into()
    }

    /// Makes an empty database. `name` has lower-case letters, digits and `_`, at most 63 of them.
    ///
    /// # Errors
    /// When it exists, or the server refuses or can't be reached.
    pub fn create(&self, name: &str) -> Result<()> {
        self.execute(format!("CREATE DATABASE {}", identifier(name)?))
    }

    /// Makes a copy of the database `template`, which nobody may be connected to. Much faster than
    /// migrating an empty one.
    ///
    /// # Errors
    /// As [`create`](Self::create), and when `template` is missing or in use.
    pub fn create_from(&self, name: &str, template: &str) -> Result<()> {
        self.execute(format!("CREATE DATABASE {} TEMPLATE {}", identifier(name)?, identifier(template)?))
    }

    /// Removes a database with all in it, and ends the connections to it. Nothing happens if there is none.
    ///
    /// # Errors
    /// When the server refuses or can't be reached.
    pub fn drop(&self, name: &str) -> Result<()> {
        self.execute(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name)?))
    }

    /// Makes an empty database that is removed when the answer is dropped.
    ///
    /// # Errors
    /// When the server refuses or can't be reached.
    pub fn fresh(&self) -> Result<FreshDatabase> {
        let name = fresh_name();
        self.create(&name)?;
        Ok(FreshDatabase { name, owner: None, databases: self.clone() })
    }

    /// As [`fresh`](Self::fresh), and it belongs to a user of its own: one that is no superuser and may make roles, as
    /// whoever hosts the service would have it. The user goes with the database.
    ///
    /// # Errors
    /// When the server refuses or can't be reached. The user of `at` needs `CREATEROLE`.
    pub fn fresh_with_owner(&self) -> Result<FreshDatabase> {
        let mut fresh = self.fresh()?;
        let owner = format!("{}_owner", fresh.name);
        let (user, name) = (identifier(&owner)?, identifier(&fresh.name)?);
        self.execute(format!(
            "CREATE ROLE {user} LOGIN CREATEROLE PASSWORD '{owner}'; ALTER DATABASE {name} OWNER TO {user}"
        ))?;
        fresh.owner = Some(owner);
        Ok(fresh)
    }

    /// As [`fresh`](Self::fresh), a copy of `template`.
    ///
    /// # Errors
    /// As [`create_from`](Self::create_from).
    pub fn fresh_from(&self, template: &str) -> Result<FreshDatabase> {
        let name = fresh_name();
        self.create_from(&name, template)?;
        Ok(FreshDatabase { name, owner: None, databases: self.clone() })
    }

    /// The value of a setting, as `SHOW` gives it.
    ///
    /// # Errors
    /// When the server can't be reached, or has no such setting.
    pub fn setting(&self, name: &str) -> Result<String> {
        block_on(async {
            let mut connection = PgConnection::connect(self.administrator.as_str()).await?;
            let ask = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
            let value = ask.fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(value)
        })
    }

    fn execute(&self, statement: String) -> Result<()> {
        block_on(async {
            let mut connection = PgConnection::connect(self.administrator.as_str()).await?;
            sqlx::raw_sql(AssertSqlSafe(statement.as_str())).execute(&mut connection).await?;
            connection.close().await
        })
        .with_context(|| format!("running {statement}"))
    }
}

/// A database of one test. Dropping it removes the database, whoever is still connected.
#[derive(Debug)]
pub struct FreshDatabase {
    name: String,
    /// Its user, who has its own name as password.
    owner: Option<String>,
    databases: Databases,
}

impl FreshDatabase {
    /// Its name: `pulsestream_test_` and 32 random hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where to connect to it, as its owner.
    #[must_use]
    pub fn url(&self) -> String {
        let administrator = self.administrator_url();
        let Some(owner) = &self.owner else { return administrator };
        let mut url = Url::parse(&administrator).expect("it was made of a URL");
        url.set_username(owner).expect("it has a host");
        url.set_password(Some(owner)).expect("it has a host");
        url.into()
    }

    /// Where to connect to it, as the user that made it.
    #[must_use]
    pub fn administrator_url(&self) -> String {
        self.databases.url(&self.name)
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        if let Err(error) = self.databases.drop(&self.name) {
            eprintln!("the database {} was left behind: {error:#}", self.name);
        }
        // The one that the service makes for itself, and the owner. Copies of the database may need it still.
        let tenant_role = format!("{}_tenant", self.name);
        for role in [Some(&tenant_role), self.owner.as_ref()].into_iter().flatten() {
            _ = self.databases.execute(format!("DROP ROLE IF EXISTS \"{role}\""));
        }
    }
}

/// A name that no other test has, in this process or any other.
#[expect(clippy::disallowed_methods, reason = "two runs on one server must not meet, so no seed can serve")]
pub(crate) fn fresh_name() -> String {
    format!("pulsestream_test_{}", Uuid::new_v4().simple())
}

/// A name that means the same quoted or not, and that the server will not cut.
fn identifier(name: &str) -> Result<String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    ensure!(
        (1..=63).contains(&name.len()) && name.bytes().all(is_plain),
        "{name:?} is not a name for a database here",
    );
    Ok(format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_database_and_keeps_the_rest() {
        for (administrator, expected) in [
            (
                "postgres://postgres@localhost:5432/postgres?host=/tmp/x",
                "postgres://postgres@localhost:5432/app?host=/tmp/x",
            ),
            (
                "postgresql://me:p%40ss@db.example?sslmode=require",
                "postgresql://me:p%40ss@db.example/app?sslmode=require",
            ),
        ] {
            assert_eq!(Databases::at(administrator).unwrap().url("app"), expected);
        }
        assert!(Databases::at("mysql://localhost/x").is_err());
    }

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        for name in ["", "App", "a b", "a\"; DROP DATABASE b", "ä", &"a".repeat(64)] {
            assert!(identifier(name).is_err(), "{name}");
        }
        assert_eq!(identifier(&fresh_name()).unwrap().len(), 17 + 32 + 2);
    }
}
