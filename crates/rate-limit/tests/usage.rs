//! What a tenant is told about its standing.

use pulsestream_domain::{Timestamp, tenant::Limits};
use pulsestream_rate_limit::{Policy, Usage, Window};

const START_SECS: i64 = 1_800_000_000;

/// Milliseconds after a whole minute.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_secs(START_SECS).plus_micros(millis * 1_000)
}

/// Remaining, seconds to wait, exhausted policy, and milliseconds until all is free again.
fn told(usage: Usage, now: i64) -> (u32, u32, Option<Policy>, i64) {
    let reset_micros = usage.reset_at.as_micros() - at(now).as_micros();
    (usage.remaining, usage.retry_after_seconds, usage.exhausted, reset_micros / 1_000)
}

#[test]
fn standing_follows_what_was_taken_when() {
    use Policy::{Burst, PerMinute};
    let limits = Limits { per_minute: 10, burst: 4 };
    for (name, taken, now, expected) in [
        ("nothing taken", &[][..], 0, (4, 0, None, 0)),
        ("some of the burst", &[(0, 3)], 10, (1, 0, None, 60_990)),
        ("all of the burst", &[(0, 4)], 10, (0, 2, Some(Burst), 60_990)),
        ("the burst a moment before it is back", &[(0, 4)], 1_049, (0, 1, Some(Burst), 59_951)),
        ("the burst is back", &[(0, 4)], 1_050, (4, 0, None, 59_950)),
        ("less left in the minute than in the burst", &[(0, 4), (5_000, 4)], 10_000, (2, 0, None, 56_000)),
        ("all of the minute", &[(0, 4), (5_000, 4), (9_500, 2)], 20_000, (0, 41, Some(PerMinute), 50_000)),
        ("the wait is rounded up", &[(0, 4), (5_000, 4), (9_500, 2)], 60_100, (0, 1, Some(PerMinute), 9_900)),
        ("the oldest is forgotten", &[(0, 4), (5_000, 4), (9_500, 2)], 61_000, (4, 0, None, 9_000)),
        (
            "both, and the minute takes longer",
            &[(0, 4), (5_000, 2), (9_900, 4)],
            10_000,
            (0, 51, Some(PerMinute), 60_000),
        ),
        ("all is forgotten", &[(0, 4), (5_000, 4)], 66_000, (4, 0, None, 0)),
    ] {
        let mut window = Window::new(at(0));
        for &(millis, count) in taken {
            assert_eq!(window.reserve(limits, count, at(millis)).granted, count, "{name}");
        }

        assert_eq!(told(window.usage(limits, at(now)), now), expected, "{name}");
    }
}

#[test]
fn a_burst_limit_that_never_bites_is_not_mentioned() {
    for (limits, remaining) in [
        (Limits::per_minute(5), 0),
        (Limits { per_minute: 5, burst: 9 }, 0),
        (Limits { per_minute: 6, burst: 5 }, 0),
    ] {
        let mut window = Window::new(at(0));

        let grant = window.reserve(limits, 7, at(0));

        assert_eq!(grant.granted, limits.per_minute.min(limits.burst));
        assert_eq!(grant.usage.remaining, remaining);
        assert_eq!(grant.usage.limit, limits.per_minute);
        assert_eq!(grant.usage.burst.is_some(), limits.burst < limits.per_minute);
    }
}

#[test]
fn each_policy_is_told_on_its_own() {
    let limits = Limits { per_minute: 10, burst: 4 };
    let mut window = Window::new(at(0));

    let usage = window.reserve(limits, 3, at(500)).usage;

    assert_eq!((usage.minute.limit, usage.minute.remaining, usage.minute.reset_after_seconds), (10, 7, 61));
    let burst = usage.burst.expect("the burst limit is lower");
    assert_eq!((burst.limit, burst.remaining, burst.reset_after_seconds), (4, 1, 2));
}

#[test]
fn a_lowered_limit_counts_what_was_taken_under_the_old_one() {
    let mut window = Window::new(at(0));
    window.reserve(Limits::per_minute(10), 6, at(0));
    window.reserve(Limits::per_minute(10), 4, at(30_000));

    let lowered = window.usage(Limits::per_minute(3), at(40_000));

    assert_eq!(told(lowered, 40_000), (0, 51, Some(Policy::PerMinute), 51_000));
}
