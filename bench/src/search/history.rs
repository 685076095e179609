//! The past that searches look at: days of events of many tenants, as clients would have sent them.
//!
//! Every event is a function of its number, so that any part of it can be made by itself, and a search can
//! name a user or a word that is there.

use std::fmt::Write as _;

use anyhow::{Result, anyhow};
use pulsestream_domain::{
    Timestamp,
    event::{Defaults, NewEvent, parse},
    tenant::TenantId,
};
use pulsestream_ingestion::SystemIds;
use serde_json::value::RawValue;

use crate::sample::Variation;

/// How many tenants share the events. The largest has 14 of 100, the smallest one of 180.
pub(crate) const TENANTS: usize = crate::stage::TENANTS as usize;
/// How long after an event the next one happens, whoever's it is: two million take two weeks. More events are
/// a longer past, not a denser one.
const MICROS_PER_EVENT: i64 = 604_800;

const SERVICES: u64 = 40;
const ENDPOINTS: u64 = 12;
const USERS: u64 = 2_000;
const WORDS: u64 = 5_000;
const WORDS_PER_MESSAGE: u64 = 10;
/// How many neighbouring events belong to one request.
const EVENTS_PER_REQUEST: u64 = 4;
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const REGIONS: [&str; 4] = ["eu-central", "eu-west", "us-east", "ap-south"];

/// A past of some length.
pub(crate) struct History {
    tenants: Vec<TenantId>,
    events: u64,
    start: Timestamp,
}

impl History {
    /// The past of these tenants up to `end`.
    pub(crate) fn new(tenants: Vec<TenantId>, events: u64, end: Timestamp) -> Self {
        Self { tenants, events, start: end.plus_micros(-MICROS_PER_EVENT * events.cast_signed()) }
    }

