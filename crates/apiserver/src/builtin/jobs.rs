//! Defaults of Jobs and CronJobs.

use serde_json::Value;

use super::fields::{default, items, object, text};
use super::pods;

/// The label that ties Pods to their Job.
const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";

/// Puts in the defaults of a Job.
pub(super) fn job(value: &mut Value) {
    let spec = object(value, "spec");
    let unset = |field: &str| spec[field].is_null();
    if unset("completions") && unset("parallelism") {
        spec["completions"] = 1.into();
        spec["parallelism"] = 1.into();
    }
    default(spec, "parallelism", 1);
    let each_index = !spec["backoffLimitPerIndex"].is_null();
    default(
        spec,
        "backoffLimit",
        if each_index { i64::from(i32::MAX) } else { 6 },
    );
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    default(spec, "manualSelector", false);
    let policy = !items(&spec["podFailurePolicy"], "rules").is_empty();
    default(
        spec,
        "podReplacementPolicy",
        if policy {
            "Failed"
        } else {
            "TerminatingOrFailed"
        },
    );
    pods::template(object(spec, "template"));
}

/// Gives a new Job its selector and labels, from its uid.
pub(super) fn select(value: &mut Value) {
    if value["spec"]["manualSelector"] == true {
        return;
    }
    let name = value["metadata"]["name"].clone();
    let uid = value["metadata"]["uid"].clone();
    if text(&value["metadata"], "uid").is_empty() {
        return;
    }
    let spec = object(value, "spec");
    let labels = object(object(object(spec, "template"), "metadata"), "labels");
    for (key, label) in [
        ("batch.kubernetes.io/job-name", &name),
        ("job-name", &name),
        (CONTROLLER_UID, &uid),
        ("controller-uid", &uid),
    ] {
        default(labels, key, label.clone());
    }
    let labels = labels.clone();
    let chosen = object(object(spec, "selector"), "matchLabels");
    default(chosen, CONTROLLER_UID, uid);
    let own = object(value, "metadata");
    if own["labels"]
        .as_object()
        .is_none_or(serde_json::Map::is_empty)
    {
        own["labels"] = labels;
    }
}

/// Completes a CronJob.
pub(super) fn cron_job(value: &mut Value) {
    let spec = object(value, "spec");
    default(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    let job = object(object(spec, "jobTemplate"), "spec");
    pods::template(object(job, "template"));
}
