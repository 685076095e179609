//! HTTP alone: reads an event, parses it as the product does, answers, and stores nothing.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{Bytes, post},
};
use anyhow::{Context, Result};
use pulsestream_domain::{
    event::{Defaults, parse},
    ports::{Clock as _, IdSource},
    tenant::TenantId,
};
use pulsestream_ingestion::{SystemClock, SystemIds};
use serde_json::{json, value::RawValue};
use uuid::Uuid;

use crate::{process::Process, runtime::block_on};

thread_local! {
    static IDS: SystemIds = SystemIds::default();
}

/// Serves on a free port until the process ends, and writes the address to this file.
///
/// # Errors
/// When it can't listen.
pub(crate) fn serve(address_file: &Path) -> Result<()> {
    block_on(async {
        let server = HttpServer::new(|| App::new().route("/api/v1/ingestion/events", post().to(answer)))
            .bind("127.0.0.1:0")
            .context("listening")?;
        let address = server.addrs().first().copied().context("it listens somewhere")?;
        // Renamed, so that a reader finds all of it or none.
        let unfinished = address_file.with_extension("new");
        fs::write(&unfinished, address.to_string()).context("writing down the address")?;
        fs::rename(&unfinished, address_file).context("writing down the address")?;
        server.run().await.context("serving")
    })
}

/// Starts this very program as such a server. `directory` takes the file with its address.
///
/// # Errors
/// When it does not start.
pub(crate) fn start(directory: &Path) -> Result<Process> {
    let address_file = directory.join("parse_only_address");
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("--serve-parse-only").arg(&address_file).stdin(Stdio::null());
    Process::start(&mut command, &address_file)
}

async fn answer(body: Bytes) -> HttpResponse {
    let now = SystemClock.now();
    let id = IDS.with(|ids| ids.uuid_v7(now));
    let defaults = Defaults { tenant_id: TenantId(Uuid::nil()), id, event_id: None, now };
    let parsed = serde_json::from_slice::<&RawValue>(&body).ok().map(|raw| parse(raw, defaults));
    match parsed {
        Some(Ok(event)) => HttpResponse::Ok().json(json!({
            "success": true,
            "event_id": event.event_id,
            "status": "accepted",
            "message": "Event ingested successfully",
        })),
        _ => HttpResponse::UnprocessableEntity().finish(),
    }
}
