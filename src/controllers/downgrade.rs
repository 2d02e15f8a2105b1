//! Keeps a policy from an older tag until the newer one is surely gone.
//!
//! In: the choice, the one recorded in the status, and since when the recorded tag is absent. Out:
//! whether the choice is taken, taken with a warning, or held back. A registry that lists a part of
//! its tags for once, because a replica or a permission is missing, downgrades nobody: a second
//! complete scan, an interval later, must agree. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kube::ResourceExt;

use crate::api::annotations::DOWNGRADE;
use crate::api::{ImagePolicy, ImageRef};

/// The interval may be short by this much: a scan is due a second before its time, and times in
/// a status have whole seconds.
const SHORTFALL_MAX: Duration = Duration::from_secs(2);

/// What the annotation says about older tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Downgrade {
    /// A second scan must confirm.
    Confirm,
    /// They are taken at once.
    Allow,
}

/// What becomes of a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is taken.
    Taken,
    /// It is older than the recorded tag and taken: two scans have missed that tag.
    Confirmed {
        /// The recorded tag.
        newer: String,
    },
    /// It is older than the recorded tag, which stays.
    Held {
        /// The recorded tag.
        newer: String,
    },
}

/// The scans that a verdict rests on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scans {
    /// Since when the recorded tag is absent.
    pub absent_since: Option<DateTime<Utc>>,
    /// When the last complete scan was.
    pub last: Option<DateTime<Utc>>,
    /// How long two scans are apart.
    pub interval: Duration,
}

impl Downgrade {
    /// Reads an object's annotation. Fails with a message for a word that is none.
    pub fn of(object: &ImagePolicy) -> Result<Self, String> {
        match object.annotations().get(DOWNGRADE).map(String::as_str) {
            None | Some("confirm") => Ok(Self::Confirm),
            Some("allow") => Ok(Self::Allow),
            Some(other) => Err(format!(
                "annotation {DOWNGRADE} must be 'confirm' or 'allow', not '{other}'"
            )),
        }
    }
}

/// Returns the recorded tag that a choice could be older than.
pub(super) fn recorded<'a>(
    latest: Option<&'a ImageRef>,
    name: &str,
    chosen: &str,
) -> Option<&'a str> {
    let latest = latest.filter(|latest| latest.name == name && latest.tag != chosen)?;
    Some(&latest.tag)
}

/// Returns what becomes of a choice that is older than the recorded tag `newer`.
pub(super) fn judge(newer: &str, scans: Scans) -> Verdict {
    let newer = newer.to_owned();
    let apart = scans.interval.saturating_sub(SHORTFALL_MAX);
    let (Some(absent_since), Some(last)) = (scans.absent_since, scans.last) else {
        return Verdict::Held { newer };
    };
    // The scan that first missed the tag does not confirm itself, however short the interval is.
    let since = (last - absent_since).to_std().unwrap_or_default();
    if last > absent_since && since >= apart.max(Duration::from_secs(1)) {
        return Verdict::Confirmed { newer };
    }
    Verdict::Held { newer }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(seconds: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(seconds, 0)
    }

    #[test]
    fn rg8_an_older_tag_waits_for_a_scan_an_interval_later() {
        let newer = "1.1.0".to_owned();
        let held = Verdict::Held {
            newer: newer.clone(),
        };
        let confirmed = Verdict::Confirmed { newer };
        for (absent_since, last, want) in [
            (at(100), at(100), &held),
            (at(100), at(130), &held),
            (at(100), at(158), &confirmed),
            (at(100), at(160), &confirmed),
            (at(100), at(40), &held),
            (at(100), None, &held),
            (None, at(160), &held),
        ] {
            let scans = Scans {
                absent_since,
                last,
                interval: Duration::from_secs(60),
            };
            assert_eq!(&judge("1.1.0", scans), want, "{scans:?}");
        }
        let short = Scans {
            absent_since: at(100),
            last: at(100),
            interval: Duration::ZERO,
        };
        assert_eq!(judge("1.1.0", short), held);
    }

    #[test]
    fn only_another_tag_of_the_same_image_can_be_older() {
        let latest = ImageRef {
            name: "alpine".to_owned(),
            tag: "1".to_owned(),
            digest: None,
        };
        assert_eq!(recorded(Some(&latest), "alpine", "2"), Some("1"));
        assert_eq!(recorded(Some(&latest), "alpine", "1"), None);
        assert_eq!(recorded(Some(&latest), "busybox", "2"), None);
        assert_eq!(recorded(None, "alpine", "2"), None);
    }

    #[test]
    fn the_annotation_switches_the_guard_off_and_a_typo_does_not() {
        let read = |word: &str| {
            let object = json!({
                "metadata": {"name": "app", "annotations": {DOWNGRADE: word}},
                "spec": {"imageRepositoryRef": {"name": "app"}, "policy": {}},
            });
            Downgrade::of(&serde_json::from_value(object).unwrap())
        };
        assert_eq!(read("allow"), Ok(Downgrade::Allow));
        assert_eq!(read("confirm"), Ok(Downgrade::Confirm));
        assert_eq!(
            read("yes").unwrap_err(),
            "annotation towpath.dev/downgrade must be 'confirm' or 'allow', not 'yes'"
        );
    }
}
