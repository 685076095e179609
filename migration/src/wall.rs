//! The second wall between tenants: row-level security of PostgreSQL.
//!
//! What a tenant asks for is asked under a role of its own, the tenant role. It owns nothing, can't log in, has no
//! way past a policy, and sees of each table the rows of the tenant that the transaction names in `app.tenant_id`:
//! none when it names none. So a statement that forgets its tenant finds nothing instead of everything.
//!
//! The wall is no step of the schema, since it follows from the tables there are: after the steps, whatever lacks
//! its policy gets it. Where the user of the database may not make the role, there is no wall, and a later
//! migration by somebody who may puts it up.

use sea_orm_migration::{
    prelude::DbErr,
    sea_orm::{ConnectionTrait, DatabaseBackend, DatabaseTransaction, Statement},
};

/// Tables whose owner is not held to the policies, each for a reason:
///
/// - `events`: ingestion commits events of many tenants in one statement, and a search by words or patterns loses
///   its index under a policy, for `@@` and `LIKE` are not leakproof.
/// - `jobs`: who works does so for all tenants.
/// - `api_keys`, `tenants`: a request presents a key, or a slug, before anybody knows whose it is.
/// - `sessions`, `password_resets`, `seen_messages`: what expired is removed for all tenants.
///
/// The tenant role is held to the policies of these as of all others.
pub const OPEN_TO_THE_OWNER: [&str; 7] =
    ["events", "jobs", "api_keys", "tenants", "sessions", "password_resets", "seen_messages"];

/// With this setting on, the owner sees every row of every table, and changes none: for backups.
pub const WHOLE_STORE: &str = "app.whole_store";

/// What stands between tenants in a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wall {
    /// Nothing but the statements' own conditions.
    Absent,
    /// The policies of this role.
    Up {
        /// The role to ask under.
        role: String,
    },
    /// Policies that would hide everything from this user: it may not take on the role, or does not own the tables.
    Barred {
        /// The role to ask under.
        role: String,
    },
}

/// The role is the one that the policies name, so a database may be copied under another name.
const LOOK: &str = "
SELECT r.rolname::text, pg_has_role(current_user, r.oid, 'MEMBER')
    AND (pg_has_role(current_user, c.relowner, 'USAGE') OR me.rolbypassrls)
FROM pg_policy p JOIN pg_roles r ON r.oid = p.polroles[1]
JOIN pg_class c ON c.oid = p.polrelid JOIN pg_roles me ON me.rolname = current_user
WHERE p.polname = 'tenant_wall' AND p.polrelid = to_regclass('tenants')";

/// Tables that belong to tenants, with the column that says to which.
///
/// `tenants` is one of them: its rows belong to themselves.
const TENANT_TABLES: &str = "
SELECT c.oid, c.relname, c.relowner, c.relrowsecurity, c.relforcerowsecurity, a.attname
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
  AND (a.attname = 'tenant_id' OR (c.relname = 'tenants' AND a.attname = 'id'))";

/// Finds out what stands in a database.
///
/// # Errors
/// When the database does not answer.
pub async fn look(db: &impl ConnectionTrait) -> Result<Wall, DbErr> {
    if db.get_database_backend() != DatabaseBackend::Postgres {
        return Ok(Wall::Absent);
    }
    let found = db.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, LOOK)).await?;
    let Some(found) = found else { return Ok(Wall::Absent) };
    let role = found.try_get_by_index(0)?;
    Ok(if found.try_get_by_index(1)? { Wall::Up { role } } else { Wall::Barred { role } })
}

/// Puts up what is missing, on PostgreSQL. Takes locks only where something is.
pub(crate) async fn raise(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    let ask =
        |text: String| transaction.query_one_raw(Statement::from_string(DatabaseBackend::Postgres, text));
    if ask(is_something_missing()).await?.is_some() && ask(MAY_RAISE.to_owned()).await?.is_some() {
        transaction.execute_unprepared(&put_up()).await?;
    }
    Ok(())
}

