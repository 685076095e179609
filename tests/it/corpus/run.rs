//! One table on one combination.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use pulsestream_tests::{App, Combination, Tenant};
use serde_json::{Map, Value};

use super::{
    cost::Meter,
    exchange::{Heard, Sending, exchange},
    judge,
    names::Names,
    piece, record, stored,
    table::{self, Case, Expectation, Request, Step, Table},
};

/// Sends every case of a table and reports all that went wrong at once.
pub(super) async fn table(name: String, combination: Combination) {
    let table = table::read(&name);
    let app = match table.own_server {
        true => Arc::new(App::start(combination).await),
        false => App::shared(combination).await,
    };
    let (names, tenants) = Names::for_text(&table.text, &app).await;
    let run = Run { app: &app, tenants: &tenants, names };

    let mut stage = run.clone();
    let mut reports = Vec::new();
    for (index, step) in table.given.iter().enumerate() {
        reports.extend(stage.step(&format!("{name} given/{index}"), step, true).await);
    }
    let (stalling, others): (Vec<_>, Vec<_>) = table.cases.iter().partition(|case| case.stalls);
    let waiting = join_all(stalling.into_iter().map(|case| stage.clone().case(case)));
    let one_by_one = async {
        let mut reports = Vec::new();
        for case in others {
            reports.extend(stage.clone().case(case).await);
        }
        reports
    };
    let (stalled, gone_through) = tokio::join!(waiting, one_by_one);
    reports.extend(stalled.into_iter().flatten().chain(gone_through));
    reports.extend(stage.overall(&table).await);
    let count = table.cases.len();
    assert!(reports.is_empty(), "{} of {count} cases go wrong\n{}", reports.len(), reports.join("\n"));
}

#[derive(Clone)]
struct Run<'a> {
    app: &'a App,
    tenants: &'a [Tenant],
    names: Names,
}

