//! One table on one combination.

use std::{sync::Arc, time::Duration};

use pulsestream_tests::{App, Client, Combination, Tenant};
use serde_json::{Map, Value};

use super::{
    cost::Meter,
    exchange::{Heard, Sending, exchange},
    judge, names::Names,
    piece, record, stored,
    table::{self, Case, Expectation, Request, Step},
};

/// Sends every case of a table and reports all that went wrong at once.
pub(super) async fn table(name: String, combination: Combination) {
    let table = table::read(&name);
    let app = match table.own_server {
        true => Arc::new(App::start(combination).await),
        false => App::shared(combination).await,
    };
    let (names, tenants) = Names::for_text(&table.text, &app).await;
    let mut run = Run { app: &app, tenants, names };

    let mut reports = Vec::new();
    let given = Case { id: format!("{name} given"), says: "the stage is set".to_owned(), steps: table.given };
    for case in [given].iter().chain(&table.cases) {
        let complaints = run.case(case).await;
        if !complaints.is_empty() {
            reports.push(format!("{}: {}\n    - {}", case.id, case.says, complaints.join("\n    - ")));
        }
    }
    reports.extend(run.log_complaints());
    let count = table.cases.len();
    assert!(reports.is_empty(), "{} of {count} cases go wrong\n{}", reports.len(), reports.join("\n"));
}

struct Run<'a> {
    app: &'a App,
    tenants: Vec<Tenant>,
    names: Names,
}

impl Run<'_> {
    async fn case(&mut self, case: &Case) -> Vec<String> {
        self.names.set("case", &case.id);
        let mut complaints = Vec::new();
        for (index, step) in case.steps.iter().enumerate() {
            let id = format!("{}/{index}", case.id);
            complaints.extend(self.step(&id, step).await);
        }
        complaints
    }

    async fn step(&mut self, id: &str, step: &Step) -> Vec<String> {
        let Step { request, expect } = step;
        let body = request.body.as_ref().map(|body| piece::bytes(body, &self.names));
        let sending = self.sending(request, expect, body.as_deref());
        let stored_before = stored::count(self.app, &self.tenants).await;
        let is_measured = expect.cpu_seconds.is_some() || expect.memory_mib.is_some();
        let meter = is_measured.then(|| Meter::start(self.app));

        let heard = exchange(self.app, sending).await;

        let mut complaints = judge::complaints(expect, &heard, &self.names);
        if let Some(meter) = meter {
            complaints.extend(cost_complaints(expect, &meter));
        }
        let stored = stored::count(self.app, &self.tenants).await - stored_before;
        if stored != expect.stored {
            complaints.push(format!("{stored} events were stored instead of {}", expect.stored));
        }
        if let (Some(body), [answer], true) = (&body, &heard.answers[..], expect.stored > 0) {
            let sent = plain(request, body, &self.names);
            complaints.extend(stored::compare(&self.client(request), &sent, answer).await);
        }
        complaints.extend(self.logged(&expect.not_logged));
        self.save(&expect.save, &heard);
        complaints.extend(record::compare(id, self.app.combination(), &heard, expect.closed));
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

    /// A client with the key of a request, or the usual one.
    fn client(&self, request: &Request) -> Client {
        let key = request.headers.get("X-API-Key").and_then(Value::as_str).unwrap_or("${key}");
        self.app.anonymous().with_key(&self.names.fill_in(key))
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

    fn log_complaints(&self) -> Vec<String> {
        let log = self.app.process().log();
        let secrets = self.tenants.iter().filter(|tenant| log.contains(&tenant.key));
        let mut complaints: Vec<String> =
            secrets.map(|tenant| format!("the log has the key of {}", tenant.slug)).collect();
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
