//! From defaults, a file and the environment to settings, or to one line that names what is wrong.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};

use super::{Settings, check::check};

const DEFAULTS: &str = include_str!("../../../../config.default.toml");
const PREFIX: &str = "PULSESTREAM_";

/// Conventional names, each for the setting that it stands for.
const SHORT_NAMES: [(&str, &str); 4] = [
    ("DATABASE_URL", "database.url"),
    ("REDIS_URL", "redis.url"),
    ("PULSESTREAM_BIND", "server.bind"),
    ("PULSESTREAM_DATA_DIR", "database.data_dir"),
];

/// Why there are no settings. Fits on one line, and shows no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file can't be read.
    #[error("the configuration file {path} can't be read: {why}", path = .path.display())]
    Unreadable { path: PathBuf, why: std::io::ErrorKind },
    /// The file is not TOML.
    #[error("the configuration file {path} is not TOML: line {line}: {why}", path = .path.display())]
    NotToml { path: PathBuf, line: usize, why: String },
    /// A value is not allowed, or its key does not exist.
    #[error("{key} {rule} ({origin})")]
    Invalid { key: String, rule: String, origin: String },
}

/// Loads settings from the defaults, then a file, then the environment; what comes later wins.
///
/// # Errors
/// For the first thing that is wrong.
pub(crate) fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Settings, SettingsError> {
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    if let Some(path) = file {
        figment = figment.merge(FileLayer::read(path)?);
    }
    let variables = Variable::all(environment);
    for variable in variables {
        figment = figment.merge(variable);
    }
    let mut settings: Settings = figment.extract().map_err(|error| invalid(&error))?;
    check(&settings).map_err(|broken| {
        let origin =
            figment.find_metadata(broken.key).map_or_else(String::new, |found| found.name.to_string());
        SettingsError::Invalid { key: broken.key.to_owned(), rule: broken.rule, origin }
    })?;
    settings.auth.registration = settings.registration();
    Ok(settings)
}

/// Says what is wrong without the value, which may be a secret.
fn invalid(error: &figment::Error) -> SettingsError {
    let mut key = error.path.join(".");
    let rule = match &error.kind {
        Kind::UnknownField(name, _) => {
            // The path ends with the section or with the unknown name, depending on who noticed.
            if error.path.last() != Some(name) {
                key = [key.as_str(), name]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join(".");
            }
            "is not a setting".to_owned()
        }
        Kind::Message(rule) => rule.clone(),
        Kind::UnknownVariant(_, allowed) => format!("must be one of {}", allowed.join(", ")),
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => match expected.as_str() {
            "usize" | "u32" | "u16" => "must be a whole number".to_owned(),
            "a boolean" => "must be true or false".to_owned(),
            "a string" | "path string" => "must be a text".to_owned(),
            _ => "must be a section of settings".to_owned(),
        },
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is out of range".to_owned(),
        _ => "is not valid".to_owned(),
    };
    let origin = error.metadata.as_ref().map_or("defaults".into(), |origin| origin.name.clone());
    SettingsError::Invalid { key, rule, origin: origin.into_owned() }
}

/// The settings of a file.
struct FileLayer {
    path: PathBuf,
    dict: Dict,
}

impl FileLayer {
    fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| SettingsError::Unreadable { path: path.to_owned(), why: error.kind() })?;
        let dict = <Toml as Format>::from_str(&text).map_err(|error: <Toml as Format>::Error| {
            // The error's own text repeats the line, which may hold a secret.
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let why = error.message().lines().next().unwrap_or_default().to_owned();
            SettingsError::NotToml { path: path.to_owned(), line: before.matches('\n').count() + 1, why }
        })?;
        Ok(Self { path: path.to_owned(), dict })
    }
}

