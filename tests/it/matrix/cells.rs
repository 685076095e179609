//! Operation × credential × object.

use pulsestream_tests::{Answer, Client, Combination};
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::{
    document::Operation,
    rights::{self, Line, May, Spends},
    stage::{Credential, Is, Side, Stage, missing},
};

/// What the other tenant is, as its owner reads it.
const STATE: [&str; 15] = [
    "export",
    "get_event",
    "list_users",
    "get_tenant_profile",
    "list_api_keys",
    "export_audit_log",
    "list_rules",
    "list_alerts",
    "alert_timeline",
    "list_silences",
    "list_channels",
    "list_deliveries",
    "get_delivery",
    "get_alert",
    "alerting_stats",
];

/// What is to become of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// 401, whatever is asked for.
    Unknown,
    /// 403.
    Forbidden,
    Admitted,
}

/// Whose object a request is about.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Mine,
    Anothers,
    Nobodys,
    Malformed,
}

/// What was tried, and what came out otherwise than the table says.
#[derive(Default)]
struct Outcome {
    cells: u32,
    admitted: u32,
    wrong: Vec<String>,
    unknown: Option<Answer>,
}

/// What two answers must have in common.
#[derive(PartialEq, Eq, Debug)]
struct Same(u16, HeaderMap, String);

pub(super) async fn run(combination: Combination) {
    let stage = Stage::set(combination).await;
    let credentials = stage.credentials().await;
    let before = state(&stage, &stage.other).await;

    let mut outcome = Outcome::default();
    let table = rights::table();
    for line in &table {
        for credential in &credentials {
            about_each(&stage, line, credential, &mut outcome).await;
        }
    }

    let (cells, admitted) = (outcome.cells, outcome.admitted);
    println!(
        "{combination}: {} operations × {} credentials, {cells} cells, {admitted} of them let through",
        table.len(),
        credentials.len(),
    );
    let after = state(&stage, &stage.other).await;
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(one, other, "the other tenant is not what it was");
    }
    assert!(
        outcome.wrong.is_empty(),
        "{} cells are wrong:\n{}",
        outcome.wrong.len(),
        outcome.wrong.join("\n")
    );
    assert!(admitted > 400, "nobody gets anywhere: {admitted}");
}

/// What the table says of a credential.
pub(super) fn verdict(line: &Line, credential: &Credential) -> Verdict {
    let rank = |role: &str| ["viewer", "admin", "owner"].iter().position(|one| *one == role);
    match (line.may, credential.is) {
        (May::Anybody(_), _) => Verdict::Admitted,
        (May::Needs { .. }, Is::Nobody) => Verdict::Unknown,
        (May::Needs { scopes, .. }, Is::Key(scope)) => {
            let is_admitted = scopes.contains(&scope) || (scope == "admin" && !scopes.is_empty());
            if is_admitted { Verdict::Admitted } else { Verdict::Forbidden }
        }
        (May::Needs { role, .. }, Is::Member(own)) => {
            if rank(own) >= rank(role) {
                Verdict::Admitted
            } else {
                Verdict::Forbidden
            }
        }
        (May::Needs { scopes, .. }, Is::Newcomer) => {
            if scopes.is_empty() {
                Verdict::Admitted
            } else {
                Verdict::Forbidden
            }
        }
    }
}

