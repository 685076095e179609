//! Access tokens, made by hand: good ones, and those that a server must not take.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

/// The one header that a server takes.
pub fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

/// A token with this header and these claims, signed with this secret.
pub fn token(secret: &str, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag(secret, &signed)))
}

/// What a secret makes of a text.
pub fn tag(secret: &str, signed: &str) -> Vec<u8> {
    let key = blake3::derive_key("pulsestream 2026 access tokens", secret.as_bytes());
    let mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
    mac.chain_update(signed).finalize().into_bytes().to_vec()
}

/// The claims of a token.
pub fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("a token has three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("base 64");
    serde_json::from_slice(&claims).expect("claims are JSON")
}
