//! The decisions and reports of an ImageRepository, on objects in memory.

use chrono::DateTime;
use serde_json::{Value, json};

use super::*;
use crate::image::TagListBuilder;

const NOW: &str = "2026-01-01T00:10:00Z";

fn object(spec: Value, status: Value) -> ImageRepository {
    let mut all = json!({"image": "ghcr.io/acme/app", "interval": "5m"});
    all.as_object_mut()
        .unwrap()
        .extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "metadata": {"name": "app", "namespace": "apps", "generation": 1,
            "annotations": {REQUESTED_AT: "1"}},
        "spec": all, "status": status,
    }))
    .unwrap()
}

fn scanned(change: Value) -> Value {
    let mut status = json!({
        "canonicalImageName": "ghcr.io/acme/app", "observedGeneration": 1,
        "observedExclusionList": [EXCLUSION_DEFAULT], "lastHandledReconcileAt": "1",
        "lastScanResult": {"tagCount": 3, "revision": "sha256:0", "scanTime": "2026-01-01T00:06:00Z"},
    });
    status
        .as_object_mut()
        .unwrap()
        .extend(change.as_object().unwrap().clone());
    status
}

#[test]
fn a_scan_is_due_for_the_first_reason_that_holds() {
    let at = |time: &str| json!({"lastScanResult": {"tagCount": 3, "scanTime": time}});
    let not_ready = json!({"conditions": [{"type": "Ready", "status": "False", "message": "",
        "reason": "ReadOperationFailed", "lastTransitionTime": NOW}]});
    for (name, spec, status, want) in [
        (
            "never scanned",
            json!({}),
            json!({}),
            Due::Now("first scan"),
        ),
        (
            "requested",
            json!({}),
            scanned(json!({"lastHandledReconcileAt": "0"})),
            Due::Now("reconcile requested"),
        ),
        (
            "renamed",
            json!({"image": "ghcr.io/acme/other"}),
            scanned(json!({})),
            Due::Now("new image name"),
        ),
        (
            "excluded",
            json!({"exclusionList": ["^x", "^y"]}),
            scanned(json!({})),
            Due::Now("updated exclusion list"),
        ),
        (
            "failed",
            json!({}),
            scanned(not_ready),
            Due::Now("last scan failed"),
        ),
        (
            "old",
            json!({}),
            scanned(at("2026-01-01T00:05:00.5Z")),
            Due::Now("triggered by interval"),
        ),
        (
            "young",
            json!({}),
            scanned(json!({})),
            Due::In(Duration::from_secs(60)),
        ),
        (
            "of the future",
            json!({}),
            scanned(at("2026-01-02T00:00:00Z")),
            Due::In(Duration::from_secs(300)),
        ),
        (
            "empty list is the default",
            json!({"exclusionList": []}),
            scanned(json!({})),
            Due::In(Duration::from_secs(60)),
        ),
    ] {
        let decision = decide(&object(spec, status), NOW.parse().unwrap());
        let Decision::Act(plan) = decision else {
            panic!("{name}: {decision:?}");
        };
        assert_eq!(plan.due, want, "{name}");
    }
}

#[test]
fn specs_that_cannot_be_scanned_stall_with_the_field() {
    for (spec, reason, message) in [
        (
            json!({"image": "https://ghcr.io/a"}),
            reasons::IMAGE_URL_INVALID,
            "image 'https://ghcr.io/a' should not include URL scheme; remove 'https://'",
        ),
        (
            json!({"provider": "aws", "serviceAccountName": "app"}),
            reasons::FEATURE_GATE_DISABLED,
            "to use spec.serviceAccountName for provider authentication please enable the \
             ObjectLevelWorkloadIdentity feature gate in the controller",
        ),
        (
            json!({"interval": "5"}),
            reasons::INVALID_OBJECT,
            "spec.interval: time: missing unit in duration \"5\"",
        ),
    ] {
        let decision = decide(&object(spec, json!({})), NOW.parse().unwrap());
        let Decision::Report(report) = decision else {
            panic!("{message}: {decision:?}");
        };
        assert_eq!(report.outcome, Outcome::stalled(reason, message));
    }
}

fn done(object: &ImageRepository, found: Result<Found, Ended>) -> Done {
    let Decision::Act(plan) = decide(object, NOW.parse().unwrap()) else {
        panic!("nothing to do");
    };
    Done { plan, found }
}

