//! Finds secrets in bytes, however they are written there.

use std::collections::{BTreeMap, HashMap};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// So many bytes of each form are looked up at each place; what is shorter is no secret.
const HEAD: usize = 8;

/// Knows secrets, and counts what it has looked through.
#[derive(Default)]
pub(super) struct Scanner {
    names: Vec<&'static str>,
    forms: HashMap<[u8; HEAD], Vec<(&'static str, Vec<u8>)>>,
    scanned: BTreeMap<&'static str, usize>,
    hits: Vec<String>,
}

impl Scanner {
    /// Looks for this from now on: as it is, in base64 of either alphabet wherever it begins in it, and in hex.
    pub(super) fn plant(&mut self, name: &'static str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        let mut forms = vec![secret.to_vec(), hex(secret), hex(secret).to_ascii_uppercase()];
        for offset in 0..3 {
            let padded = [&[0; 2][..offset], secret].concat();
            // Characters that neighbours have a part in are left out.
            let whole = (offset * 8).div_ceil(6)..padded.len() * 8 / 6;
            forms.push(STANDARD_NO_PAD.encode(&padded).as_bytes()[whole.clone()].to_vec());
            forms.push(URL_SAFE_NO_PAD.encode(&padded).as_bytes()[whole].to_vec());
        }
        // Without its own characters the two alphabets are one.
        forms.sort_unstable();
        forms.dedup();
        for form in forms {
            let head = form.first_chunk().unwrap_or_else(|| panic!("{name} is too short for a secret"));
            self.forms.entry(*head).or_default().push((name, form));
        }
        self.names.push(name);
    }

    /// Looks through bytes that came out somewhere.
    pub(super) fn scan(&mut self, surface: &'static str, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        *self.scanned.entry(surface).or_default() += bytes.len();
        for (place, head) in bytes.windows(HEAD).enumerate() {
            let head: &[u8; HEAD] = head.try_into().expect("windows are that long");
            for (name, form) in self.forms.get(head).into_iter().flatten() {
                if bytes[place..].starts_with(form) {
                    let around = &bytes[place.saturating_sub(120)..bytes.len().min(place + 60)];
                    self.hits.push(format!("{name} in {surface}: {}", String::from_utf8_lossy(around)));
                }
            }
        }
    }

    /// How many secrets it looks for.
    pub(super) fn secrets(&self) -> usize {
        self.names.len()
    }

    /// What was found, each with its surroundings.
    pub(super) fn hits(&self) -> &[String] {
        &self.hits
    }

    /// How many bytes were looked through, by surface.
    pub(super) fn scanned(&self) -> &BTreeMap<&'static str, usize> {
        &self.scanned
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}
