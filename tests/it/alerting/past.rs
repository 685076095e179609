//! What a rule would have done over a real log of a web server.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use pulsestream_tests::{App, Combination, Trial, command, on_some, sandbox};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{EACH_DATABASE, post, text};

/// Where a log of 10,000 lines may lie, beside the repository.
const REAL_LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/access.log");
const MIN_COUNT: u64 = 4;
const HOUR: i64 = 3_600;

pub(super) fn trials() -> Vec<Trial> {
    on_some!(
        &EACH_DATABASE, within Duration::from_secs(180);
        a_backtest_finds_the_hours_that_a_count_over_the_file_finds,
    )
}

async fn a_backtest_finds_the_hours_that_a_count_over_the_file_finds(combination: Combination) {
    let app = App::start(combination).await;
    let tenant = app.unlimited_tenant().await;
    let path = sandbox::directory().join("missing.log");
    fs::write(&path, log()).expect("the directory is ours");
    let mut import = command::bare();
    import.arg("import").arg(&path).args(["--json", "--url", &app.url(""), "--key", &tenant.key]);
    import.current_dir(app.ground().directory());
    assert_eq!(command::json(import).await["bad"], 0);

    let expected = hours_in_a_row(&path);
    assert!(expected.len() > 1, "the log has something to find: {expected:?}");
    println!("{combination}: {} alerts, as awk counts", expected.len());
    let body = json!({
        "rule": {
            "name": "Missing pages", "severity": "low", "filter": {"status_code": 404}, "time_window": "1h",
            "condition": {"type": "count", "min_count": MIN_COUNT}, "evaluation_interval": HOUR,
            "cooldown_minutes": 0, "max_alerts_per_hour": 1_000,
        },
        "start_time": "2015-05-17T00:00:00Z",
        "end_time": "2015-05-22T00:00:00Z",
    });
    let answer = post(&tenant, "/rules/backtest", &body).await;
    let episodes = answer["backtest"]["episodes"].as_array().expect("a list");
    let found: Vec<Episode> = episodes.iter().map(Episode::read).collect();
    assert_eq!(found, expected, "{answer}");
    assert_eq!(answer["backtest"]["alerts"], expected.len(), "{answer}");
    let rules = tenant.get("/api/v1/alerting/alerts").await.expect(200).json();
    assert_eq!(rules["total_count"], 0, "nothing of it is kept");
}

/// Seconds since 1970 at which windows of an hour that hold enough begin to end, and cease to; and the counts.
#[derive(PartialEq, Debug)]
struct Episode {
    started: i64,
    resolved: i64,
    first: u64,
    largest: u64,
}

impl Episode {
    fn read(episode: &Value) -> Self {
        let secs = |name: &str| {
            OffsetDateTime::parse(text(&episode[name]), &Rfc3339).expect("RFC 3339").unix_timestamp()
        };
        let count = |name: &str| episode[name].as_f64().expect("a number") as u64;
        Self {
            started: secs("started_at"),
            resolved: secs("resolved_at"),
            first: count("value"),
            largest: count("max_value"),
        }
    }
}

/// Counts the lines with 404 by the hour, and prints when each of these hours ends. All of it is one month's.
const AWK: &str = r#"
BEGIN { FS = "[][]"; MAY_2015 = 1430438400 }
/" 404 / {
    split($2, time, /[\/: ]/)
    if (time[2] != "May" || time[3] != 2015 || time[7] != "+0000") exit 1
    ends[MAY_2015 + (time[1] - 1) * 86400 + (time[4] + 1) * 3600]++
}
END { for (end in ends) print end, ends[end] }
"#;

/// The same by counting lines, which awk does.
fn hours_in_a_row(log: &Path) -> Vec<Episode> {
    let output = Command::new("awk").arg(AWK).arg(log).output().expect("awk runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("awk prints numbers");
    let number = |text: &str| text.parse::<u32>().expect("awk prints numbers");
    let count = |line: &str| {
        let (end, count) = line.split_once(' ').expect("an hour and its count");
        (i64::from(number(end)), u64::from(number(count)))
    };
    let counts: BTreeMap<i64, u64> = text.lines().map(count).collect();
    let mut episodes: Vec<Episode> = Vec::new();
    for (end, count) in counts.into_iter().filter(|(_, count)| *count >= MIN_COUNT) {
        match episodes.last_mut() {
            Some(last) if last.resolved == end => {
                last.resolved = end + HOUR;
                last.largest = last.largest.max(count);
            }
            _ => episodes.push(Episode { started: end, resolved: end + HOUR, first: count, largest: count }),
        }
    }
    episodes
}

/// The real one, or, where there is none, one that looks like it.
fn log() -> String {
    if Path::new(REAL_LOG).exists() {
        return fs::read_to_string(REAL_LOG).expect("it can be read");
    }
    let line = |(hour, number): (usize, usize)| {
        let status = if number % 3 == 0 { 404 } else { 200 };
        format!(
            "83.149.9.216 - - [{:02}/May/2015:{:02}:{number:02}:07 +0000] \"GET /page/{number} HTTP/1.1\" {status} 13 \
             \"-\" \"Mozilla/5.0\"\n",
            17 + hour / 24,
            hour % 24
        )
    };
    (0..72).flat_map(|hour| (0..hour * 7 % 23).map(move |number| (hour, number))).map(line).collect()
}
