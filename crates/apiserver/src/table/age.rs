//! Ages as `kubectl` prints them: `42s`, `5m3s`, `3d4h`, `2y10d`.

use chrono::{DateTime, Duration, Utc};
use serde_json::Value;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// Returns a duration in at most two units.
pub fn human_duration(duration: Duration) -> String {
    let seconds = duration.num_seconds();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let two = |large: i64, small: i64, names: [char; 2]| {
        let (whole, rest) = (seconds / large, seconds % large / small);
        if rest == 0 {
            format!("{whole}{}", names[0])
        } else {
            format!("{whole}{}{rest}{}", names[0], names[1])
        }
    };
    match seconds {
        _ if seconds < 2 * MINUTE => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two(MINUTE, 1, ['m', 's']),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two(HOUR, MINUTE, ['h', 'm']),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two(DAY, HOUR, ['d', 'h']),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two(YEAR, DAY, ['y', 'd']),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// Returns the time since a timestamp; `<unknown>` without one.
pub(super) fn since(timestamp: &Value, now: DateTime<Utc>) -> String {
    match time(timestamp) {
        Some(time) => human_duration(now - time),
        None => "<unknown>".to_owned(),
    }
}

/// Returns the time of a timestamp.
pub(super) fn time(timestamp: &Value) -> Option<DateTime<Utc>> {
    let text = timestamp.as_str()?;
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_change_units_at_the_thresholds_of_kubectl() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_799, "7h59m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_199, "7d23h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
            (-1, "0s"),
            (-2, "<invalid>"),
        ];
        for (seconds, want) in cases {
            assert_eq!(
                human_duration(Duration::seconds(seconds)),
                want,
                "{seconds} s"
            );
        }
    }
}
