//! What stands for the tenants, keys and instants of a run: `${key}`, `${now+660}`.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use flate2::Crc;
use pulsestream_tests::{App, Combination, Tenant, TenantOptions};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// The digits that keys are written with.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM_CHARS: usize = 6;
const EXPIRY_POLL: std::time::Duration = std::time::Duration::from_millis(50);

/// Names and what they stand for.
#[derive(Clone, Default)]
pub(super) struct Names {
    values: Arc<HashMap<String, String>>,
    number: Option<usize>,
}

impl Names {
    /// Gives a name a value.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        Arc::make_mut(&mut self.values).insert(name.to_owned(), value.into());
    }

    /// The same names, and `${n}` for a number.
    pub(super) fn numbered(&self, number: usize) -> Self {
        Self { number: Some(number), ..self.clone() }
    }

    /// A text with every `${name}` replaced; `$${` is a literal `${`.
    pub(super) fn fill_in<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !text.contains("${") {
            return Cow::Borrowed(text);
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            rest = &rest[at + 2..];
            if let Some(before) = before.strip_suffix('$') {
                filled.push_str(before);
                filled.push_str("${");
                continue;
            }
            filled.push_str(before);
            let (name, behind) = rest.split_once('}').unwrap_or_else(|| panic!("an open ${{ in {text}"));
            filled.push_str(&self.value(name));
            rest = behind;
        }
        filled.push_str(rest);
        Cow::Owned(filled)
    }

    fn value(&self, name: &str) -> String {
        if name == "n" {
            return self.number.expect("${n} stands within a repeat").to_string();
        }
        if let Some(seconds) = name.strip_prefix("now") {
            return instant(seconds.parse().unwrap_or_else(|_| panic!("${{{name}}}")));
        }
        if let Some(name) = name.strip_prefix("flip:") {
            return flipped(&self.value(name));
        }
        if let Some(name) = name.strip_prefix("forge:") {
            return forged(&self.value(name));
        }
        self.values.get(name).unwrap_or_else(|| panic!("nobody is called ${{{name}}}")).clone()
    }

    /// Names for the tenants and keys that a text uses, and the tenants, which are this table's alone.
    pub(super) async fn for_text(text: &str, app: &App) -> (Self, Vec<Tenant>) {
        let uses = |name: &str| text.contains(&format!("{name}}}"));
        let mut names = Self::default();
        names.set("host", app.address().to_string());

        let tenant = app.unlimited_tenant().await;
        names.set("key", &tenant.key);
        names.set("tenant_id", &tenant.id);
        let mut tenants = vec![tenant.clone()];
        for (name, options) in [
            ("other", TenantOptions::default().per_minute(10_000_000)),
            ("small", TenantOptions::default().per_minute(1_000).burst(3)),
        ] {
            let (key, id) = (format!("{name}_key"), format!("{name}_tenant_id"));
            if uses(&key) || uses(&id) {
                let other = app.tenant_with(options).await;
                names.set(&key, &other.key);
                names.set(&id, &other.id);
                tenants.push(other);
            }
        }
        for (name, arguments) in
            [("read_key", ["--scope", "events:read"]), ("write_key", ["--scope", "events:write"])]
        {
            if uses(name) {
                names.set(name, tenant.create_key(app, &arguments).await.key);
            }
        }
        if uses("revoked_key") {
            let made = tenant.create_key(app, &[]).await;
            tenant.revoke_key(app, &made.id).await;
            names.set("revoked_key", made.key);
        }
        if uses("expired_key") {
            let made = tenant.create_key(app, &["--expires-at", &instant(3)]).await;
            while made.client.get("/api/v1/ingestion/stats").await.status != 401 {
                tokio::time::sleep(EXPIRY_POLL).await;
            }
            names.set("expired_key", made.key);
        }
        if uses("strange_key") {
            names.set("strange_key", key_of_another_installation(app).await);
        }
        (names, tenants)
    }
}

/// A good key that this server has never heard of.
async fn key_of_another_installation(app: &App) -> String {
    let elsewhere = Combination::ALL.into_iter().find(|other| *other != app.combination());
    let elsewhere = App::shared(elsewhere.expect("there are four")).await;
    elsewhere.tenant().await.key
}

/// Now, moved by some seconds, as RFC 3339.
fn instant(seconds: i64) -> String {
    #[expect(clippy::disallowed_methods, reason = "the server under test reads the same clock")]
    let now = OffsetDateTime::now_utc();
    let moved = now + Duration::seconds(seconds);
    moved.format(&Rfc3339).expect("the years in question have four digits")
}

/// A text with its middle character changed to another letter or digit.
fn flipped(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let middle = bytes.len() / 2;
    let at = BASE62.iter().position(|digit| *digit == bytes[middle]).unwrap_or(0);
    // Seven further: the lowest bits of a last base64 digit may mean nothing, and the middle one all.
    bytes[middle] = BASE62[(at + 7) % 62];
    String::from_utf8(bytes).expect("ASCII stays ASCII")
}

/// A key with another secret and the checksum that belongs to it: CRC-32 of all before it, in base 62.
pub(crate) fn forged(key: &str) -> String {
    let mut forged = flipped(&key[..key.len() - CHECKSUM_CHARS]);
    let mut crc = Crc::new();
    crc.update(forged.as_bytes());
    let mut rest = crc.sum();
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    forged.extend(digits.map(char::from));
    forged
}
