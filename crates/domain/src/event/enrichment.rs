//! What can be said about an event beyond what the client said.
//!
//! It is worked out before the insert, from the event alone, so that a row is written once.

use super::names::names;

names! {
    /// The kind of device behind a user agent.
    DeviceType {
        /// A crawler, a monitor, or a library.
        Bot = "bot",
        /// A tablet.
        Tablet = "tablet",
        /// A phone.
        Mobile = "mobile",
        /// Anything else with a user agent.
        Desktop = "desktop",
    }
}

names! {
    /// How fast an answer was.
    Performance {
        /// At most 200 ms.
        Excellent = "excellent",
        /// At most 500 ms.
        Good = "good",
        /// At most 1,000 ms.
        Fair = "fair",
        /// Slower.
        Poor = "poor",
    }
}

/// What was found out about an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Enrichment {
    /// From `context.user_agent`.
    pub device_type: Option<DeviceType>,
    /// From `metrics.response_time_ms`.
    pub performance: Option<Performance>,
}

impl Enrichment {
    /// Works out what can be known from these two.
    pub fn of(user_agent: Option<&str>, duration_ms: Option<f64>) -> Self {
        Self { device_type: user_agent.map(device_type), performance: duration_ms.map(performance) }
    }
}

/// Words, not versions: the question is only which kind of thing calls.
fn device_type(user_agent: &str) -> DeviceType {
    let agent = user_agent.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| agent.contains(word));
    if agent.is_empty()
        || has(&[
            "bot", "crawler", "spider", "slurp", "curl/", "wget/", "python", "java/", "go-http", "feed",
            "monitor",
        ])
    {
        DeviceType::Bot
    } else if has(&["ipad", "tablet", "kindle"]) || (has(&["android"]) && !has(&["mobile"])) {
        DeviceType::Tablet
    } else if has(&["mobile", "iphone", "ipod", "android", "windows phone"]) {
        DeviceType::Mobile
    } else {
        DeviceType::Desktop
    }
}

fn performance(duration_ms: f64) -> Performance {
    match duration_ms {
        ms if ms > 1_000.0 => Performance::Poor,
        ms if ms > 500.0 => Performance::Fair,
        ms if ms > 200.0 => Performance::Good,
        _ => Performance::Excellent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_fall_into_kinds() {
        for (agent, expected) in [
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) Chrome/32.0 Safari/537.36", DeviceType::Desktop),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 6_0 like Mac OS X) Mobile/10A5376e", DeviceType::Mobile),
            ("Mozilla/5.0 (iPad; CPU OS 7_0 like Mac OS X) Mobile/11A465", DeviceType::Tablet),
            ("Mozilla/5.0 (Linux; Android 4.4; Nexus 10) Safari/537.36", DeviceType::Tablet),
            ("Mozilla/5.0 (compatible; Googlebot/2.1)", DeviceType::Bot),
            ("curl/8.5.0", DeviceType::Bot),
        ] {
            assert_eq!(Enrichment::of(Some(agent), None).device_type, Some(expected), "{agent}");
        }
    }

    #[test]
    fn performance_classes_end_at_their_limits() {
        for (ms, expected) in [
            (0.0, Performance::Excellent),
            (200.0, Performance::Excellent),
            (200.1, Performance::Good),
            (500.1, Performance::Fair),
            (1_000.0, Performance::Fair),
            (1_000.1, Performance::Poor),
        ] {
            assert_eq!(Enrichment::of(None, Some(ms)).performance, Some(expected), "{ms}");
        }
    }
}
