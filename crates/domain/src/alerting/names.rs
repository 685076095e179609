//! The closed vocabularies of rules and alerts.

use crate::event::names::names;

names! {
    /// How bad it is when a rule fires. In order: the last is the worst.
    AlertSeverity {
        /// Can wait.
        Low = "low",
        /// Should be looked at.
        Medium = "medium",
        /// Should be looked at now.
        High = "high",
        /// Somebody has to get up.
        Critical = "critical",
    }
}

names! {
    /// Where an alert stands.
    AlertStatus {
        /// The condition holds, but not yet for as long as the rule's `for`.
        Pending = "pending",
        /// The condition holds.
        Active = "active",
        /// Somebody has taken it on: no repeats until it resolves or worsens.
        Acknowledged = "acknowledged",
        /// Somebody does not want to hear of it: no notices until it is reactivated.
        Suppressed = "suppressed",
        /// Over.
        Resolved = "resolved",
    }
}

impl AlertStatus {
    /// Whether the alert has been raised and is not over.
    pub const fn is_raised(self) -> bool {
        matches!(self, Self::Active | Self::Acknowledged | Self::Suppressed)
    }
}

names! {
    /// How long a stretch of time a rule looks at.
    TimeWindow {
        /// A minute.
        OneMinute = "1m",
        /// Five minutes; the default.
        FiveMinutes = "5m",
        /// A quarter of an hour.
        FifteenMinutes = "15m",
        /// An hour.
        OneHour = "1h",
        /// Six hours.
        SixHours = "6h",
        /// A day.
        OneDay = "24h",
        /// A week.
        SevenDays = "7d",
    }
}

impl TimeWindow {
    /// Its length in seconds.
    pub const fn secs(self) -> u32 {
        match self {
            Self::OneMinute => 60,
            Self::FiveMinutes => 300,
            Self::FifteenMinutes => 900,
            Self::OneHour => 3_600,
            Self::SixHours => 6 * 3_600,
            Self::OneDay => 86_400,
            Self::SevenDays => 7 * 86_400,
        }
    }
}

names! {
    /// How a value is compared with a threshold.
    Operator {
        /// Larger.
        Greater = ">",
        /// Larger or equal.
        GreaterOrEqual = ">=",
        /// Smaller.
        Less = "<",
        /// Smaller or equal.
        LessOrEqual = "<=",
        /// Equal, to a thousandth.
        Equal = "==",
        /// Not equal, by more than a thousandth.
        NotEqual = "!=",
    }
}

impl Operator {
    /// Whether `value` stands in this relation to `threshold`.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        /// Averages are rarely equal to the last bit.
        const TOLERANCE: f64 = 0.001;
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
            Self::Equal => (value - threshold).abs() <= TOLERANCE,
            Self::NotEqual => (value - threshold).abs() > TOLERANCE,
        }
    }
}

names! {
    /// What of the events a condition measures.
    Metric {
        /// How many there are.
        Count = "count",
        /// Their status codes.
        StatusCode = "status_code",
        /// Their response times in milliseconds.
        DurationMs = "duration_ms",
    }
}

impl Metric {
    /// The number each event has; none for how many there are.
    pub const fn field(self) -> Option<NumberField> {
        match self {
            Self::Count => None,
            Self::StatusCode => Some(NumberField::StatusCode),
            Self::DurationMs => Some(NumberField::DurationMs),
        }
    }
}

names! {
    /// A number that events have. Some events have none; they are left out of every aggregate.
    NumberField {
        /// `status_code`
        StatusCode = "status_code",
        /// `duration_ms`
        DurationMs = "duration_ms",
    }
}

names! {
    /// How many numbers become one.
    Aggregate {
        /// The mean; the default.
        Average = "avg",
        /// The smallest.
        Minimum = "min",
        /// The largest.
        Maximum = "max",
        /// The median, by nearest rank: a value that occurred.
        P50 = "p50",
        /// 95 in 100 are at most this, by nearest rank.
        P95 = "p95",
        /// 99 in 100 are at most this, by nearest rank.
        P99 = "p99",
    }
}

impl Aggregate {
    /// The percent of a percentile.
    pub const fn percent(self) -> Option<u32> {
        match self {
            Self::P50 => Some(50),
            Self::P95 => Some(95),
            Self::P99 => Some(99),
            _ => None,
        }
    }
}

names! {
    /// What to do when a condition has nothing to measure: no events, or none with the number it asks for.
    NoDataPolicy {
        /// As if the condition did not hold; the default.
        Ok = "ok",
        /// As if the condition held.
        Alert = "alert",
        /// Everything stays as it was.
        KeepLast = "keep_last",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_exact_but_for_equality() {
        for (operator, value, expected) in [
            (Operator::Greater, 0.0, false),
            (Operator::Greater, 0.000_1, true),
            (Operator::GreaterOrEqual, 0.0, true),
            (Operator::Less, 0.0, false),
            (Operator::Less, -0.000_1, true),
            (Operator::LessOrEqual, 0.0, true),
            (Operator::Equal, 0.000_5, true),
            (Operator::Equal, 0.002, false),
            (Operator::NotEqual, 0.000_5, false),
            (Operator::NotEqual, 0.002, true),
        ] {
            assert_eq!(operator.holds(value, 0.0), expected, "{value} {operator} 0");
        }
    }

    #[test]
    fn severities_are_in_order() {
        assert!(AlertSeverity::ALL.is_sorted());
        assert!(AlertSeverity::Critical > AlertSeverity::Low);
    }
}