async fn about_each(stage: &Stage, line: &Line, credential: &Credential, outcome: &mut Outcome) {
    let verdict = verdict(line, credential);
    let mut others: Vec<(Whose, Same)> = Vec::new();
    let names_one_in_path = line.query.is_empty() && line.body.is_none();
    for whose in [Whose::Mine, Whose::Anothers, Whose::Nobodys, Whose::Malformed] {
        let id = match (line.kind, whose) {
            (None, Whose::Mine) => String::new(),
            (None, _) | (Some(rights::Kind::File), Whose::Anothers | Whose::Nobodys | Whose::Malformed) => {
                continue;
            }
            (Some(kind), Whose::Mine) if verdict == Verdict::Admitted && line.spends == Spends::Object => {
                stage.mine.make(kind).await
            }
            (Some(kind), Whose::Mine) => stage.mine.objects[&kind].clone(),
            (Some(kind), Whose::Anothers) => stage.other.objects[&kind].clone(),
            (Some(kind), Whose::Nobodys) => missing(kind).to_owned(),
            (Some(_), Whose::Malformed) if names_one_in_path => "no-id-at-all".to_owned(),
            (Some(_), Whose::Malformed) => continue,
        };
        let spare = match verdict == Verdict::Admitted && line.spends == Spends::Credential {
            true => Some(stage.spare(credential).await),
            false => None,
        };
        let by = spare.as_ref().unwrap_or(credential);
        let (method, path, body) = stage.request(line, by, &id);
        let answer = ask(&by.client, method, &path, body.as_ref()).await;
        outcome.cells += 1;
        outcome.admitted += u32::from(answer.status == 200);
        let expected = expected(line, verdict, whose);
        if !expected.contains(&answer.status) {
            outcome.wrong.push(format!(
                "{} by {} about {whose:?} {id}: {} instead of {expected:?}: {}",
                line.operation,
                credential.name,
                answer.status,
                answer.text(),
            ));
        }
        if verdict == Verdict::Unknown {
            let first = outcome.unknown.get_or_insert_with(|| answer.clone());
            if Same::of(first, "") != Same::of(&answer, "") {
                outcome.wrong.push(format!(
                    "{} tells {} something: {}",
                    line.operation,
                    credential.name,
                    answer.text()
                ));
            }
        }
        if verdict == Verdict::Forbidden || !matches!(whose, Whose::Mine) {
            // What is only asked about may be said again.
            others.push((whose, Same::of(&answer, if line.not_there == 200 { &id } else { "" })));
        }
    }
    for pair in others.windows(2) {
        if pair[0].1 != pair[1].1 {
            outcome.wrong.push(format!("{} tells {} apart: {pair:?}", line.operation, credential.name));
        }
    }
}

fn expected(line: &Line, verdict: Verdict, whose: Whose) -> Vec<u16> {
    match (verdict, line.may, whose) {
        (Verdict::Unknown, ..) => vec![401],
        (Verdict::Forbidden, ..) => vec![403],
        (Verdict::Admitted, May::Anybody(statuses), _) => statuses.to_vec(),
        (Verdict::Admitted, _, Whose::Mine) => vec![200],
        (Verdict::Admitted, ..) => vec![line.not_there],
    }
}

async fn ask(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Answer {
    // All requests have one id, so that answers can be the same to the byte.
    let request = client.request(method.clone(), path).header("X-Request-Id", "one-of-the-matrix");
    let request = match body {
        Some(body) => request.json(body),
        None if method == Method::POST => request.json(&serde_json::json!({})),
        None => request,
    };
    client.execute(request).await
}

impl Same {
    /// All of an answer but what time it is, with this text blotted out.
    fn of(answer: &Answer, blotted: &str) -> Self {
        let mut headers = answer.headers.clone();
        // Whether the connection is closed depends on how much of the body had come by then.
        for of_the_moment in ["date", "x-process-time", "connection"] {
            headers.remove(of_the_moment);
        }
        let text = answer.text();
        Self(answer.status, headers, if blotted.is_empty() { text } else { text.replace(blotted, "") })
    }
}

/// What a tenant is, as its owner reads it.
async fn state(stage: &Stage, side: &Side) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for line in rights::table().into_iter().filter(|line| STATE.contains(&line.operation)) {
        let operation = Operation::of(&stage.operations, line.operation);
        assert!(operation.is_read());
        let id = line.kind.map(|kind| side.objects[&kind].clone()).unwrap_or_default();
        // The whole list, where the table asks for what belongs to one object.
        let query = if line.not_there == 200 { "" } else { line.query };
        let path = operation.about(&id, query);
        all.push((line.operation, side.owner.get(&path).await.expect(200).text()));
    }
    assert_eq!(all.len(), STATE.len());
    all
}