    /// The first so many of these events: the same past at an earlier moment.
    pub(crate) fn beginning(&self, events: u64) -> Self {
        Self { tenants: self.tenants.clone(), events: events.min(self.events), start: self.start }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn tenants(&self) -> &[TenantId] {
        &self.tenants
    }

    /// The event of this number, as the product makes it of what a client sends.
    ///
    /// # Errors
    /// When the product would refuse it.
    pub(crate) fn event(&self, number: u64, ids: &SystemIds) -> Result<NewEvent> {
        use pulsestream_domain::ports::IdSource as _;
        let tenant_id = self.tenants[tenant_of(number)];
        let text = self.text(number);
        let raw: &RawValue = serde_json::from_str(&text)?;
        let at = self.time_of(number);
        let defaults = Defaults { tenant_id, id: ids.uuid_v7(at), event_id: None, now: at };
        parse(raw, defaults).map_err(|refused| anyhow!("an event is refused: {refused:?}"))
    }

    /// The same as a client sends it.
    pub(crate) fn text(&self, number: u64) -> String {
        let mut chance = Variation::seeded_at(number);
        let (event_type, severity, status) = kind(chance.below(1_000));
        let service = chance.rare_below(SERVICES);
        let endpoint = chance.rare_below(ENDPOINTS);
        let method = METHODS[chance.rare_below(4) as usize];
        let environment = if chance.below(10) < 8 { "production" } else { "staging" };
        let millis = chance.rare_below(3_000_000) as f64 / 1_000.0;
        let region = REGIONS[chance.rare_below(4) as usize];
        let user = user(chance.below(USERS));
        let mut message = String::new();
        for _ in 0..WORDS_PER_MESSAGE {
            push_word(chance.rare_below(WORDS), &mut message);
            message.push(' ');
        }
        let id = chance.event_id();
        let reference = chance.below(90_000) + 10_000;
        let host = chance.below(64);
        let (service_name, endpoint) = (self::service(service), self::endpoint(service, endpoint));
        let request = request(number / (EVENTS_PER_REQUEST * TENANTS as u64), tenant_of(number));
        let at = self.time_of(number);
        let source = format!(
            r#"{{"service":"{service_name}","endpoint":"{endpoint}","method":"{method}","version":"4.{}.1","environment":"{environment}"}}"#,
            service % 7
        );
        let context = format!(
            r#"{{"user_id":"{user}","request_id":"{request}","ip_address":"203.0.113.{host}","user_agent":"ShopApp/7.3 (iPhone; iOS 17.5) Mobile","tags":{{"region":"{region}","host":"worker-{host}"}}}}"#
        );
        let metrics =
            format!(r#"{{"response_time_ms":{millis},"status_code":{status},"request_size_bytes":412}}"#);
        format!(
            r#"{{"event_id":"{id}","event_type":"{event_type}","severity":"{severity}","timestamp":"{at}","title":"{method} {endpoint} {reference}","message":"{}","source":{source},"context":{context},"metrics":{metrics},"payload":{{"currency":"EUR","items":3,"attempt":{}}}}}"#,
            message.trim_end(),
            host % 5
        )
    }

    /// When the event of this number happened.
    pub(crate) fn time_of(&self, number: u64) -> Timestamp {
        self.start.plus_micros(MICROS_PER_EVENT * number.cast_signed())
    }

    /// So many days around the event of this number, all of them within this past if it has so many: then they
    /// hold as many events wherever they are.
    pub(crate) fn days_around(&self, number: u64, days: i64) -> (Timestamp, Timestamp) {
        let seconds = days * 86_400;
        let last = self.time_of(self.events).plus_secs(-seconds);
        let from = self.time_of(number).plus_secs(-seconds / 2).min(last).max(self.start);
        (from, from.plus_secs(seconds))
    }
}

/// The request that an event of this number belongs to; a few of its tenant's neighbours have the same.
pub(crate) fn request_of(number: u64) -> String {
    request(number / (EVENTS_PER_REQUEST * TENANTS as u64), tenant_of(number))
}

/// One of the users of a tenant.
pub(crate) fn user(number: u64) -> String {
    format!("customer-{number}")
}

/// A service; those with small numbers are frequent.
pub(crate) fn service(number: u64) -> String {
    let mut name = String::new();
    push_word(number + 20_000, &mut name);
    name
}

/// An endpoint of a service; those with small numbers are frequent.
pub(crate) fn endpoint(service: u64, number: u64) -> String {
    let mut name = format!("/{}/", self::service(service));
    push_word(number + 30_000, &mut name);
    name
}

/// A word of messages. The one of number 0 is in half of them, number 100 in one of a hundred, and the last
/// in one of four thousand.
pub(crate) fn word(number: u64) -> String {
    let mut word = String::new();
    push_word(number, &mut word);
    word
}

/// The last one of [`word`].
pub(crate) const RAREST_WORD: u64 = WORDS - 1;

/// Whose event this is. Shares go as 1/2, 1/3, 1/4 and so on.
pub(crate) fn tenant_of(number: u64) -> usize {
    let mut chance = Variation::seeded_at(!number);
    let all: f64 = (0..TENANTS).map(weight).sum();
    let mut left = chance.below(1 << 32) as f64 / f64::from(u32::MAX) * all;
    (0..TENANTS)
        .find(|tenant| {
            left -= weight(*tenant);
            left <= 0.0
        })
        .unwrap_or(TENANTS - 1)
}

fn weight(tenant: usize) -> f64 {
    1.0 / (tenant + 2) as f64
}

fn request(number: u64, tenant: usize) -> String {
    format!("req-{tenant:02}-{number:08x}")
}

/// Of a thousand events: what they are, how bad, and their status.
fn kind(of_thousand: u64) -> (&'static str, &'static str, u16) {
    match of_thousand {
        0..700 => ("api_call", "info", 200),
        700..800 => ("user_action", "info", 201),
        800..870 => ("system_event", "info", 202),
        870..950 => ("api_call", "warning", 404),
        950..980 => ("error_event", "warning", 429),
        980..995 => ("error_event", "error", 503),
        _ => ("error_event", "critical", 500),
    }
}

/// Four syllables at most, another word for each number.
fn push_word(number: u64, into: &mut String) {
    const SYLLABLES: [&str; 16] =
        ["ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va"];
    let mut rest = number + 16;
    while rest > 0 {
        _ = write!(into, "{}", SYLLABLES[(rest % 16) as usize]);
        rest /= 16;
    }
}

#[cfg(test)]
mod tests {
    use pulsestream_domain::search::{Filter, Word};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_past_that_grows_gets_longer_and_not_denser() {
        let end = Timestamp::from_secs(1_800_000_000);
        let whole = History::new(vec![], 10_000_000, end);
        assert_eq!(whole.time_of(10_000_000), end);
        let early = whole.beginning(1_000_000);
        assert_eq!(early.time_of(500_000), whole.time_of(500_000));
        let week = 7 * 86_400 * 1_000_000;
        assert_eq!(early.time_of(1_000_000).as_micros() - early.time_of(0).as_micros(), week);
    }

    #[test]
    fn days_around_an_event_have_it_and_stay_within_the_past() {
        let whole = History::new(vec![], 1_000_000, Timestamp::from_secs(1_800_000_000));
        for number in [0, 1, 499_999, 999_999] {
            for days in [1, 7] {
                let (from, to) = whole.days_around(number, days);
                assert!((from..to).contains(&whole.time_of(number)), "{number}");
                assert!(whole.time_of(0) <= from && to <= whole.time_of(1_000_000), "{number}");
                assert_eq!(to.as_micros() - from.as_micros(), days * 86_400_000_000);
            }
        }
        // One that is shorter than the days asked for.
        let (from, _) = whole.beginning(1_000).days_around(999, 1);
        assert_eq!(from, whole.time_of(0));
    }

    #[test]
    fn the_past_has_frequent_and_rare_things() {
        const EVENTS: u64 = 20_000;
        let tenants = (0..TENANTS as u128).map(|id| TenantId(Uuid::from_u128(id << 64 | id))).collect();
        let history = History::new(tenants, EVENTS, Timestamp::from_secs(1_800_000_000));
        let ids = SystemIds::default();
        let events: Vec<NewEvent> = (0..EVENTS).map(|number| history.event(number, &ids).unwrap()).collect();
        let having = |number: u64| {
            let word = Word { text: word(number), is_prefix: false };
            let filter = Filter { words: Some(vec![word]), ..Filter::default() };
            events.iter().filter(|event| filter.matches(event)).count() as f64 / EVENTS as f64
        };
        assert!((0.4..0.7).contains(&having(0)), "{}", having(0));
        assert!((0.005..0.02).contains(&having(100)), "{}", having(100));
        assert!(having(RAREST_WORD) < 0.001, "{}", having(RAREST_WORD));
        let largest = events.iter().filter(|event| event.tenant_id == history.tenants()[0]).count();
        assert!((0.13..0.16).contains(&(largest as f64 / EVENTS as f64)));
        assert!(events.iter().any(|event| event.correlation_id == Some(request_of(7_777))));
    }
}
