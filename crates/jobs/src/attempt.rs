//! What becomes of a job after an attempt. Pure.

use std::time::Duration;

use pulsestream_domain::{
    Timestamp,
    job::{Reason, Settlement},
};

use crate::{KindSettings, Verdict};

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The handler came to a verdict.
    Judged(Verdict),
    /// It took too long.
    OutOfTime,
    /// It panicked.
    Panicked,
    /// It was stopped without fault of its own.
    Stopped,
}

/// What becomes of the job; `None` when nothing is left to settle.
pub(crate) fn settlement(
    ended: Ended,
    attempt: u32,
    settings: &KindSettings,
    now: Timestamp,
    entropy: u64,
) -> Option<Settlement> {
    let (after, error) = match ended {
        Ended::Judged(Verdict::SettledAlready) => return None,
        Ended::Judged(Verdict::Done) => return Some(Settlement::Complete),
        Ended::Judged(Verdict::Again { due_at }) => return Some(Settlement::Again { due_at }),
        Ended::Judged(Verdict::Bury { reason }) => return Some(Settlement::Bury { reason }),
        Ended::Stopped => return Some(Settlement::Release),
        Ended::Judged(Verdict::Retry { after, error }) => (after, error),
        Ended::OutOfTime => (None, Reason::from("the attempt took longer than it may")),
        Ended::Panicked => (None, Reason::from("the handler panicked")),
    };
    if attempt >= settings.max_attempts {
        return Some(Settlement::Bury { reason: error });
    }
    let wait = after.unwrap_or_else(|| settings.backoff.wait(attempt, entropy));
    Some(Settlement::Retry { run_at: later(now, wait), error })
}

/// What becomes of a job that had all its attempts when it was claimed: each of them ended with its worker.
pub(crate) fn exhausted(attempt: u32, settings: &KindSettings) -> Option<Settlement> {
    let is_exhausted = attempt > settings.max_attempts;
    let reason = || Reason::from("every attempt was left over: its worker was lost, or outlived its lease");
    is_exhausted.then(|| Settlement::Bury { reason: reason() })
}

pub(crate) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.plus_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn settled(ended: Ended, attempt: u32) -> Option<Settlement> {
        let settings = KindSettings { max_attempts: 3, ..KindSettings::default() };
        settlement(ended, attempt, &settings, NOW, u64::MAX)
    }

    fn retry(seconds: i64, error: &str) -> Option<Settlement> {
        Some(Settlement::Retry { run_at: NOW.plus_secs(seconds), error: error.into() })
    }

    fn bury(reason: &str) -> Option<Settlement> {
        Some(Settlement::Bury { reason: reason.into() })
    }

    #[test]
    fn each_end_has_its_settlement() {
        let after = |seconds| Some(Duration::from_secs(seconds));
        let asked = |after| Ended::Judged(Verdict::Retry { after, error: "503".into() });
        let slow = "the attempt took longer than it may";
        for (ended, attempt, expected) in [
            (Ended::Judged(Verdict::Done), 1, Some(Settlement::Complete)),
            (Ended::Judged(Verdict::SettledAlready), 1, None),
            (Ended::Judged(Verdict::Again { due_at: NOW }), 3, Some(Settlement::Again { due_at: NOW })),
            (Ended::Judged(Verdict::bury("gone")), 1, bury("gone")),
            (asked(None), 1, retry(1, "503")),
            (asked(None), 2, retry(2, "503")),
            (asked(None), 3, bury("503")),
            (asked(after(90)), 1, retry(90, "503")),
            (asked(after(90)), 3, bury("503")),
            (Ended::OutOfTime, 2, retry(2, slow)),
            (Ended::OutOfTime, 3, bury(slow)),
            (Ended::Panicked, 1, retry(1, "the handler panicked")),
            (Ended::Panicked, 3, bury("the handler panicked")),
            (Ended::Stopped, 3, Some(Settlement::Release)),
        ] {
            let shown = format!("{ended:?} {attempt}");
            assert_eq!(settled(ended, attempt), expected, "{shown}");
        }
    }

    #[test]
    fn a_job_is_exhausted_only_after_its_last_attempt() {
        let settings = KindSettings { max_attempts: 3, ..KindSettings::default() };
        assert_eq!(exhausted(3, &settings), None);
        assert!(exhausted(4, &settings).is_some());
    }
}
