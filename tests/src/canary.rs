//! Canaries: 20 characters in each tenant's data that nobody else is ever shown.
//!
//! Every tenant that a trial makes has one, in its short name, in the names of its people and keys, and in what it
//! sends. [`heard`] looks at every byte that a server answers, and knows from the request for which tenants it
//! spoke. The run fails if a tenant was shown another's canary.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{LazyLock, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use memchr::memmem;
use serde_json::Value;

/// What every canary begins with, and nothing else does.
const BEGINNING: &str = "cnry";
const LENGTH: usize = 20;
/// What API keys begin with.
const KEY: &str = "ps_live_";
/// What refresh tokens begin with; the id of their tenant comes next.
const REFRESH: &str = "psr_";

static RECORDER: LazyLock<Mutex<Recorder>> = LazyLock::new(Mutex::default);

/// A canary that no other tenant has.
pub fn new() -> String {
    let name = format!("{} {}", crate::unique("canary"), std::process::id());
    format!("{BEGINNING}{}", &blake3::hash(name.as_bytes()).to_hex()[..LENGTH - BEGINNING.len()])
}

/// Makes a tenant known.
pub fn add_tenant(id: &str, canary: &str) {
    recorder(|recorder| recorder.add_tenant(id, canary));
}

/// Makes an API key of the tenant with this canary known.
pub fn add_key(key: &str, canary: &str) {
    recorder(|recorder| recorder.add_key(key, canary));
}

/// The canary of the tenant that a credential belongs to, if it is one of a tenant that was made known.
pub fn of(credential: &str) -> Option<String> {
    recorder(|recorder| recorder.of_credential(credential))
}

/// Looks at what was answered to a request, headers included.
///
/// # Panics
/// When it has the canary of a tenant that the request does not speak for.
pub fn heard(head: &[u8], body: &[u8], answer: &[&[u8]]) {
    let foreign = recorder(|recorder| recorder.hear(head, body, answer));
    let text = || answer.iter().map(|part| String::from_utf8_lossy(part)).collect::<String>();
    assert!(foreign.is_empty(), "an answer has {foreign:?} of other tenants: {}", text());
}

/// Looks at what a connection without a client was sent and received. What is found fails the run: see [`finish`].
pub fn overheard(sent: &[u8], received: &[u8]) {
    recorder(|recorder| recorder.hear(sent, sent, &[received]));
}

/// Looks at a letter: whom it is for is told what is theirs.
///
/// # Panics
/// When it has a canary that none of the addresses has.
pub fn mailed(to: &[u8], letter: &[u8]) {
    let foreign = recorder(|recorder| {
        let theirs = recorder.canaries_in(to).collect();
        recorder.judge(&theirs, &[letter])
    });
    assert!(foreign.is_empty(), "a letter has {foreign:?}: {}", String::from_utf8_lossy(letter));
}

/// Looks at what was sent to somebody whom only the tenant with this canary named, such as a notice or a mail.
///
/// # Panics
/// When it has the canary of another tenant.
pub fn delivered(canary: &str, message: &[u8]) {
    let foreign = recorder(|recorder| recorder.judge(&[canary.to_owned()].into(), &[message]));
    assert!(
        foreign.is_empty(),
        "a message to {canary} has {foreign:?}: {}",
        String::from_utf8_lossy(message)
    );
}

/// Prints what was looked at.
///
/// # Panics
/// When a tenant was shown another's canary, also where no trial noticed.
pub fn finish() {
    recorder(|recorder| {
        let Recorder { canaries, answers, bytes, found, hits, .. } = &*recorder;
        println!(
            "canaries: {bytes} bytes in {answers} answers and messages looked at; {} tenants' own, seen {found} times; \
             shown to others: {hits}\n",
            canaries.len(),
        );
        assert_eq!(*hits, 0, "tenants were shown what is others'");
    });
}

fn recorder<T>(look: impl FnOnce(&mut Recorder) -> T) -> T {
    look(&mut RECORDER.lock().expect("no holder panics"))
}

