//! Hosts that asked for quiet: `Retry-After` and who must be left alone until when.
//!
//! In: header values, host names, the clock's time as an argument. Out: waits. One host's wish
//! never slows another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// The longest time that a registry can keep us away; what is longer is asked again after it.
const QUIET_MAX: Duration = Duration::from_secs(60 * 60);

/// Hosts remembered at once; above it, those whose time is over are forgotten.
const HOSTS_MAX: usize = 1024;

/// Returns the wait that a `Retry-After` value asks for: seconds or an HTTP date.
pub(super) fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(value).ok()?;
            (date.to_utc() - now).to_std().unwrap_or(Duration::ZERO)
        }
    };
    Some(wait.min(QUIET_MAX))
}

/// Who asked for quiet.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<BTreeMap<String, Instant>>);

impl Quiet {
    /// Notes that a host wants no requests for `wait`.
    pub(super) fn hold(&self, host: &str, wait: Duration, now: Instant) {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= HOSTS_MAX {
            hosts.retain(|_, until| *until > now);
        }
        if hosts.len() < HOSTS_MAX || hosts.contains_key(host) {
            hosts.insert(host.to_owned(), now + wait);
        }
    }

    /// Returns what is left of a host's wait.
    pub(super) fn left(&self, host: &str, now: Instant) -> Option<Duration> {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .get(host)
            .map(|until| until.saturating_duration_since(now))
            .filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T12:00:00Z").unwrap();
        for (value, want) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Tue, 24 Nov 2026 12:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 11:00:00 GMT", Some(0)),
            ("99999999", Some(QUIET_MAX.as_secs())),
            ("soon", None),
            ("-1", None),
        ] {
            let wait = retry_after(value, now.to_utc()).map(|wait| wait.as_secs());
            assert_eq!(wait, want, "{value}");
        }
    }

    #[test]
    fn one_host_waits_and_others_do_not() {
        let quiet = Quiet::default();
        let now = Instant::now();
        quiet.hold("a", Duration::from_secs(5), now);
        assert_eq!(quiet.left("a", now), Some(Duration::from_secs(5)));
        assert_eq!(quiet.left("b", now), None);
        assert_eq!(quiet.left("a", now + Duration::from_secs(5)), None);
    }

    #[test]
    fn remembered_hosts_are_bounded() {
        let quiet = Quiet::default();
        let now = Instant::now();
        for n in 0..=HOSTS_MAX {
            quiet.hold(&n.to_string(), Duration::from_secs(5), now);
        }
        assert_eq!(quiet.0.lock().unwrap().len(), HOSTS_MAX);
        quiet.hold("late", Duration::from_secs(5), now + Duration::from_secs(6));
        assert_eq!(quiet.0.lock().unwrap().len(), 1);
    }
}
