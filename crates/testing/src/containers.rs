//! Servers as containers, for machines that have Docker and not the servers.
//!
//! They listen on a port of the loopback interface that Docker picks, and a watchdog removes them with the
//! `docker` program: testcontainers itself removes only what is dropped, which statics are not.

use std::mem;

use anyhow::{Context, Result};
use testcontainers_modules::{
    postgres::Postgres,
    redis::{REDIS_PORT, Redis},
    testcontainers::{Image, ImageExt, core::ContainerRequest, runners::AsyncRunner},
};

use crate::{blocking::block_on, postgres::SETTINGS, watchdog::Watchdog};

/// Starts a PostgreSQL like the private one. Answers with its URL and what ends it when dropped.
pub(crate) fn postgres() -> Result<(String, Watchdog)> {
    let settings = SETTINGS.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]);
    let request = Postgres::default()
        .with_fsync_enabled()
        .with_tag("17")
        .with_env_var("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8")
        .with_cmd(settings);
    let (address, watchdog) = start(request, 5432)?;
    Ok((format!("postgres://postgres:postgres@{address}/postgres"), watchdog))
}

/// Starts a Redis. Answers with its URL and what ends it when dropped.
pub(crate) fn redis() -> Result<(String, Watchdog)> {
    let request =
        Redis::default().with_tag("7").with_cmd(["redis-server", "--save", "", "--appendonly", "no"]);
    let (address, watchdog) = start(request, REDIS_PORT)?;
    Ok((format!("redis://{address}"), watchdog))
}

fn start<I: Image>(request: ContainerRequest<I>, port: u16) -> Result<(String, Watchdog)> {
    block_on(async {
        let container = request.start().await.context("starting a container")?;
        let host = container.get_host().await.context("asking for the host of a container")?;
        let port = container.get_host_port_ipv4(port).await.context("asking for the port of a container")?;
        let watchdog = Watchdog::over_container(container.id())?;
        // The watchdog has it now. Its own `drop` needs this runtime, which is about to end.
        mem::forget(container);
        Ok((format!("{host}:{port}"), watchdog))
    })
}