/// Who has which canary, who speaks for whom, and what was seen so far.
#[derive(Default)]
struct Recorder {
    canaries: BTreeSet<String>,
    /// By the tenant's id, without hyphens.
    tenants: HashMap<String, String>,
    keys: HashMap<String, String>,
    answers: u64,
    bytes: u64,
    found: u64,
    hits: u64,
}

impl Recorder {
    fn add_tenant(&mut self, id: &str, canary: &str) {
        self.canaries.insert(canary.to_owned());
        self.tenants.insert(id.replace('-', ""), canary.to_owned());
    }

    fn add_key(&mut self, key: &str, canary: &str) {
        self.keys.insert(key.to_owned(), canary.to_owned());
    }

    fn of_credential(&self, credential: &str) -> Option<String> {
        let of_tenant = |id: &str| self.tenants.get(&id.replace('-', ""));
        let found = match credential {
            key if self.keys.contains_key(key) => self.keys.get(key),
            token if token.starts_with(REFRESH) => of_tenant(token.get(REFRESH.len()..REFRESH.len() + 32)?),
            token if token.starts_with("eyJ") => of_tenant(claims(token)?["tenant"].as_str()?),
            _ => None,
        };
        found.cloned()
    }

    /// The canaries of whom a request speaks for: those of its credentials. Without any, it may be told what it
    /// says itself, such as the name that somebody logs in with.
    fn speaks_for(&self, head: &[u8], body: &[u8]) -> BTreeSet<String> {
        let head = &head[..head.len().min(64 * 1024)];
        let credentials = words(head).filter_map(|word| self.of_credential(word));
        let mut speaks_for: BTreeSet<String> = credentials.collect();
        if speaks_for.is_empty() {
            speaks_for.extend(starting_with(body, REFRESH).filter_map(|word| self.of_credential(word)));
        }
        if speaks_for.is_empty() {
            speaks_for.extend(self.canaries_in(body).chain(self.canaries_in(head)));
        }
        speaks_for
    }

    fn canaries_in<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = String> + 'a {
        let at = memmem::find_iter(bytes, BEGINNING);
        let texts = at.filter_map(|at| str::from_utf8(bytes.get(at..at + LENGTH)?).ok());
        texts.filter(|text| self.canaries.contains(*text)).map(str::to_owned)
    }

    /// Looks at an answer, and says what in it is others'.
    fn hear(&mut self, head: &[u8], body: &[u8], answer: &[&[u8]]) -> BTreeSet<String> {
        let speaks_for = self.speaks_for(head, body);
        if let (Some(canary), 1) = (speaks_for.first(), speaks_for.len()) {
            // Keys that are made over HTTP are shown here for the first time.
            for key in answer.iter().flat_map(|part| starting_with(part, KEY)) {
                self.keys.entry(key.to_owned()).or_insert_with(|| canary.clone());
            }
        }
        self.judge(&speaks_for, answer)
    }

    fn judge(&mut self, may_see: &BTreeSet<String>, parts: &[&[u8]]) -> BTreeSet<String> {
        let seen: Vec<String> = parts.iter().flat_map(|part| self.canaries_in(part)).collect();
        self.answers += 1;
        self.bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.found += seen.len() as u64;
        let foreign: BTreeSet<String> = seen.into_iter().filter(|canary| !may_see.contains(canary)).collect();
        self.hits += foreign.len() as u64;
        foreign
    }
}

/// What an access token says, believed or not.
fn claims(token: &str) -> Option<Value> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// What may be credentials in a head.
fn words(head: &[u8]) -> impl Iterator<Item = &str> {
    let words = head.split(|byte| !is_of_word(*byte)).filter(|word| word.len() >= 8);
    words.filter_map(|word| str::from_utf8(word).ok())
}

