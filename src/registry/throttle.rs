//! Hosts that asked for quiet: `Retry-After`, rate limits, and who is left alone until when.
//!
//! In: header values, host names, the clock's time as an argument. Out: waits. One host's wish
//! never slows another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;

/// The longest time that a registry can keep us away; what is longer is asked again after it.
const QUIET_MAX: Duration = Duration::from_secs(60 * 60);

/// The part of an allowance that is spared: when less than a tenth is left, requests slow down.
const NEARLY: u64 = 10;

/// The wait when nothing is left and nobody says until when.
const EMPTY_WAIT: Duration = Duration::from_secs(60);

/// More seconds than this until a reset are a date.
const SECONDS_MAX: u64 = 1_000_000_000;

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

/// Returns the wait before the next request that keeps what is left of an allowance from running
/// out, once it is nearly used up: the `ratelimit-…` headers of an answer, or `x-ratelimit-…`.
pub(super) fn pace(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let field = |name: &str| {
        let plain = headers.get(format!("ratelimit-{name}"));
        let value = plain.or_else(|| headers.get(format!("x-ratelimit-{name}")));
        value.and_then(|value| value.to_str().ok())
    };
    let (remaining, window) = counted(field("remaining")?)?;
    let (limit, limit_window) = field("limit").and_then(counted).unwrap_or((0, None));
    if remaining > (limit / NEARLY).max(1) {
        return None;
    }
    let reset = field("reset").and_then(|value| value.trim().parse::<u64>().ok());
    let reset = reset.map(|reset| match reset > SECONDS_MAX {
        // So many seconds are those since 1970.
        true => reset.saturating_sub(u64::try_from(now.timestamp()).unwrap_or(0)),
        false => reset,
    });
    let wait = match (reset, window.or(limit_window)) {
        (Some(reset), _) => Duration::from_secs(reset).div_f64((remaining + 1) as f64),
        // A window that slides: one request in each part of it never uses it up.
        (None, Some(window)) => Duration::from_secs(window).div_f64(limit.max(1) as f64),
        (None, None) if remaining == 0 => EMPTY_WAIT,
        (None, None) => return None,
    };
    Some(wait.min(QUIET_MAX))
}

/// Reads `76;w=21600`: a count, and the seconds that it is for.
fn counted(value: &str) -> Option<(u64, Option<u64>)> {
    let mut parts = value.split([';', ',']).map(str::trim);
    let count = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    Some((count, window))
}

/// Why a host is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It asked for it.
    Asked,
    /// What it allows is nearly used up.
    Spared,
}

#[derive(Debug, Clone, Copy)]
struct Rest {
    until: Instant,
    why: Why,
}

/// Who is left alone.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<BTreeMap<String, Rest>>);

impl Quiet {
    /// Notes that a host wants no requests for `wait`; what it asked for is never cut short.
    pub(super) fn hold(&self, host: &str, wait: Duration, why: Why, now: Instant) {
        let rest = Rest {
            until: now + wait,
            why,
        };
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match hosts.get_mut(host) {
            Some(known) if known.why == Why::Asked && known.until >= rest.until => {}
            Some(known) => *known = rest,
            None => {
                if hosts.len() >= HOSTS_MAX {
                    hosts.retain(|_, rest| rest.until > now);
                }
                if hosts.len() < HOSTS_MAX {
                    hosts.insert(host.to_owned(), rest);
                }
            }
        }
    }

    /// Returns what is left of a host's wait, and why it is left alone.
    pub(super) fn left(&self, host: &str, now: Instant) -> Option<(Duration, Why)> {
        let hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = hosts.get(host)?;
        let left = rest.until.saturating_duration_since(now);
        (!left.is_zero()).then_some((left, rest.why))
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
    fn rg2_requests_slow_down_before_an_allowance_is_used_up() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T12:00:00Z").unwrap();
        let in_100s = (now.timestamp() + 100).to_string();
        for (headers, want) in [
            (&[][..], None),
            (&[("ratelimit-limit", "100;w=21600")], None),
            (
                &[
                    ("ratelimit-remaining", "76;w=21600"),
                    ("ratelimit-limit", "100;w=21600"),
                ],
                None,
            ),
            (
                &[
                    ("ratelimit-remaining", "10;w=21600"),
                    ("ratelimit-limit", "100;w=21600"),
                ],
                Some(216.0),
            ),
            (
                &[
                    ("ratelimit-remaining", "0;w=21600"),
                    ("ratelimit-limit", "100;w=21600"),
                ],
                Some(216.0),
            ),
            (
                &[
                    ("ratelimit-remaining", "3"),
                    ("ratelimit-limit", "60"),
                    ("ratelimit-reset", "8"),
                ],
                Some(2.0),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", &in_100s),
                ],
                Some(100.0),
            ),
            (&[("x-ratelimit-remaining", "0")], Some(60.0)),
            (&[("x-ratelimit-remaining", "1")], None),
            (
                &[("ratelimit-remaining", "0"), ("ratelimit-reset", "90000")],
                Some(3600.0),
            ),
            (&[("ratelimit-remaining", "few")], None),
        ] {
            let headers: HeaderMap = headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<HeaderMap>();
            let pace = pace(&headers, now.to_utc()).map(|pace| pace.as_secs_f64());
            assert_eq!(pace, want, "{headers:?}");
        }
    }

    #[test]
    fn rg1_one_host_waits_and_others_do_not() {
        let (quiet, now) = (Quiet::default(), Instant::now());
        let seconds = Duration::from_secs;
        quiet.hold("a", seconds(5), Why::Asked, now);
        assert_eq!(quiet.left("a", now), Some((seconds(5), Why::Asked)));
        assert_eq!(quiet.left("b", now), None);
        assert_eq!(quiet.left("a", now + seconds(5)), None);
        // A later, smaller wish does not cut short what was asked for.
        quiet.hold("a", seconds(1), Why::Spared, now);
        assert_eq!(quiet.left("a", now), Some((seconds(5), Why::Asked)));
        quiet.hold("a", seconds(9), Why::Spared, now);
        assert_eq!(quiet.left("a", now), Some((seconds(9), Why::Spared)));
    }

    #[test]
    fn remembered_hosts_are_bounded() {
        let (quiet, now) = (Quiet::default(), Instant::now());
        let wait = Duration::from_secs(5);
        for n in 0..=HOSTS_MAX {
            quiet.hold(&n.to_string(), wait, Why::Asked, now);
        }
        assert_eq!(quiet.0.lock().unwrap().len(), HOSTS_MAX);
        quiet.hold("late", wait, Why::Asked, now + Duration::from_secs(6));
        assert_eq!(quiet.0.lock().unwrap().len(), 1);
    }
}
