//! `pulsestream audit`.

use anyhow::{Context, Result};
use clap::{Args, value_parser};
use pulsestream_domain::{
    ParseTimestampError, Timestamp,
    identity::{Actor, AuditAction, AuditEntry, AuditFilter, AuditHash},
    tenant::Slug,
};
use serde::Serialize;

use super::{output::Output, target::find_tenant};
use crate::{compose, first_start, settings::Settings};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Whose book
    #[arg(long, value_name = "SLUG", default_value = first_start::DEFAULT_TENANT)]
    tenant: Slug,
    /// Not before this time, as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Not after this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// By whom: `user:ID`, `key:ID`, `operator` or `anonymous`
    #[arg(long)]
    actor: Option<Actor>,
    /// What, such as key.created
    #[arg(long, value_parser = parse_action)]
    action: Option<AuditAction>,
    /// To what: `user:ID`, `key:ID`, `session:ID` or `tenant:ID`
    #[arg(long)]
    target: Option<String>,
    /// At most so many, from the newest on
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..=100_000))]
    limit: u64,
}

fn parse_time(text: &str) -> Result<Timestamp, ParseTimestampError> {
    Timestamp::parse(text)
}

fn parse_action(text: &str) -> Result<AuditAction, String> {
    let names = || AuditAction::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("must be one of {}", names()))
}

/// An entry as it is printed.
#[derive(Serialize)]
struct Shown {
    id: String,
    at: Timestamp,
    actor: Actor,
    action: AuditAction,
    target: String,
    before_hash: Option<AuditHash>,
    after_hash: Option<AuditHash>,
    ip: Option<String>,
    request_id: Option<String>,
}

impl From<AuditEntry> for Shown {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            before_hash: entry.before,
            after_hash: entry.after,
            ip: entry.ip.map(|ip| ip.to_string()),
            request_id: entry.request_id,
        }
    }
}

/// Prints the book of the store that the settings name, newest first.
pub(crate) async fn run(arguments: Arguments, settings: &Settings, output: Output) -> Result<()> {
    let Arguments { tenant, since, until, actor, action, target, limit } = arguments;
    let store = compose::store(settings).await?;
    let tenant = find_tenant(&store, &tenant).await?;
    let filter = AuditFilter { from: since, to: until, actor, action, target };
    let entries = store.audit_log(tenant.id, &filter, None, limit).await.context("reading the book")?;
    store.close().await;
    let shown: Vec<Shown> = entries.into_iter().map(Shown::from).collect();
    let head = ["AT", "ACTOR", "ACTION", "TARGET", "FROM"];
    let cells = |entry: &Shown| {
        [
            entry.at.to_string(),
            entry.actor.to_string(),
            entry.action.to_string(),
            entry.target.clone(),
            entry.ip.clone().unwrap_or_default(),
        ]
    };
    output.table(head, &shown, cells).context("printing")
}