fn scan(tags: impl IntoIterator<Item = String>) -> tags::Scan {
    let mut list = TagListBuilder::default();
    for tag in tags {
        assert!(list.push(&tag));
    }
    let reading = tags::Reading {
        started_at: DateTime::UNIX_EPOCH,
        finished_at: DateTime::UNIX_EPOCH,
        n_pages: 1,
    };
    tags::Scan::new("ghcr.io/acme/app", list.sorted(), reading)
}

#[test]
fn rg8_a_list_that_shrinks_by_more_than_half_is_told() {
    let object = object(json!({}), scanned(json!({})));
    let notes = |n_before: usize, n_after: usize| {
        let change = tags::Change::Replaced {
            n_before,
            n_seen: 0,
            n_vanished: n_before - n_after,
        };
        let scan = scan((0..n_after).map(|n| n.to_string()));
        let found = Found::Scan(scan, change);
        let report = report(&object, done(&object, Ok(found)), NOW.parse().unwrap());
        let notes = report.notes.into_iter();
        let shrunk = notes.filter(|note| note.reason == reasons::TAGS_SHRUNK);
        shrunk.map(|note| note.message).collect::<Vec<_>>()
    };
    assert_eq!(notes(4, 2), Vec::<String>::new());
    assert_eq!(
        notes(5, 2),
        [
            "the scan of ghcr.io/acme/app found 2 tags, the one before 5; policies keep a tag \
             that is gone until a second scan confirms it"
        ]
    );
    assert_eq!(notes(1, 0).len(), 1);
}

#[test]
fn a_scan_is_reported_with_count_and_checksum() {
    let object = object(json!({}), json!({}));
    let scan = scan(["1.0.0", "1.1.0"].map(str::to_owned));
    let revision = scan.epoch().revision.clone();
    let found = Found::Scan(scan, tags::Change::First);
    let report = report(&object, done(&object, Ok(found)), NOW.parse().unwrap());
    let message = format!("successful scan: found 2 tags with checksum {revision}");
    assert_eq!(report.notes[0].message, message);
    assert_eq!(
        report.outcome,
        Outcome::Ready {
            reason: reasons::SUCCEEDED,
            message,
            next: Interval::Exactly(Duration::from_secs(300)),
        }
    );
    let status = serde_json::to_value(&report.status).unwrap();
    assert_eq!(
        status,
        json!({
            "canonicalImageName": "ghcr.io/acme/app", "observedExclusionList": [EXCLUSION_DEFAULT],
            "lastScanResult": {"revision": revision, "tagCount": 2, "scanTime": NOW,
                "latestTags": ["1.1.0", "1.0.0"]},
        })
    );
}

#[test]
fn a_failed_scan_keeps_the_last_one() {
    let object = object(json!({}), scanned(json!({})));
    let failure = failed(reasons::READ_OPERATION_FAILED, "scan failed: gone");
    let report = report(
        &object,
        done(&object, Err(failure.into())),
        NOW.parse().unwrap(),
    );
    assert_eq!(Some(report.status), object.status);
    assert_eq!(
        report.outcome,
        Outcome::failed(reasons::READ_OPERATION_FAILED, "scan failed: gone")
    );
}

#[test]
fn rg1_the_next_try_waits_as_long_as_the_registry_asked() {
    let object = object(json!({}), scanned(json!({})));
    for (wait, want) in [
        (
            Some(Duration::from_secs(600)),
            Retry::After(Duration::from_secs(600)),
        ),
        (Some(Duration::ZERO), Retry::Backoff),
        (None, Retry::Backoff),
    ] {
        let failure = failed(reasons::READ_OPERATION_FAILED, "scan failed: busy");
        let ended = Ended { failure, wait };
        let report = report(&object, done(&object, Err(ended)), NOW.parse().unwrap());
        let Outcome::Failed { retry, .. } = report.outcome else {
            panic!("{:?}", report.outcome);
        };
        assert_eq!(retry, want);
    }
}

#[test]
fn an_unchanged_list_only_moves_the_time_of_the_scan() {
    let object = object(json!({}), scanned(json!({})));
    let report = report(
        &object,
        done(&object, Ok(Found::Same)),
        NOW.parse().unwrap(),
    );
    let mut want = object.status.clone().unwrap();
    want.last_scan_result.as_mut().unwrap().scan_time = Some(Time(NOW.parse().unwrap()));
    assert_eq!(report.status, want);
}
