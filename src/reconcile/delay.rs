//! How long to wait: back-off after failures, and jitter that spreads objects over time.
//!
//! Both are functions of a seed, the object and a counter, so that a run can be repeated. Pure.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::Key;

/// The wait after a first failure.
pub const BACKOFF_MIN: Duration = Duration::from_millis(750);
/// The longest wait after failures.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);
/// How far jitter moves an interval, up or down; as Flux's default.
const INTERVAL_JITTER: f64 = 0.05;
/// How far jitter moves a back-off, up or down, so that objects that failed together part.
const BACKOFF_JITTER: f64 = 0.1;

/// The source of all jitter of a run.
#[derive(Clone, Copy, Debug)]
pub struct Jitter {
    seed: u64,
}

impl Jitter {
    /// Returns the jitter of a seed; equal seeds give equal waits.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Returns an interval of an object, moved by up to 5 % either way.
    pub fn interval(&self, interval: Duration, key: &Key, turn: u64) -> Duration {
        self.spread(interval, INTERVAL_JITTER, key, turn)
    }

    /// Returns the wait after `failures` failures in a row: doubled each time from 750 ms on, at most
    /// 15 minutes.
    pub fn backoff(&self, failures: u32, key: &Key) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let wait = BACKOFF_MIN.saturating_mul(1 << doublings).min(BACKOFF_MAX);
        self.spread(wait, BACKOFF_JITTER, key, failures.into())
            .min(BACKOFF_MAX)
    }

    fn spread(&self, wait: Duration, part: f64, key: &Key, turn: u64) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, key, turn).hash(&mut hasher);
        let fraction = hasher.finish() as f64 / u64::MAX as f64;
        wait.mul_f64(1.0 - part + 2.0 * part * fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_to_a_quarter_of_an_hour() {
        let (jitter, key) = (Jitter::new(7), Key::new("apps", "web"));
        let mut before = Duration::ZERO;
        for failures in 1..=11 {
            let wait = jitter.backoff(failures, &key);
            assert!(wait > before, "{failures}: {wait:?} after {before:?}");
            before = wait;
        }
        assert!(jitter.backoff(1, &key) >= BACKOFF_MIN.mul_f64(0.9));
        assert!(jitter.backoff(1, &key) <= BACKOFF_MIN.mul_f64(1.1));
        for failures in [12, 31, 32, 33, u32::MAX] {
            let wait = jitter.backoff(failures, &key);
            assert!(wait <= BACKOFF_MAX && wait >= BACKOFF_MAX.mul_f64(0.9));
        }
    }

    #[test]
    fn jitter_differs_by_object_and_repeats_by_seed() {
        let hour = Duration::from_secs(3600);
        let (a, b) = (Key::new("apps", "a"), Key::new("apps", "b"));
        let wait = Jitter::new(1).interval(hour, &a, 0);
        assert_eq!(wait, Jitter::new(1).interval(hour, &a, 0));
        assert_ne!(wait, Jitter::new(1).interval(hour, &b, 0));
        assert_ne!(wait, Jitter::new(2).interval(hour, &a, 0));
        assert!(wait >= hour.mul_f64(0.95) && wait <= hour.mul_f64(1.05));
    }
}
