//! Values as they are written in settings: with their unit.
//!
//! The errors say what is expected and do not repeat what was given.

use std::time::Duration;

/// The units of times, largest first, in milliseconds.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The units of sizes, largest first, in bytes.
const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a whole number with one of these units.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a number with the largest of these units that divides it.
fn show(value: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| value >= *factor && value.is_multiple_of(*factor);
    // Zero seconds read better than zero hours.
    let (name, factor) = units.iter().find(fits).unwrap_or(&units[units.len() - 2]);
    format!("{}{name}", value / factor)
}

/// A duration as settings and messages write it.
pub(crate) fn show_duration(duration: Duration) -> String {
    show(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &TIMES)
}

/// A size as settings and messages write it.
pub(crate) fn show_size(bytes: usize) -> String {
    show(bytes as u64, &SIZES)
}

pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let read = |text: &str| super::parse(text, &super::TIMES).map(Duration::from_millis);
        super::text(deserializer, "a time with its unit, such as 250ms, 5s or 2m", read)
            .map_err(de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_duration(*value))
    }
}

pub(super) mod size {
    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
        let read =
            |text: &str| super::parse(text, &super::SIZES).and_then(|bytes| usize::try_from(bytes).ok());
        super::text(deserializer, "a size with its unit, such as 512KiB or 8MiB", read)
            .map_err(de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(value: &usize, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::show_size(*value))
    }
}

pub(super) mod address {
    use std::net::SocketAddr;

    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
        let read = |text: &str| text.parse().ok();
        super::text(deserializer, "an address and port, such as 127.0.0.1:8000 or [::]:8000", read)
            .map_err(de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(value: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }
}

pub(super) mod optional_address {
    use std::net::SocketAddr;

    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SocketAddr>, D::Error> {
        let read = |text: &str| match text {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        super::text(deserializer, "an address and port, such as 127.0.0.1:9000, or empty", read)
            .map_err(de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<SocketAddr>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&value.map_or_else(String::new, |address| address.to_string()))
    }
}

pub(super) mod networks {
    use ipnet::IpNet;
    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
        super::list(deserializer, "a list of networks or addresses, such as 10.0.0.0/8", read)
            .map_err(de::Error::custom)
    }

    /// A single address is a network of its own.
    fn read(text: &str) -> Option<IpNet> {
        text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<std::net::IpAddr>().ok()?)))
    }

    pub(crate) fn serialize<S: Serializer>(value: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter().map(ToString::to_string))
    }
}

pub(super) mod ports {
    use std::ops::RangeInclusive;

    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<RangeInclusive<u16>>, D::Error> {
        super::list(deserializer, "a list of ports or ranges of them, such as 8080 or 9000-9100", read)
            .map_err(de::Error::custom)
    }

    /// A single port is a range of its own.
    fn read(text: &str) -> Option<RangeInclusive<u16>> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = first.trim().parse().ok()?..=last.trim().parse().ok()?;
        (*range.start() > 0 && !range.is_empty()).then_some(range)
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &[RangeInclusive<u16>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        serializer.collect_seq(value.iter().map(text))
    }
}

pub(super) mod origins {
    use serde::{Deserializer, Serializer, de};
    use url::Url;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        let expected =
            "a list of origins as browsers write them, such as https://console.example.com; * is none";
        super::list(deserializer, expected, read).map_err(de::Error::custom)
    }

    /// Exactly as a browser writes it: it is compared byte for byte.
    fn read(text: &str) -> Option<String> {
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https");
        (is_web && !text.contains('*') && url.origin().ascii_serialization() == text).then(|| text.to_owned())
    }

    pub(crate) fn serialize<S: Serializer>(value: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value)
    }
}

pub(super) mod optional_path {
    use std::path::PathBuf;

    use serde::{Deserializer, Serializer, de};

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        let read = |text: &str| Some((!text.is_empty()).then(|| PathBuf::from(text)));
        super::text(deserializer, "a path", read).map_err(de::Error::custom)
    }

    pub(crate) fn serialize<S: Serializer>(
        value: &Option<PathBuf>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = value.as_ref().map(|path| path.to_string_lossy());
        serializer.serialize_str(text.as_deref().unwrap_or_default())
    }
}

/// Reads a list, or says what is expected. A text is a list with commas: the environment has nothing else.
fn list<'de, D: serde::Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, String> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Written {
        Items(Vec<String>),
        Text(String),
        // What a text of digits alone has become on its way here from the environment.
        Number(u64),
    }
    let items = match <Written as serde::Deserialize>::deserialize(deserializer) {
        Ok(Written::Items(items)) => items,
        Ok(Written::Text(text)) if text.is_empty() => Vec::new(),
        Ok(Written::Number(number)) => vec![number.to_string()],
        Ok(Written::Text(text)) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        Err(_) => return Err(format!("must be {expected}")),
    };
    let read: Option<Vec<T>> = items.iter().map(|item| read(item)).collect();
    read.ok_or_else(|| format!("must be {expected}"))
}

/// Reads a text, or says what is expected; a value of another type is answered the same.
fn text<'de, D: serde::Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, String> {
    let text = <String as serde::Deserialize>::deserialize(deserializer).ok();
    text.and_then(|text| read(&text)).ok_or_else(|| format!("must be {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_a_unit() {
        for (written, milliseconds) in [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("5s", Some(5_000)),
            ("2 m", Some(120_000)),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1d", None),
            ("", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse(written, &TIMES), milliseconds, "{written}");
        }
        assert_eq!(parse("8MiB", &SIZES), Some(8 << 20));
        assert_eq!(parse("8MB", &SIZES), None);
    }

    #[test]
    fn values_are_shown_as_they_are_written() {
        for text in ["250ms", "5s", "2m", "1h", "90s"] {
            assert_eq!(show(parse(text, &TIMES).expect("valid"), &TIMES), text);
        }
        for text in ["1B", "11MiB", "1537B", "1GiB"] {
            assert_eq!(show(parse(text, &SIZES).expect("valid"), &SIZES), text);
        }
        assert_eq!(show_duration(Duration::ZERO), "0s");
    }
}
