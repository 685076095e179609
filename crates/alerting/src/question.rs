//! Which events, in which window, a rule asks about.

use pulsestream_domain::{
    Timestamp,
    alerting::{Condition, Definition, MAX_GROUPS, ObservationQuery, Span},
};

/// Clients may be this far ahead of the service; such events are stored with the time they say.
const MAX_AHEAD_SECS: i64 = 300;

/// The window that ends so many seconds before a tick: late events have had that long to arrive.
pub fn window_before(definition: &Definition, tick: Timestamp, delay_secs: u32) -> Span {
    let to = tick.plus_secs(-i64::from(delay_secs));
    Span { from: to.plus_secs(-i64::from(definition.time_window.secs())), to }
}

/// The window that ends now, with what has just been stored. Events whose clock runs ahead are part of it.
pub fn window_now(definition: &Definition, now: Timestamp) -> Span {
    let from = now.plus_secs(-i64::from(definition.time_window.secs()));
    Span { from, to: now.plus_secs(MAX_AHEAD_SECS) }
}

/// What a rule asks of a window.
pub fn question(definition: &Definition, window: Span) -> ObservationQuery {
    let earlier = |secs: i64| Some(Span { from: window.from.plus_secs(-secs), to: window.from });
    let window_secs = i64::from(definition.time_window.secs());
    let earlier = match &definition.condition {
        Condition::Change { .. } => earlier(window_secs),
        // Without groups there is nobody to miss.
        Condition::Absence { look_back_secs } if !definition.group_by.is_empty() => {
            earlier(i64::try_from(*look_back_secs).unwrap_or(i64::MAX) - window_secs)
        }
        _ => None,
    };
    ObservationQuery {
        filter: definition.effective_filter(),
        group_by: definition.group_by.clone(),
        measure: definition.condition.measure(),
        window,
        earlier,
        max_groups: MAX_GROUPS,
    }
}
