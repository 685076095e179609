//! Two tenants, each with one object of every kind that is full of its canary, and the credentials of the first.

use std::{collections::HashMap, time::Duration};

use pulsestream_tests::{
    App, Client, Combination, Person, Tenant,
    person::{PASSWORD, with_token},
    token, unique,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    document::Operation,
    rights::{self, Given, Kind, Line},
};
use crate::alerting::receiver::Receiver;

/// How long a key that was revoked or has expired may still be taken.
const UNTIL_REFUSED: Duration = Duration::from_secs(8);
const SEARCH: &str = "/api/v1/ingestion/events/search";
const ALERTING: &str = "/api/v1/alerting";
const AUTH: &str = "/api/v1/auth";
const UUID: &str = "018f0000-0000-7000-8000-000000000000";

pub(super) struct Stage {
    pub(super) app: App,
    pub(super) operations: Vec<Operation>,
    /// Whose credentials are tried.
    pub(super) mine: Side,
    /// Whose objects they are tried on.
    pub(super) other: Side,
}

/// One tenant.
pub(super) struct Side {
    pub(super) tenant: Tenant,
    /// Somebody who may do everything, and does nothing but set the stage.
    pub(super) owner: Client,
    pub(super) objects: HashMap<Kind, String>,
    receiver: Receiver,
}

