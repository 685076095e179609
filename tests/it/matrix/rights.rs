//! Who may do what, operation by operation, and which lines of the audit log come of it.
//!
//! Administrative is what changes who may do what (tenants, users, keys, passwords, sessions) and who is told of what
//! (rules, channels, silences). Events are data: that they were sent and deleted is not in the audit log. What is done
//! to an alert stands in the alert's own timeline; what is sent again, in its delivery.

use serde_json::{Value, json};

/// Who may ask for an operation.
#[derive(Clone, Copy)]
pub(super) enum May {
    /// Everybody, with one of these answers to a request with nothing in it, whatever the credential.
    Anybody(&'static [u16]),
    /// A key with one of these scopes, or `admin` where there are any; a user with this role or a higher one.
    Needs { scopes: &'static [&'static str], role: &'static str },
}

/// What an id can be of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Kind {
    Event,
    Rule,
    Alert,
    Silence,
    Channel,
    Delivery,
    User,
    Key,
    /// Of the documentation, which is nobody's.
    File,
}

/// What a body is made of.
pub(super) struct Given {
    /// Which object it is about.
    pub(super) id: String,
    /// A name that nothing else has.
    pub(super) name: String,
    /// The password of whoever asks.
    pub(super) password: String,
    /// Where notices are taken.
    pub(super) url: String,
}

/// What is spent by an operation that succeeds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spends {
    Nothing,
    /// The object it is about: it needs a new one.
    Object,
    /// The credential it is done with.
    Credential,
}

/// One line of the table.
pub(super) struct Line {
    /// Its `operationId`.
    pub(super) operation: &'static str,
    pub(super) may: May,
    /// Of what kind the object is that it names, if it names one.
    pub(super) kind: Option<Kind>,
    /// `{id}` stands for the object.
    pub(super) query: &'static str,
    pub(super) body: Option<fn(&Given) -> Value>,
    /// What is answered about an object that is not there.
    pub(super) not_there: u16,
    pub(super) spends: Spends,
    /// What it writes into the audit log, oldest first.
    pub(super) audit: &'static [&'static str],
}

impl Line {
    const fn new(operation: &'static str, may: May) -> Self {
        let (kind, query, body, audit) = (None, "", None, &[]);
        Self { operation, may, kind, query, body, not_there: 404, spends: Spends::Nothing, audit }
    }

    const fn about(self, kind: Kind) -> Self {
        Self { kind: Some(kind), ..self }
    }

    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: fn(&Given) -> Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// It is a list of what belongs to the object: to none belongs nothing.
    const fn lists(self) -> Self {
        Self { not_there: 200, ..self }
    }

    const fn spends(self, spends: Spends) -> Self {
        Self { spends, ..self }
    }

    const fn noted(self, audit: &'static [&'static str]) -> Self {
        Self { audit, ..self }
    }
}

const READ: May = May::Needs { scopes: &["events:read"], role: "viewer" };
const WRITE: May = May::Needs { scopes: &["events:write"], role: "admin" };
const READ_OR_WRITE: May = May::Needs { scopes: &["events:read", "events:write"], role: "viewer" };
const RULES: May = May::Needs { scopes: &["rules:write"], role: "admin" };
const ADMINISTER: May = May::Needs { scopes: &["admin"], role: "admin" };
const OWN: May = May::Needs { scopes: &["admin"], role: "owner" };
/// What only makes sense for people.
const MYSELF: May = May::Needs { scopes: &[], role: "viewer" };
const ANYBODY: May = May::Anybody(&[200]);
/// Nothing is asked for, so something is missing.
const PROVING: May = May::Anybody(&[422]);
/// Tries are counted before they are read.
const REGISTERING: May = May::Anybody(&[422, 429]);