fn starting_with<'a>(bytes: &'a [u8], beginning: &'a str) -> impl Iterator<Item = &'a str> {
    memmem::find_iter(bytes, beginning).filter_map(|at| {
        let length = bytes[at..].iter().position(|byte| !is_of_word(*byte)).unwrap_or(bytes.len() - at);
        str::from_utf8(&bytes[at..at + length]).ok()
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const ANN: (&str, &str) = ("0190aaaa-bbbb-7ccc-8ddd-111122223333", "cnryaaaaaaaaaaaaaaaa");
    const BOB: (&str, &str) = ("0190aaaa-bbbb-7ccc-8ddd-444455556666", "cnrybbbbbbbbbbbbbbbb");

    fn recorder() -> Recorder {
        let mut recorder = Recorder::default();
        recorder.add_tenant(ANN.0, ANN.1);
        recorder.add_tenant(BOB.0, BOB.1);
        recorder.add_key("ps_live_ann", ANN.1);
        recorder
    }

    fn token(tenant: &str) -> String {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::json!({"tenant": tenant}).to_string());
        format!("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.{claims}.c2ln")
    }

    #[test]
    fn a_planted_canary_of_another_tenant_is_found_wherever_it_is() {
        let answer = [format!("x-name: {}\n", ANN.1), format!("{{\"title\":\"a{}b\"}}", BOB.1)];
        let answer = answer.each_ref().map(String::as_bytes);
        for head in ["X-API-Key: ps_live_ann", &token(ANN.0)] {
            let mut recorder = recorder();
            let foreign = recorder.hear(head.as_bytes(), BOB.1.as_bytes(), &answer);
            assert_eq!(foreign, [BOB.1.to_owned()].into(), "asking for it by name changes nothing");
            assert_eq!((recorder.hits, recorder.found, recorder.answers), (1, 2, 1));
            assert_eq!(recorder.bytes, answer.concat().len() as u64);
        }
        assert_eq!(recorder().hear(token(BOB.0).as_bytes(), b"", &answer), [ANN.1.to_owned()].into());
        assert_eq!(recorder().hear(b"GET /", b"", &answer).len(), 2, "strangers see nobody's");
        assert_eq!(recorder().judge(&[ANN.1.to_owned()].into(), &answer), [BOB.1.to_owned()].into());
    }

    #[tokio::test]
    async fn what_comes_on_a_connection_without_a_client_is_looked_at() {
        let hits = || super::recorder(|recorder| recorder.hits);
        let canary = new();
        add_tenant("0190aaaa-bbbb-7ccc-8ddd-777788889999", &canary);
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut connection = crate::Overheard::new(ours);
        connection.write_all(b"GET / HTTP/1.1").await.unwrap();
        theirs.write_all(canary.as_bytes()).await.unwrap();
        connection.read_exact(&mut [0; LENGTH]).await.unwrap();
        assert_eq!(hits(), 0);
        drop(connection);
        assert_eq!(hits(), 1);
    }

    #[test]
    fn a_tenant_may_see_its_own() {
        let answer: [&[u8]; 1] = [BOB.1.as_bytes()];
        let refresh = format!("{{\"refresh_token\":\"psr_{}_abc\"}}", BOB.0.replace('-', ""));
        let login = format!("{{\"tenant_slug\":\"{}\"}}", BOB.1);
        for (head, body) in [(token(BOB.0), String::new()), (String::new(), refresh), (String::new(), login)]
        {
            assert!(recorder().hear(head.as_bytes(), body.as_bytes(), &answer).is_empty(), "{head} {body}");
        }
    }

    #[test]
    fn a_key_that_is_shown_to_a_tenant_speaks_for_it() {
        let mut recorder = recorder();
        recorder.hear(token(BOB.0).as_bytes(), b"", &[br#"{"api_key":"ps_live_bob"}"#]);
        assert_eq!(recorder.of_credential("ps_live_bob").as_deref(), Some(BOB.1));
        assert_eq!(recorder.of_credential("ps_live_nobody"), None);
    }

    #[test]
    fn canaries_are_twenty_characters_and_differ() {
        let (one, other) = (new(), new());
        assert_eq!((one.len(), other.len()), (LENGTH, LENGTH));
        assert_ne!(one, other);
    }
}