/// Whether this user may make the role, or has it.
const MAY_RAISE: &str = "
SELECT 1 FROM pg_roles me
WHERE me.rolname = current_user
  AND (me.rolsuper OR me.rolcreaterole OR EXISTS (
      SELECT FROM pg_roles r
      WHERE r.rolname = left(current_database(), 56) || '_tenant' AND pg_has_role(me.oid, r.oid, 'MEMBER')))";

/// A table without its policies, or with other rights than those given below.
fn is_something_missing() -> String {
    format!(
        "SELECT 1 FROM ({TENANT_TABLES}) AS t
         LEFT JOIN pg_policy p ON p.polrelid = t.oid AND p.polname = 'tenant_wall'
         LEFT JOIN pg_roles r ON r.oid = p.polroles[1]
         LEFT JOIN pg_policy w ON w.polrelid = t.oid AND w.polname = 'whole_store'
         WHERE r.oid IS NULL OR w.oid IS NULL OR NOT t.relrowsecurity
           OR t.relforcerowsecurity = (t.relname = ANY ({open}))
           OR NOT has_table_privilege(r.oid, t.oid, 'SELECT')
           OR has_table_privilege(r.oid, t.oid, 'UPDATE') = (t.relname = 'audit_log')
         LIMIT 1",
        open = open_to_the_owner()
    )
}

/// Two databases of one server that do this at the same time make roles of different names.
fn put_up() -> String {
    format!(
        "DO $wall$
         DECLARE
             tenant_role name := left(current_database(), 56) || '_tenant';
             target record;
         BEGIN
             IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = tenant_role) THEN
                 EXECUTE format('CREATE ROLE %I NOLOGIN', tenant_role);
             END IF;
             -- Also to the owner, should somebody with more rights do this for them.
             FOR target IN SELECT DISTINCT pg_get_userbyid(c.relowner) AS name FROM pg_class c
                 WHERE c.oid = to_regclass('tenants') OR pg_get_userbyid(c.relowner) = current_user LOOP
                 IF NOT pg_has_role(target.name, tenant_role, 'MEMBER') THEN
                     EXECUTE format('GRANT %I TO %I', tenant_role, target.name);
                 END IF;
             END LOOP;
             EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), tenant_role);
             FOR target IN {TENANT_TABLES} LOOP
                 EXECUTE format('REVOKE ALL ON %I FROM %I', target.relname, tenant_role);
                 EXECUTE format('GRANT %s ON %I TO %I', CASE target.relname
                     WHEN 'audit_log' THEN 'SELECT, INSERT'
                     WHEN 'events' THEN 'SELECT, UPDATE, DELETE'
                     WHEN 'tenants' THEN 'SELECT, INSERT, UPDATE'
                     ELSE 'SELECT, INSERT, UPDATE, DELETE' END, target.relname, tenant_role);
                 EXECUTE format('DROP POLICY IF EXISTS tenant_wall ON %I', target.relname);
                 EXECUTE format('CREATE POLICY tenant_wall ON %I TO %I USING
                     (%I = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)',
                     target.relname, tenant_role, target.attname);
                 EXECUTE format('DROP POLICY IF EXISTS whole_store ON %I', target.relname);
                 EXECUTE format('CREATE POLICY whole_store ON %I FOR SELECT TO %I USING
                     (current_setting(''{WHOLE_STORE}'', true) = ''on'')',
                     target.relname, pg_get_userbyid(target.relowner));
                 EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', target.relname);
                 EXECUTE format('ALTER TABLE %I %s FORCE ROW LEVEL SECURITY', target.relname,
                     CASE WHEN target.relname = ANY ({open}) THEN 'NO' ELSE '' END);
             END LOOP;
         END $wall$",
        open = open_to_the_owner()
    )
}

fn open_to_the_owner() -> String {
    format!("'{{{}}}'::text[]", OPEN_TO_THE_OWNER.join(","))
}
