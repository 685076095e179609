//! The window against a log of every event it granted.

use proptest::prelude::*;
use pulsestream_domain::{Timestamp, tenant::Limits};
use pulsestream_rate_limit::{Grant, Window};

const START_MICROS: i64 = 1_800_000_000_000_000;
const SECOND_MICROS: i64 = 1_000_000;

fn start() -> Timestamp {
    Timestamp::from_micros(START_MICROS)
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..40_u32, 1..40_u32).prop_map(|(per_minute, burst)| Limits { per_minute, burst })
}

/// Elapsed time and demand of each request; bursts and pauses.
fn requests() -> impl Strategy<Value = Vec<(i64, u32)>> {
    let elapsed = prop_oneof![8 => 0..60_000_i64, 6 => 0..1_500_000_i64, 2 => 0..65_000_000_i64];
    prop::collection::vec((elapsed, 0..25_u32), 1..200)
}

/// Most events that any window of this length holds, both ends included. Windows that start at an event are enough.
fn most_in_any_window(log: &[(i64, u32)], length: i64) -> u32 {
    let in_window = |from: i64| -> u32 {
        log.iter().filter(|(at, _)| (from..=from + length).contains(at)).map(|(_, count)| count).sum()
    };
    log.iter().map(|&(at, _)| in_window(at)).max().unwrap_or(0)
}

fn assert_within(limits: Limits, log: &[(i64, u32)]) {
    assert!(most_in_any_window(log, 60 * SECOND_MICROS) <= limits.per_minute);
    assert!(most_in_any_window(log, SECOND_MICROS) <= limits.burst);
}

fn stamped(grant: &Grant) -> (i64, u32) {
    (grant.at.as_micros(), grant.granted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_window_of_stamped_events_is_ever_over_a_limit(
        limits in limits(),
        requests in requests(),
        late_by in prop::collection::vec(prop_oneof![3 => Just(0), 1 => 0..60_000_000_i64], 200),
    ) {
        let mut window = Window::new(start());
        let mut latest = START_MICROS;
        let mut log = Vec::new();

        for ((elapsed, count), late_by) in requests.into_iter().zip(late_by) {
            latest += elapsed;
            let grant = window.reserve(limits, count, Timestamp::from_micros(latest - late_by));
            prop_assert!(grant.granted <= count);
            prop_assert!(grant.granted == count || grant.usage.remaining == 0);
            log.push(stamped(&grant));
        }

        assert_within(limits, &log);
    }

    /// A clock that is set back, by any amount, never makes room: real time stands for what was stamped.
    #[test]
    fn a_clock_set_back_never_admits_more_in_real_time(
        limits in limits(),
        requests in requests(),
        set_back in prop::collection::vec(0..8_000_000_000_i64, 3),
    ) {
        let mut window = Window::new(start());
        let (mut real, mut error) = (START_MICROS, 0);
        let mut log = Vec::new();

        for (index, (elapsed, count)) in requests.into_iter().enumerate() {
            real += elapsed;
            if index % 50 == 49 {
                error -= set_back[index / 50 % 3];
            }
            let grant = window.reserve(limits, count, Timestamp::from_micros(real + error));
            log.push((real, grant.granted));
        }

        assert_within(limits, &log);
    }

    #[test]
    fn a_clock_set_back_refuses_nobody_for_longer_than_a_window(limits in limits(), set_back in 0..100_000_000_000_i64) {
        let mut window = Window::new(start());
        window.reserve(limits, u32::MAX, start());
        let corrected = start().plus_micros(-set_back);

        window.reserve(limits, 1, corrected);
        let late = window.reserve(limits, 1, corrected.plus_secs(121));

        prop_assert_eq!(late.granted, 1);
    }

    #[test]
    fn a_tenant_that_sends_evenly_below_its_rate_is_never_refused(limits in limits(), phase in 0..SECOND_MICROS) {
        let mut window = Window::new(start());
        let per_second = (f64::from(limits.per_minute) / 60.0).min(f64::from(limits.burst)) * 0.9;
        let interval = (1e6 / per_second).ceil();

        for event in 0..400 {
            let now = start().plus_micros(phase + (f64::from(event) * interval) as i64);
            prop_assert_eq!(window.reserve(limits, 1, now).granted, 1, "event {}", event);
        }
    }

    #[test]
    fn what_is_given_back_leaves_no_trace(
        limits in limits(),
        requests in requests(),
        unused in 1..25_u32,
        later in 0..2_000_000_i64,
    ) {
        let mut window = Window::new(start());
        let mut now = START_MICROS;
        for (elapsed, count) in requests {
            now += elapsed;
            window.reserve(limits, count, Timestamp::from_micros(now));
        }
        let mut undisturbed = window.clone();
        let grant = window.reserve(limits, unused, Timestamp::from_micros(now));

        window.give_back(grant.granted, grant.at);

        prop_assert_eq!(&window, &undisturbed);
        let then = Timestamp::from_micros(now + later);
        prop_assert_eq!(window.reserve(limits, 40, then), undisturbed.reserve(limits, 40, then));
    }

    #[test]
    fn giving_back_what_expired_or_was_never_taken_makes_no_room(
        limits in limits(),
        count in any::<u32>(),
        ago in prop_oneof![62_000_000..200_000_000_i64, -200_000_000..-1_000_000_i64],
    ) {
        let mut window = Window::new(start());
        window.reserve(limits, u32::MAX, start());
        let full = window.clone();

        window.give_back(count, start().plus_micros(-ago));

        prop_assert_eq!(window, full);
    }

    #[test]
    fn one_more_event_fits_after_the_wait_that_was_told(limits in limits(), requests in requests()) {
        let mut window = Window::new(start());
        let mut now = START_MICROS;

        for (elapsed, count) in requests {
            now += elapsed;
            let usage = window.reserve(limits, count, Timestamp::from_micros(now)).usage;
            let after = |seconds: u32| window.usage(limits, Timestamp::from_micros(now).plus_secs(seconds.into()));
            prop_assert_eq!(usage.remaining == 0, usage.retry_after_seconds > 0);
            prop_assert!(after(usage.retry_after_seconds).remaining > 0);
            prop_assert!(usage.retry_after_seconds <= 1 || after(usage.retry_after_seconds - 1).remaining == 0);
            prop_assert_eq!(window.usage(limits, usage.reset_at).remaining, limits.per_minute.min(limits.burst));
        }
    }

    #[test]
    fn no_extreme_panics(
        steps in prop::collection::vec((any::<i64>(), any::<u32>(), any::<u32>(), any::<u32>()), 1..20),
    ) {
        let mut window = Window::new(start());
        for (micros, per_minute, burst, count) in steps {
            let (at, limits) = (Timestamp::from_micros(micros), Limits { per_minute, burst });
            let grant = window.reserve(limits, count, at);
            prop_assert!(grant.granted <= count.min(per_minute));
            window.charge(count, at);
            window.give_back(count, at);
        }
    }
}
