//! Points in time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::well_known::Rfc3339};

/// A point in time: whole microseconds since 1970-01-01T00:00:00Z.
///
/// Microseconds because that is what PostgreSQL keeps; a finer input is cut, not rounded, so that every
/// store answers alike. An integer because it sorts right in every database, which text does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date and time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an RFC 3339 date and time")]
pub struct ParseTimestampError;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59.999999Z, the last instant that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The instant this many microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The instant this many seconds after the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1_000_000)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant moved by a number of microseconds, which may be negative. Stops at the ends of `i64`.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This instant moved by a number of seconds, which may be negative. Stops at the ends of `i64`.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        self.plus_micros(secs.saturating_mul(1_000_000))
    }

    /// Reads RFC 3339 with an offset, or without one, which then means UTC.
    ///
    /// A space may stand for the `T` (RFC 3339 §5.6 allows it). Leap seconds and `24:00` are refused: both
    /// databases would silently move them to the next minute or day. Digits after the sixth are cut.
    ///
    /// # Errors
    /// [`ParseTimestampError`] for anything else.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        let is_leap_second = text.as_bytes().get(17..19) == Some(b"60");
        // RFC 3339 years have four digits; the parser would take a sign and more.
        let starts_with_year =
            text.as_bytes().get(..4).is_some_and(|year| year.iter().all(u8::is_ascii_digit));
        if is_leap_second || !starts_with_year || text.len() < 19 {
            return Err(ParseTimestampError);
        }
        let upper = text.to_ascii_uppercase();
        let instant = match OffsetDateTime::parse(&upper, &Rfc3339) {
            Ok(instant) => instant,
            Err(_) => parse_without_offset(&upper)?,
        };
        Self::from_offset(instant)
    }

    /// The same instant, cut to microseconds.
    fn from_offset(instant: OffsetDateTime) -> Result<Self, ParseTimestampError> {
        let nanos = instant.to_offset(UtcOffset::UTC).unix_timestamp_nanos();
        i64::try_from(nanos.div_euclid(1_000)).map(Self).map_err(|_| ParseTimestampError)
    }
}

fn parse_without_offset(upper: &str) -> Result<OffsetDateTime, ParseTimestampError> {
    let with_offset = format!("{upper}Z");
    if upper.ends_with('Z') {
        return Err(ParseTimestampError);
    }
    PrimitiveDateTime::parse(&with_offset, &Rfc3339)
        .map(PrimitiveDateTime::assume_utc)
        .map_err(|_| ParseTimestampError)
}

/// RFC 3339 in UTC with `Z`, and three or six digits after the second when they are not zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(t) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000) else {
            return write!(f, "{}us", self.0);
        };
        let (date, micros) = (t.date(), self.0.rem_euclid(1_000_000));
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", t.hour(), t.minute(), t.second())?;
        match micros {
            0 => {}
            m if m % 1_000 == 0 => write!(f, ".{:03}", m / 1_000)?,
            m => write!(f, ".{m:06}")?,
        }
        f.write_str("Z")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        Timestamp::parse(text).map_or_else(|_| "refused".to_owned(), |t| t.to_string())
    }

    #[test]
    fn reads_what_clients_send_and_writes_one_form() {
        for (sent, expected) in [
            ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
            ("2026-11-22T10:00:00", "2026-11-22T10:00:00Z"),
            ("2026-11-22T10:00:00.5", "2026-11-22T10:00:00.500Z"),
            ("2026-11-22t10:00:00z", "2026-11-22T10:00:00Z"),
            ("2026-11-22T15:30:00+05:30", "2026-11-22T10:00:00Z"),
            ("2026-11-22T10:00:00.123456789Z", "2026-11-22T10:00:00.123456Z"),
            ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ] {
            assert_eq!(shown(sent), expected, "{sent}");
        }
    }

    #[test]
    fn refuses_what_databases_would_bend() {
        for sent in [
            "",
            "now",
            "infinity",
            "1732269600",
            "2025-02-30T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "2016-12-31T24:00:00Z",
            "2025-01-01T00:00:00+25:00",
            "2025-01-01",
            "+294276-01-01T00:00:00Z",
            "-4714-01-01T00:00:00Z",
            "2025-01-01T00:00:00ZZ",
        ] {
            assert_eq!(shown(sent), "refused", "{sent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in -62_135_596_800_000_000_i64..=Timestamp::MAX.as_micros()) {
            let written = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&written.to_string()), Ok(written));
        }
    }
}
