//! Each administrative change has its lines of the audit log: those of the table, by whom it was, and no other.

use pulsestream_tests::{Answer, App, Client, Combination, Person, command, person::PASSWORD, unique};
use serde_json::{Value, json};

use super::{
    cells::{Verdict, verdict},
    document::Operation,
    rights::{self, Line, May, Spends},
    stage::{Credential, Is, Stage, missing, text},
};

const LOGIN: &str = "/api/v1/auth/login";

pub(super) async fn run(combination: Combination) {
    let stage = Stage::set(combination).await;
    let credentials = stage.credentials().await;
    let (mut changes, mut refusals) = (0, 0);
    for line in rights::table() {
        let operation = Operation::of(&stage.operations, line.operation);
        // What needs no credential is done by hand below.
        if operation.is_read() || matches!(line.may, May::Anybody(_)) {
            assert!(line.audit.is_empty() || !operation.is_read(), "{} only reads", line.operation);
            continue;
        }
        for credential in &credentials {
            match verdict(&line, credential) {
                Verdict::Admitted if matches!(credential.is, Is::Member("owner") | Is::Key("admin")) => {
                    refusals += refused_changes_leave_nothing(&stage, &line, credential).await;
                    a_change_is_noted(&stage, &line, credential).await;
                    changes += 1;
                }
                Verdict::Admitted => {}
                Verdict::Unknown | Verdict::Forbidden => {
                    let id = line.kind.map(|kind| stage.mine.objects[&kind].clone()).unwrap_or_default();
                    let (answer, noted) = attempt(&stage, &line, credential, &id, None).await;
                    assert!([401, 403].contains(&answer.status), "{} by {}", line.operation, credential.name);
                    assert_eq!(noted, Vec::<Value>::new(), "{} by {}", line.operation, credential.name);
                    refusals += 1;
                }
            }
        }
    }
    people_prove_who_they_are(&stage).await;
    println!("{combination}: {changes} changes with their lines, {refusals} refused ones without any");
}

/// Neither what is not there nor what makes no sense is noted.
async fn refused_changes_leave_nothing(stage: &Stage, line: &Line, credential: &Credential) -> u32 {
    let mut tried = 0;
    if let Some(kind) = line.kind {
        for id in [missing(kind), &stage.other.objects[&kind]] {
            let (answer, noted) = attempt(stage, line, credential, id, None).await;
            assert_eq!(answer.status, 404, "{}: {}", line.operation, answer.text());
            assert_eq!(noted, Vec::<Value>::new(), "{}", line.operation);
            tried += 1;
        }
    }
    if line.body.is_some() && !line.audit.is_empty() {
        let id = line.kind.map(|kind| stage.mine.objects[&kind].clone()).unwrap_or_default();
        let nonsense = json!({"colour": "red"});
        let (answer, noted) = attempt(stage, line, credential, &id, Some(nonsense)).await;
        assert_eq!(answer.status, 422, "{}: {}", line.operation, answer.text());
        assert_eq!(noted, Vec::<Value>::new(), "{}", line.operation);
        tried += 1;
    }
    tried
}

async fn a_change_is_noted(stage: &Stage, line: &Line, credential: &Credential) {
    let id = match line.kind {
        Some(kind) if line.spends == Spends::Object => stage.mine.make(kind).await,
        Some(kind) => stage.mine.objects[&kind].clone(),
        None => String::new(),
    };
    let spare = match line.spends == Spends::Credential {
        true => Some(stage.spare(credential).await),
        false => None,
    };
    let by = spare.as_ref().unwrap_or(credential);
    let (answer, noted) = attempt(stage, line, by, &id, None).await;
    assert_eq!(answer.status, 200, "{} by {}: {}", line.operation, by.name, answer.text());
    let actions: Vec<String> = noted.iter().map(|entry| text(&entry["action"])).collect();
    assert_eq!(actions, line.audit, "{} by {}", line.operation, by.name);
    for entry in &noted {
        assert_eq!(entry["actor"], by.actor, "{} by {}: {entry}", line.operation, by.name);
        assert_eq!(entry["request_id"], answer.header("X-Request-Id"), "{entry}");
        assert!(entry["ip"].is_string(), "{entry}");
    }
    if !id.is_empty() && !noted.is_empty() {
        assert!(
            text(&noted[0]["target"]).ends_with(&format!(":{id}")),
            "{} of {id}: {noted:?}",
            line.operation
        );
    }
}