impl Run<'_> {
    /// A report, if anything goes wrong.
    async fn case(mut self, case: &Case) -> Option<String> {
        self.names.set("case", &case.id);
        let mut complaints = Vec::new();
        for (index, step) in case.steps.iter().enumerate() {
            let id = format!("{}/{index}", case.id);
            complaints.extend(self.step(&id, step, !case.stalls).await);
        }
        let report = || format!("{}: {}\n    - {}", case.id, case.says, complaints.join("\n    - "));
        (!complaints.is_empty()).then(report)
    }

    /// What is wrong with a step. Whoever is not alone can't tell what it stored itself.
    async fn step(&mut self, id: &str, step: &Step, is_alone: bool) -> Vec<String> {
        let Step { request, expect } = step;
        let body = request.body.as_ref().map(|body| piece::bytes(body, &self.names));
        let sending = self.sending(request, expect, body.as_deref());
        let stored_before = stored::count(self.app, self.tenants).await;
        let is_measured = expect.cpu_seconds.is_some() || expect.memory_mib.is_some();
        let meter = is_measured.then(|| Meter::start(self.app));

        let heard = exchange(self.app, sending).await;

        let mut complaints = judge::complaints(expect, &heard, &self.names);
        if let Some(meter) = meter {
            complaints.extend(cost_complaints(expect, &meter));
        }
        let stored = stored::count(self.app, self.tenants).await - stored_before;
        if is_alone && stored != expect.stored {
            complaints.push(format!("{stored} events were stored instead of {}", expect.stored));
        }
        if let (Some(body), [answer], true) = (&body, &heard.answers[..], expect.stored > 0) {
            let sent = plain(request, body, &self.names);
            complaints.extend(stored::compare(self.app, self.tenants, &sent, answer).await);
        }
        complaints.extend(self.logged(&expect.not_logged));
        self.save(&expect.save, &heard);
        if !expect.or_unanswered {
            complaints.extend(record::compare(id, self.app.combination(), &heard, expect.closed));
        }
        complaints
    }

    /// The bytes of a request: the usual head, but for the headers that the case has of its own.
    fn sending(&self, request: &Request, expect: &Expectation, body: Option<&[u8]>) -> Sending {
        let bytes = match &request.raw {
            Some(raw) => piece::bytes(raw, &self.names),
            None => {
                let mut bytes = self.head(request, body).into_bytes();
                bytes.extend_from_slice(body.unwrap_or_default());
                bytes
            }
        };
        Sending {
            bytes,
            pause: request.pause_ms.map(Duration::from_millis),
            head_at_once: request.head_at_once,
            half_close: request.half_close,
            answers: if expect.status.is_some() { expect.answers } else { usize::MAX },
            until_closed: expect.closed,
            is_head: request.method == "HEAD",
        }
    }

    fn head(&self, request: &Request, body: Option<&[u8]>) -> String {
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, piece::text(&request.path, &self.names));
        let mut add = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        let usual = [("Host", Some("${host}")), ("X-API-Key", Some("${key}"))];
        let usual = usual.into_iter().chain([("Content-Type", body.map(|_| "application/json"))]);
        let is_own = |name: &str| request.headers.keys().any(|own| own.eq_ignore_ascii_case(name));
        for (name, value) in usual {
            if let Some(value) = value.filter(|_| !is_own(name)) {
                add(name, &self.names.fill_in(value));
            }
        }
        if let Some(body) = body.filter(|_| !is_own("Content-Length")) {
            add("Content-Length", &body.len().to_string());
        }
        for (name, value) in &request.headers {
            match value {
                Value::Null => {}
                Value::Array(values) => values.iter().for_each(|v| add(name, &piece::text(v, &self.names))),
                value => add(name, &piece::text(value, &self.names)),
            }
        }
        head + "\r\n"
    }

    fn logged(&self, secrets: &[Value]) -> Vec<String> {
        if secrets.is_empty() {
            return Vec::new();
        }
        let log = self.app.process().log();
        let found = secrets.iter().filter(|secret| log.contains(&piece::text(secret, &self.names)));
        found.map(|secret| format!("the log has {secret}")).collect()
    }

    fn save(&mut self, save: &Map<String, Value>, heard: &Heard) {
        let body = heard.answers.first().map(|answer| answer.json()).unwrap_or_default();
        for (name, pointer) in save {
            let found = pointer.as_str().and_then(|pointer| body.pointer(pointer)).and_then(Value::as_str);
            self.names.set(name, found.unwrap_or("the answer had none"));
        }
    }

    /// What is wrong after all: with the log, and with the number of events in the end.
    async fn overall(&self, table: &Table) -> Vec<String> {
        let mut complaints = Vec::new();
        let steps = table.given.iter().chain(table.cases.iter().flat_map(|case| &case.steps));
        let expected: i64 = steps.map(|step| step.expect.stored).sum();
        let stored = stored::count(self.app, self.tenants).await;
        if stored != expected {
            complaints.push(format!("{stored} events are stored in the end instead of {expected}"));
        }
        let log = self.app.process().log();
        let told = self.tenants.iter().filter(|tenant| log.contains(&tenant.key));
        complaints.extend(told.map(|tenant| format!("the log has the key of {}", tenant.slug)));
        if log.contains("panicked") {
            complaints.push("the server panicked".to_owned());
        }
        complaints
    }
}

/// The body as the server reads it, where that can be told: of an encoded one, what was encoded.
fn plain(request: &Request, body: &[u8], names: &Names) -> Vec<u8> {
    let inner = request.body.as_ref().and_then(|body| body.get("gzip").or_else(|| body.get("zstd")));
    inner.map_or_else(|| body.to_vec(), |inner| piece::bytes(inner, names))
}

fn cost_complaints(expect: &Expectation, meter: &Meter) -> Vec<String> {
    let cost = meter.read();
    let mut complaints = Vec::new();
    if let Some(seconds) = expect.cpu_seconds
        && cost.cpu_seconds > seconds as f64
    {
        complaints.push(format!("{:.1} s of processor time instead of {seconds}", cost.cpu_seconds));
    }
    let mib = cost.memory_bytes / (1024 * 1024);
    if let Some(most) = expect.memory_mib
        && mib > most
    {
        complaints.push(format!("{mib} MiB more memory instead of at most {most}"));
    }
    complaints
}