/// What a credential is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is {
    /// Nobody's, or nobody's any more.
    Nobody,
    /// A key with this scope.
    Key(&'static str),
    /// The session of somebody with this role.
    Member(&'static str),
    /// The session of an owner who has to choose a password first.
    Newcomer,
}

/// A credential of the first tenant.
pub(super) struct Credential {
    pub(super) name: String,
    pub(super) is: Is,
    pub(super) client: Client,
    /// How the audit log calls it.
    pub(super) actor: String,
    password: String,
}

impl Stage {
    pub(super) async fn set(combination: Combination) -> Self {
        let app = App::builder(combination)
            .set("auth.registration", "open")
            .set("alerting.ingest_delay", "0s")
            .set("alerting.allow_http", true)
            .set("alerting.allow_private_destinations", true)
            .set("alerting.private_ports", "1024-65535")
            .set("jobs.poll_interval", "100ms")
            .start()
            .await;
        let operations = Operation::all(&app).await;
        let (mine, other) = (Side::set(&app).await, Side::set(&app).await);
        Self { app, operations, mine, other }
    }

    /// A request about an object with this id; its body is what the table says.
    pub(super) fn request(
        &self,
        line: &Line,
        credential: &Credential,
        id: &str,
    ) -> (Method, String, Option<Value>) {
        let operation = Operation::of(&self.operations, line.operation);
        let given = Given { id: id.to_owned(), password: credential.password.clone(), ..self.mine.given() };
        let body = line.body.map(|body| body(&given));
        (operation.method.clone(), operation.about(id, line.query), body)
    }

    /// One credential of each kind, good ones and spent ones.
    pub(super) async fn credentials(&self) -> Vec<Credential> {
        let (app, tenant) = (&self.app, &self.mine.tenant);
        // Replacing "the oldest key" is part of the table: these are older than those that are tried.
        for _ in 0..3 {
            tenant.create_key(app, &["--scope", "events:read"]).await;
        }
        let mut all = vec![
            Credential::of_nobody("none", app.anonymous()),
            Credential::of_nobody("a key that is none", app.anonymous().with_key("ps_live_garbage")),
            Credential::of_nobody(
                "a token that is none",
                app.anonymous().with_token("eyJhbGciOiJIUzI1NiJ9.e30.AA"),
            ),
        ];
        for scope in ["events:write", "events:read", "rules:write", "admin"] {
            all.push(self.key(scope).await);
        }
        for role in ["viewer", "admin", "owner"] {
            all.push(self.member(role).await);
        }
        all.push(self.newcomer().await);
        all.extend(self.spent().await);
        all
    }

    /// Another credential of the same kind, to be spent.
    pub(super) async fn spare(&self, credential: &Credential) -> Credential {
        match credential.is {
            Is::Nobody => Credential::of_nobody("none", self.app.anonymous()),
            Is::Key(scope) => self.key(scope).await,
            Is::Member(role) => self.member(role).await,
            Is::Newcomer => self.newcomer().await,
        }
    }

    async fn key(&self, scope: &'static str) -> Credential {
        let made = self.mine.tenant.create_key(&self.app, &["--scope", scope]).await;
        Credential {
            name: format!("a key for {scope}"),
            is: Is::Key(scope),
            client: made.client,
            actor: format!("key:{}", made.id),
            password: PASSWORD.to_owned(),
        }
    }

    async fn member(&self, role: &'static str) -> Credential {
        let person = Person::create(&self.app, &self.mine.tenant, role).await;
        Credential {
            name: format!("an {role}"),
            is: Is::Member(role),
            client: with_token(&self.app, &person.tokens(&self.app).await),
            actor: format!("user:{}", person.id),
            password: PASSWORD.to_owned(),
        }
    }

    async fn newcomer(&self) -> Credential {
        let body = json!({"email": self.mine.email(), "role": "owner"});
        let made = self.mine.owner.post(&format!("{AUTH}/register/user"), &body).await.expect(200).json();
        let person = Person {
            id: text(&made["user_id"]),
            email: text(&body["email"]),
            slug: self.mine.tenant.slug.clone(),
        };
        let password = text(&made["one_time_password"]);
        let tokens = person.login(&self.app, &password).await.expect(200).json();
        Credential {
            name: "an owner who has to choose a password".to_owned(),
            is: Is::Newcomer,
            client: with_token(&self.app, &tokens),
            actor: format!("user:{}", person.id),
            password,
        }
    }

    /// Those that were good once.
    async fn spent(&self) -> Vec<Credential> {
        let (app, tenant) = (&self.app, &self.mine.tenant);
        let revoked = tenant.create_key(app, &["--scope", "admin"]).await;
        revoked.client.get(SEARCH).await.expect(200);
        tenant.revoke_key(app, &revoked.id).await;
        let expired = tenant
            .create_key(app, &["--scope", "admin", "--expires-at", &crate::credentials::in_seconds(2)])
            .await;

        let left = Person::create(app, tenant, "owner").await;
        let tokens = left.tokens(app).await;
        let logged_out = with_token(app, &tokens);
        logged_out.post(&format!("{AUTH}/logout"), &json!({})).await.expect(200);

        let gone = Person::create(app, tenant, "owner").await;
        let disabled = with_token(app, &gone.tokens(app).await);
        let path = format!("{AUTH}/users/{}", gone.id);
        self.mine.owner.put(&path, &json!({"is_active": false})).await.expect(200);

        let good = Person::create(app, tenant, "owner").await.tokens(app).await;
        let mut claims = token::claims(&text(&good["access_token"]));
        claims["exp"] = json!(claims["iat"].as_i64().expect("a number") - 61);
        let outdated = token::token(app.ground().secret_key(), &token::header(), &claims);

        let spent = [
            ("a revoked key", revoked.client),
            ("an expired key", expired.client),
            ("a session that was ended", logged_out),
            ("somebody who may not any more", disabled),
            ("an expired token", app.anonymous().with_token(&outdated)),
            ("a refresh token", app.anonymous().with_token(&text(&good["refresh_token"]))),
        ];
        for (name, client) in &spent {
            let refused = async {
                while client.get(SEARCH).await.status != 401 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let in_time = tokio::time::timeout(UNTIL_REFUSED, refused).await;
            assert!(in_time.is_ok(), "{name} is still taken");
        }
        spent.map(|(name, client)| Credential::of_nobody(name, client)).into()
    }
}

impl Credential {
    fn of_nobody(name: &str, client: Client) -> Self {
        let (actor, password) = ("anonymous".to_owned(), PASSWORD.to_owned());
        Self { name: name.to_owned(), is: Is::Nobody, client, actor, password }
    }
}

impl Side {
    async fn set(app: &App) -> Self {
        let tenant = app.unlimited_tenant().await;
        let owner = with_token(app, &Person::create(app, &tenant, "owner").await.tokens(app).await);
        let receiver = Receiver::start(&tenant).await;
        let mut side = Self { tenant, owner, objects: HashMap::new(), receiver };
        // An alert needs an event and a rule, a delivery an alert and a channel.
        for kind in [
            Kind::Event,
            Kind::Channel,
            Kind::Rule,
            Kind::Silence,
            Kind::User,
            Kind::Key,
            Kind::Alert,
            Kind::Delivery,
            Kind::File,
        ] {
            let id = side.make(kind).await;
            side.objects.insert(kind, id);
        }
        side
    }

    fn email(&self) -> String {
        format!("{}-{}@example.com", unique("user"), self.tenant.canary)
    }

    /// What a body of this tenant is made of.
    pub(super) fn given(&self) -> Given {
        let name = format!("{}-{}", unique("name"), self.tenant.canary);
        Given { id: String::new(), name, password: PASSWORD.to_owned(), url: self.receiver.url() }
    }

    /// Makes one more object.
    pub(super) async fn make(&self, kind: Kind) -> String {
        let post = async |path: &str, body: Value| self.owner.post(path, &body).await.expect(200).json();
        let given = self.given();
        match kind {
            Kind::Event => {
                let mut event = rights::event(&given);
                event["event_id"] = json!(unique("event"));
                text(&post("/api/v1/ingestion/events", event).await["event_id"])
            }
            Kind::Rule => text(&post(&format!("{ALERTING}/rules"), rights::rule(&given)).await["rule_id"]),
            Kind::Alert => {
                let rule = text(&post(&format!("{ALERTING}/rules"), rights::rule(&given)).await["rule_id"]);
                text(&post(&format!("{ALERTING}/rules/{rule}/test"), json!({})).await["alert_id"])
            }
            Kind::Silence => {
                text(&post(&format!("{ALERTING}/silences"), rights::silence(&given)).await["silence"]["id"])
            }
            Kind::Channel => {
                text(&post(&format!("{ALERTING}/channels"), rights::channel(&given)).await["channel"]["id"])
            }
            Kind::Delivery => self.delivery().await,
            Kind::User => {
                let body = json!({"email": self.email(), "full_name": given.name, "password": PASSWORD});
                text(&post(&format!("{AUTH}/register/user"), body).await["user_id"])
            }
            Kind::Key => text(&post(&format!("{AUTH}/api-keys"), json!({"name": given.name})).await["id"]),
            Kind::File => "index.html".to_owned(),
        }
    }

    /// A delivery that has arrived.
    async fn delivery(&self) -> String {
        loop {
            let path = format!("{ALERTING}/deliveries?state=delivered");
            let delivered = self.owner.get(&path).await.expect(200).json();
            if let Some(id) = delivered["deliveries"][0]["id"].as_str() {
                self.receiver.next().await;
                return id.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An id of nothing, as long as one of something.
pub(super) fn missing(kind: Kind) -> &'static str {
    match kind {
        Kind::Event => "event-0",
        Kind::Key => "AAAAAAAA",
        Kind::File => "index.html",
        _ => UUID,
    }
}

#[track_caller]
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
