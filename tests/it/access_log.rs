//! A real log of a web server: imported, counted, imported again.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use pulsestream_tests::{App, Combination, Tenant, Trial, command, on_some, sandbox};
use serde_json::Value;

/// Ten thousand events in a debug build on a busy machine.
const CAP: Duration = Duration::from_secs(180);
/// Where a log of 10,000 lines may lie, beside the repository.
const REAL_LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/access.log");
/// How many lines of each status it has.
const REAL_COUNTS: [(u16, u64); 8] =
    [(200, 9_126), (304, 445), (404, 213), (301, 164), (206, 45), (500, 3), (403, 2), (416, 2)];

pub(crate) fn trials() -> Vec<Trial> {
    let mut all = on_some!(
        &[Combination::SQLITE, Combination::POSTGRES], within CAP;
        an_access_log_is_imported_straight_into_the_store,
    );
    all.extend(on_some!(
        &[Combination::POSTGRES_REDIS], within CAP;
        an_access_log_is_imported_over_http,
    ));
    all
}

async fn an_access_log_is_imported_straight_into_the_store(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.tenant().await;
    let log = AccessLog::find();

    let import = async || {
        let mut import = command::program(app.ground(), app.settings());
        import.arg("import").arg(&log.path).args(["--json", "--tenant", &tenant.slug]);
        command::json(import).await
    };

    assert_tally(&import().await, log.events(), 0);
    assert_stored(&app, &tenant, &log).await;
    assert_tally(&import().await, 0, log.events());
    assert_stored(&app, &tenant, &log).await;
}

async fn an_access_log_is_imported_over_http(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;
    let log = AccessLog::find();

    let import = async || {
        let mut import = command::bare();
        import.arg("import").arg(&log.path).args(["--json", "--url", &app.url(""), "--key", &tenant.key]);
        import.current_dir(app.ground().directory());
        command::json(import).await
    };

    assert_tally(&import().await, log.events(), 0);
    assert_tally(&import().await, 0, log.events());
    assert_stored(&app, &tenant, &log).await;
}

#[track_caller]
fn assert_tally(tally: &Value, stored: u64, duplicates: u64) {
    let counts = ["stored", "duplicates", "bad"].map(|name| tally[name].as_u64());
    assert_eq!(counts, [Some(stored), Some(duplicates), Some(0)], "{tally}");
}

async fn assert_stored(app: &App, tenant: &Tenant, log: &AccessLog) {
    assert_eq!(app.rows(tenant).await.len() as u64, log.events());
    let total = async |parameters: &[(&str, &str)]| {
        let found = tenant.search(&[parameters, &[("limit", "1")]].concat()).await.expect(200).json();
        assert_ne!(found["total_count_is_lower_bound"], true, "{found}");
        found["total_count"].as_u64().expect("a number")
    };
    assert_eq!(total(&[]).await, log.events());
    for (status, lines) in &log.counts {
        assert_eq!(total(&[("status_code", &status.to_string())]).await, *lines, "status {status}");
    }
    let first = tenant.search(&[("order", "asc"), ("limit", "1")]).await.expect(200).json();
    let first = &first["events"][0];
    assert_eq!(first["timestamp"], "2015-05-17T10:05:00Z", "{first}");
    assert_eq!(first["source"]["method"], "GET");
    assert!(first["context"]["ip_address"].is_string(), "{first}");
}

struct AccessLog {
    path: PathBuf,
    /// How many lines each status has.
    counts: BTreeMap<u16, u64>,
}

impl AccessLog {
    /// The real one, or, where there is none, one that looks like it.
    fn find() -> Self {
        let real = Path::new(REAL_LOG);
        if real.exists() {
            return Self { path: real.to_owned(), counts: REAL_COUNTS.into() };
        }
        let counts: BTreeMap<u16, u64> =
            REAL_COUNTS.into_iter().map(|(status, lines)| (status, lines.div_ceil(30))).collect();
        let path = sandbox::directory().join("access.log");
        fs::write(&path, lines(&counts)).expect("the directory is ours");
        Self { path, counts }
    }

    fn events(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// Lines of the combined format, ten in a second, the statuses one after the other.
fn lines(counts: &BTreeMap<u16, u64>) -> String {
    let statuses = counts.iter().flat_map(|(status, lines)| (0..*lines).map(move |_| *status));
    let line = |(number, status): (usize, u16)| {
        let (minute, second) = (5 + number / 600, number / 10 % 60);
        format!(
            "83.149.9.216 - - [17/May/2015:10:{minute:02}:{second:02} +0000] \"GET /page/{} HTTP/1.1\" {status} {} \
             \"http://example.com/?q=\\\"x\\\"\" \"Mozilla/5.0 (X11; Linux)\"\n",
            number % 7,
            number * 13
        )
    };
    statuses.enumerate().map(line).collect()
}