impl Provider for FileLayer {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("in the configuration file {}", self.path.display()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// One variable of the environment.
struct Variable {
    name: String,
    key: String,
    value: Value,
}

impl Variable {
    /// The variables that are settings: short names first, so that long ones win.
    ///
    /// A name without `__` that is not one of the short ones is left alone: orchestrators make variables such
    /// as `PULSESTREAM_SERVICE_HOST` out of the names of things. An empty short one counts as absent.
    fn all(environment: impl IntoIterator<Item = (String, String)>) -> Vec<Self> {
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for (name, text) in environment {
            if let Some((_, key)) = SHORT_NAMES.iter().find(|(short, _)| *short == name) {
                if !text.is_empty() {
                    short.push(Self { name, key: (*key).to_owned(), value: text.into() });
                }
            } else if let Some((section, key)) =
                name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__"))
            {
                let key = format!("{section}.{key}").to_lowercase();
                long.push(Self { name, key, value: typed(text) });
            }
        }
        short.append(&mut long);
        short
    }
}

/// A number or a truth value where the text is one.
fn typed(text: String) -> Value {
    if let Ok(number) = text.parse::<u64>() {
        return number.into();
    }
    text.parse::<bool>().map_or_else(|_| text.into(), Value::from)
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("from the environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = nest(&self.key, self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, time::Duration};

    use tempfile::NamedTempFile;

    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn with(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        load(None, environment(pairs))
    }

    fn file(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("it can be written");
        file
    }

    fn refusal(outcome: Result<Settings, SettingsError>) -> String {
        outcome.expect_err("it has to be refused").to_string()
    }

    #[test]
    fn the_default_file_has_every_setting_and_nothing_else() {
        let settings = with(&[]).expect("the defaults are good");
        let typed = serde_json::to_value(&settings).expect("settings are JSON");
        let mut written: serde_json::Value = Toml::from_str(DEFAULTS).expect("the file is TOML");
        // It follows from others, and is shown as what it comes to.
        assert_eq!(written["auth"]["registration"], "auto");
        written["auth"]["registration"] = "open".into();
        assert_eq!(typed, written, "every key, and every default as it is written");
    }

    #[test]
    fn every_key_of_the_default_file_is_explained() {
        let mut explained = false;
        for line in DEFAULTS.lines() {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(explained, "{line}");
            }
            explained = line.starts_with("# ");
        }
    }

    #[test]
    fn what_comes_later_wins() {
        let file = file("[server]\nbind = \"127.0.0.1:1\"\nworkers = 3\n[log]\nformat = \"json\"\n");
        let settings = load(
            Some(file.path()),
            environment(&[
                ("PULSESTREAM_BIND", "127.0.0.1:2"),
                ("PULSESTREAM_SERVER__BIND", "127.0.0.1:3"),
                ("PULSESTREAM_SERVER__PUBLIC_METRICS", "false"),
                ("PULSESTREAM_SERVER__DRAIN_DELAY", "5s"),
                ("PULSESTREAM_SERVICE_HOST", "10.0.0.1"),
                ("UNRELATED__NAME", "x"),
            ]),
        )
        .expect("all of it is good");
        assert_eq!(settings.server.bind.port(), 3);
        assert_eq!(settings.server.workers, 3);
        assert_eq!(settings.server.drain_delay, Duration::from_secs(5));
        assert!(!settings.server.public_metrics);
        assert_eq!(settings.log.format, super::super::LogFormat::Json);
    }

    #[test]
    fn lists_are_written_with_commas_in_the_environment() {
        let file = file("[cors]\nallowed_origins = [\"https://a.example\", \"http://localhost:3000\"]\n");
        let settings = load(
            Some(file.path()),
            environment(&[
                ("PULSESTREAM_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,2001:db8::/32"),
                ("PULSESTREAM_SERVER__UNCAPPED_NETWORKS", ""),
            ]),
        )
        .expect("all of it is good");
        let proxies: Vec<String> = settings.server.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        assert!(settings.server.uncapped_networks.is_empty());
        assert_eq!(settings.cors.allowed_origins, ["https://a.example", "http://localhost:3000"]);
    }

    #[test]
    fn an_origin_is_what_a_browser_calls_it_and_nothing_wider() {
        for origin in [
            "*",
            "null",
            "a.example",
            "https://a.example/",
            "https://A.example",
            "https://*.a.example",
            "ftp://a",
        ] {
            let refused = refusal(with(&[("PULSESTREAM_CORS__ALLOWED_ORIGINS", origin)]));
            assert!(
                refused.starts_with("cors.allowed_origins must be a list of origins"),
                "{origin}: {refused}"
            );
        }
    }

    #[test]
    fn short_names_stand_for_settings_and_empty_ones_for_nothing() {
        let settings =
            with(&[("DATABASE_URL", "postgres://u:p@h/d"), ("REDIS_URL", ""), ("PULSESTREAM_DATA_DIR", "7")])
                .expect("all of it is good");
        assert_eq!(settings.database.url.reveal(), Some("postgres://u:p@h/d"));
        assert_eq!(settings.redis.url.reveal(), None);
        assert_eq!(settings.database.data_dir, Path::new("7"));
    }

    #[test]
    fn an_unknown_key_is_refused_by_name_wherever_it_stands() {
        let in_file = file("[server]\nbnd = \"127.0.0.1:1\"\n");
        let expected =
            format!("server.bnd is not a setting (in the configuration file {})", in_file.path().display());
        assert_eq!(refusal(load(Some(in_file.path()), [])), expected);
        let section = file("[sever]\nbind = \"127.0.0.1:1\"\n");
        assert!(refusal(load(Some(section.path()), [])).starts_with("sever is not a setting"));
        assert_eq!(
            refusal(with(&[("PULSESTREAM_SERVER__BND", "x")])),
            "server.bnd is not a setting (from the environment variable PULSESTREAM_SERVER__BND)"
        );
    }

    #[test]
    fn a_bad_value_is_refused_with_its_key_and_rule_and_never_shown() {
        for (name, value, expected) in [
            (
                "PULSESTREAM_BIND",
                "hunter2",
                "server.bind must be an address and port, such as 127.0.0.1:8000 or [::]:8000",
            ),
            ("PULSESTREAM_SERVER__WORKERS", "hunter2", "server.workers must be a whole number"),
            ("PULSESTREAM_SERVER__WORKERS", "513", "server.workers must be from 0 to 512"),
            (
                "PULSESTREAM_SERVER__KEEP_ALIVE",
                "5",
                "server.keep_alive must be a time with its unit, such as 250ms, 5s or 2m",
            ),
            ("PULSESTREAM_SERVER__KEEP_ALIVE", "500ms", "server.keep_alive must be from 1s to 1h"),
            (
                "PULSESTREAM_SERVER__MAX_BODY_IN_FLIGHT",
                "1MiB",
                "server.max_body_in_flight must be from 11MiB to 1TiB",
            ),
            (
                "PULSESTREAM_SERVER__TRUSTED_PROXIES",
                "10.0.0.0/8,hunter2",
                "server.trusted_proxies must be a list of networks or addresses, such as 10.0.0.0/8",
            ),
            (
                "PULSESTREAM_SERVER__OPERATIONS_BIND",
                "9000",
                "server.operations_bind must be an address and port, such as 127.0.0.1:9000, or empty",
            ),
            ("PULSESTREAM_TLS__KEY", "hunter2", "tls.key is of no use without tls.certificate"),
            ("PULSESTREAM_SERVER__PUBLIC_METRICS", "hunter2", "server.public_metrics must be true or false"),
            (
                "DATABASE_URL",
                "mysql://u:hunter2@h",
                "database.url must start with postgres:// or postgresql:// or sqlite://",
            ),
            ("PULSESTREAM_REDIS__URL", "123456", "redis.url must be a text"),
            ("PULSESTREAM_LOG__FORMAT", "hunter2", "log.format must be one of auto, json, pretty"),
            (
                "PULSESTREAM_LOG__FILTER",
                "info,=hunter2=",
                "log.filter must be a level such as info, or levels by module such as info,pulsestream_api=debug",
            ),
            ("PULSESTREAM_LOG__", "x", "log must be a section of settings"),
        ] {
            let refused = refusal(with(&[(name, value)]));
            assert_eq!(
                refused,
                format!("{expected} (from the environment variable {name})"),
                "{name}={value}"
            );
            assert!(!refused.contains("hunter2"));
        }
    }

    #[test]
    fn a_file_that_is_no_toml_or_is_not_there_is_refused_on_one_line_without_its_text() {
        let broken = file("[database]\nurl = \"postgres://u:hunter2@h\n");
        let refused = refusal(load(Some(broken.path()), []));
        assert!(
            refused.contains("line 2") && !refused.contains('\n') && !refused.contains("hunter2"),
            "{refused}"
        );
        let missing = refusal(load(Some(Path::new("/nonexistent/x.toml")), []));
        assert_eq!(missing, "the configuration file /nonexistent/x.toml can't be read: entity not found");
    }
}