/// The whole table.
pub(super) fn table() -> Vec<Line> {
    let line = Line::new;
    vec![
        line("post_event", WRITE).body(event),
        line("post_batch", WRITE).body(|given| json!({"events": [event(given)]})),
        line("search", READ),
        line("search_by_body", READ).body(|_| json!({})),
        line("histogram", READ).query("interval=1h"),
        line("facets", READ).query("field=service"),
        line("export", READ).query("format=ndjson"),
        line("event_types", ANYBODY),
        line("severities", ANYBODY),
        line("get_event", READ).about(Kind::Event),
        line("get_event_by_query", READ).about(Kind::Event).query("event_id={id}"),
        line("delete_event", WRITE).about(Kind::Event).spends(Spends::Object),
        line("delete_event_by_query", WRITE).about(Kind::Event).query("event_id={id}").spends(Spends::Object),
        line("retry_event", WRITE).about(Kind::Event),
        line("stats", READ),
        line("ingestion_health", ANYBODY),
        line("rate_limit", READ_OR_WRITE),
        line("register_tenant", REGISTERING).noted(&["tenant.created", "key.created", "user.created"]),
        line("register_user", ADMINISTER)
            .body(|given| json!({"email": format!("{}@example.com", given.name), "password": "staple horse battery"}))
            .noted(&["user.created"]),
        line("login", PROVING).noted(&["login.succeeded"]),
        line("refresh", PROVING),
        line("request_password_reset", PROVING).noted(&["password.reset_requested"]),
        line("confirm_password_reset", PROVING).noted(&["password.reset"]),
        line("get_profile", MYSELF),
        line("put_profile", MYSELF).body(|given| json!({"full_name": given.name})).noted(&["user.updated"]),
        line("change_password", MYSELF)
            .body(|given| json!({"current_password": given.password, "new_password": "another horse battery"}))
            .spends(Spends::Credential)
            .noted(&["password.changed"]),
        line("logout", MYSELF).spends(Spends::Credential).noted(&["session.ended"]),
        line("list_users", ADMINISTER),
        line("put_user", ADMINISTER)
            .about(Kind::User)
            .body(|given| json!({"full_name": given.name}))
            .noted(&["user.updated"]),
        line("get_tenant_profile", READ),
        line("put_tenant_profile", OWN).body(|given| json!({"name": given.name})).noted(&["tenant.updated"]),
        line("regenerate_api_key", ADMINISTER)
            .spends(Spends::Credential)
            .noted(&["key.rotated", "key.created"]),
        line("list_api_keys", ADMINISTER),
        line("create_api_key", ADMINISTER)
            .body(|given| json!({"name": given.name, "scopes": ["events:read"]}))
            .noted(&["key.created"]),
        line("revoke_api_key", ADMINISTER).about(Kind::Key).spends(Spends::Object).noted(&["key.revoked"]),
        line("rotate_api_key", ADMINISTER)
            .about(Kind::Key)
            .spends(Spends::Object)
            .noted(&["key.rotated", "key.created"]),
        line("audit_log", ADMINISTER).about(Kind::User).query("target=user:{id}").lists(),
        line("export_audit_log", ADMINISTER).about(Kind::User).query("target=user:{id}").lists(),
        line("auth_health", ANYBODY),
        line("create_rule", RULES).body(rule).noted(&["rule.created"]),
        line("list_rules", READ),
        line("backtest_rule", READ).about(Kind::Rule).body(|given| {
            json!({"rule_id": given.id, "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T01:00:00Z"})
        }),
        line("get_rule", READ).about(Kind::Rule),
        line("update_rule", RULES)
            .about(Kind::Rule)
            .body(|given| json!({"name": given.name}))
            .noted(&["rule.updated"]),
        line("delete_rule", RULES).about(Kind::Rule).spends(Spends::Object).noted(&["rule.deleted"]),
        line("test_rule", RULES).about(Kind::Rule),
        line("evaluate_rules", RULES),
        line("list_alerts", READ).about(Kind::Rule).query("rule_id={id}").lists(),
        line("get_alert", READ).about(Kind::Alert),
        line("alert_timeline", READ).about(Kind::Alert),
        line("acknowledge_alert", RULES).about(Kind::Alert).spends(Spends::Object),
        line("suppress_alert", RULES).about(Kind::Alert).spends(Spends::Object),
        line("reactivate_alert", RULES).about(Kind::Alert).spends(Spends::Object),
        line("resolve_alert", RULES).about(Kind::Alert).spends(Spends::Object),
        line("alerting_stats", READ),
        line("create_silence", RULES).body(silence).noted(&["silence.created"]),
        line("list_silences", READ),
        line("get_silence", READ).about(Kind::Silence),
        line("end_silence", RULES).about(Kind::Silence).spends(Spends::Object).noted(&["silence.ended"]),
        line("create_channel", RULES).body(channel).noted(&["channel.created"]),
        line("list_channels", READ),
        line("get_channel", READ).about(Kind::Channel),
        line("update_channel", RULES).about(Kind::Channel).body(channel).noted(&["channel.updated"]),
        line("delete_channel", RULES).about(Kind::Channel).spends(Spends::Object).noted(&["channel.deleted"]),
        line("test_channel", RULES).about(Kind::Channel),
        line("rotate_secret", RULES).about(Kind::Channel).noted(&["channel.secret_rotated"]),
        line("list_deliveries", READ).about(Kind::Channel).query("channel_id={id}").lists(),
        line("recover_deliveries", RULES)
            .about(Kind::Channel)
            .body(|given| json!({"channel_id": given.id, "since": "2026-01-01T00:00:00Z"})),
        line("get_delivery", READ).about(Kind::Delivery),
        line("resend_delivery", RULES).about(Kind::Delivery),
        line("root", ANYBODY),
        line("health", ANYBODY),
        line("live", ANYBODY),
        line("ready", ANYBODY),
        line("metrics", ANYBODY),
        line("openapi_json", ANYBODY),
        line("docs", ANYBODY),
        line("file", ANYBODY).about(Kind::File),
    ]
}

/// An event that the rule of [`rule`] fires on.
pub(super) fn event(given: &Given) -> Value {
    pulsestream_tests::event(json!({
        "title": given.name, "message": given.name, "payload": {"content": given.name},
        "source": {"service": given.name, "endpoint": "/orders", "method": "GET"},
        "context": {"user_id": given.name, "tags": {"who": given.name}},
        "metrics": {"response_time_ms": 5, "status_code": 500},
    }))
}

/// A rule that is evaluated only when somebody asks for it.
pub(super) fn rule(given: &Given) -> Value {
    json!({
        "name": given.name, "description": given.name, "severity": "high", "cooldown_minutes": 0,
        "evaluation_interval": 86_400, "time_window": "1h", "condition": {"type": "count", "min_count": 1},
        "filter": {"status_code": "5xx"}, "notification_channels": ["webhook"],
    })
}

/// A channel that is signed.
pub(super) fn channel(given: &Given) -> Value {
    json!({"name": given.name, "type": "webhook", "url": given.url, "headers": {"x-who": given.name}})
}

/// A silence that holds nothing back.
pub(super) fn silence(given: &Given) -> Value {
    json!({
        "matchers": [{"name": "service", "value": format!("not {}", given.name)}], "comment": given.name,
        "starts_at": "2036-01-01T00:00:00Z", "ends_at": "2036-01-02T00:00:00Z",
    })
}
