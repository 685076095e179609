//! Settings as text.

use serde_json::{Map, Value};

use super::Settings;

/// Writes settings as a configuration file, secrets redacted.
pub(crate) fn to_toml(settings: &Settings) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    let sections: Map<String, Value> = serde_json::from_value(serde_json::to_value(settings)?)?;
    for (section, keys) in sections {
        let keys: Map<String, Value> = serde_json::from_value(keys)?;
        text.push_str(&format!("[{section}]\n"));
        for (key, value) in keys {
            // Texts, numbers and truth values are written alike in JSON and TOML.
            text.push_str(&format!("{key} = {value}\n"));
        }
        text.push('\n');
    }
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::settings::load;

    #[test]
    fn what_is_printed_reads_back_and_shows_no_secret() {
        let settings =
            load(None, [("REDIS_URL".to_owned(), "redis://:hunter2@host".to_owned())]).expect("good");
        let printed = to_toml(&settings).expect("settings are JSON");
        assert!(!printed.contains("hunter2") && printed.contains("url = \"[redacted]\""));
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        let plain = printed.replace("[redacted]", "redis://:hunter2@host");
        file.write_all(plain.as_bytes()).expect("it can be written");
        assert_eq!(load(Some(file.path()), []).expect("good"), settings);
    }
}