/// Asks, and answers with what was noted meanwhile, oldest first.
async fn attempt(
    stage: &Stage,
    line: &Line,
    by: &Credential,
    id: &str,
    body: Option<Value>,
) -> (Answer, Vec<Value>) {
    let (method, path, usual) = stage.request(line, by, id);
    let before = known(&stage.mine.owner).await;
    let request = by.client.request(method.clone(), &path).header("X-Request-Id", unique("change"));
    let request = match body.or(usual) {
        Some(body) => request.json(&body),
        None if method == reqwest::Method::POST => request.json(&json!({})),
        None => request,
    };
    let answer = by.client.execute(request).await;
    (answer, since(&stage.mine.owner, &before).await)
}

/// The newest lines, the newest first: more than any one change writes.
async fn newest(owner: &Client) -> Vec<Value> {
    let book = owner.get("/api/v1/auth/audit-log?limit=10").await.expect(200).json();
    book["entries"].as_array().expect("a list").clone()
}

/// The line that is the newest now.
async fn known(owner: &Client) -> Value {
    newest(owner).await.first().map_or(Value::Null, |entry| entry["id"].clone())
}

/// What was noted after this line, oldest first.
async fn since(owner: &Client, line: &Value) -> Vec<Value> {
    let entries = newest(owner).await;
    let mut new: Vec<Value> = entries.into_iter().take_while(|entry| entry["id"] != *line).collect();
    new.reverse();
    new
}

/// The operations that nobody needs a credential for.
async fn people_prove_who_they_are(stage: &Stage) {
    let (app, owner) = (&stage.app, &stage.mine.owner);
    let person = Person::create(app, &stage.mine.tenant, "viewer").await;
    let (user, nobody) = (format!("user:{}", person.id), "anonymous".to_owned());

    let before = known(owner).await;
    let tokens = person.tokens(app).await;
    noted(owner, &before, &[("login.succeeded", &user)]).await;
    let before = known(owner).await;
    person.login(app, "wrong horse battery").await.expect(401);
    noted(owner, &before, &[("login.failed", &nobody)]).await;
    let before = known(owner).await;
    app.anonymous().post(LOGIN, &json!({"email": person.email})).await.expect(422);
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    app.anonymous().post("/api/v1/auth/refresh", &refresh).await.expect(200);
    noted(owner, &before, &[]).await;
    app.anonymous().post("/api/v1/auth/refresh", &refresh).await.expect(401);
    noted(owner, &before, &[("session.token_reused", &user)]).await;

    let before = known(owner).await;
    let asked = json!({"email": person.email, "tenant_slug": person.slug});
    // No mail is set up here, so nothing is made that there could be a line about.
    app.anonymous().post("/api/v1/auth/password-reset/request", &asked).await.expect(200);
    noted(owner, &before, &[]).await;
    let mut reset = command::program(app.ground(), app.settings());
    reset.args(["user", "reset-password", &person.email, "--tenant", &person.slug, "--json"]);
    let made = command::json(reset).await;
    noted(owner, &before, &[("password.reset_requested", "operator")]).await;
    let before = known(owner).await;
    let confirm = async |token: &str| {
        let body = json!({"token": token, "new_password": "staple correct horse"});
        app.anonymous().post("/api/v1/auth/password-reset/confirm", &body).await
    };
    confirm("psp_none").await.expect(400);
    noted(owner, &before, &[]).await;
    confirm(&text(&made["token"])).await.expect(200);
    noted(owner, &before, &[("password.reset", &user)]).await;
    a_tenant_begins_with_three_lines(app).await;
}

async fn a_tenant_begins_with_three_lines(app: &App) {
    let body = json!({"name": "Acme", "slug": unique("acme"), "contact_email": "owner@acme.example"});
    let register = async || app.anonymous().post("/api/v1/auth/register/tenant", &body).await;
    let made = register().await.expect(200).json();
    register().await.expect(409);
    let person = Person {
        id: text(&made["owner"]["user_id"]),
        email: text(&body["contact_email"]),
        slug: text(&body["slug"]),
    };
    let once = text(&made["owner"]["one_time_password"]);
    let tokens = person.login(app, &once).await.expect(200).json();
    let owner = pulsestream_tests::person::with_token(app, &tokens);
    let change = json!({"current_password": once, "new_password": PASSWORD});
    owner.post("/api/v1/auth/change-password", &change).await.expect(200);
    let user = format!("user:{}", person.id);
    let expected = ["tenant.created", "key.created", "user.created", "login.succeeded", "password.changed"];
    noted(&owner, &Value::Null, &expected.map(|action| (action, user.as_str()))).await;
}

async fn noted(owner: &Client, before: &Value, expected: &[(&str, &str)]) {
    let entries = since(owner, before).await;
    let said: Vec<(String, String)> =
        entries.iter().map(|entry| (text(&entry["action"]), text(&entry["actor"]))).collect();
    let expected: Vec<(String, String)> =
        expected.iter().map(|(action, actor)| ((*action).to_owned(), (*actor).to_owned())).collect();
    assert_eq!(said, expected);
}
