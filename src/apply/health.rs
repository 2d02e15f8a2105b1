//! Whether an object is healthy: the kstatus rules that Flux uses, read from its status.
//!
//! Pure: one object in, one verdict out. Objects without a status are current at once.

use serde_json::Value;

/// The verdict on one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// As its spec wants it.
    Current,
    /// On its way.
    InProgress,
    /// It will not get there by itself.
    Failed,
    /// Being deleted.
    Terminating,
    /// Not there.
    NotFound,
}

/// The verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Why, for people; empty when current.
    pub message: String,
}

impl HealthStatus {
    /// Returns kstatus' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
        }
    }
}

impl Health {
    fn current() -> Self {
        Self {
            status: HealthStatus::Current,
            message: String::new(),
        }
    }

    fn waits(message: impl Into<String>) -> Self {
        Self {
            status: HealthStatus::InProgress,
            message: message.into(),
        }
    }

    fn failed(message: impl Into<String>) -> Self {
        Self {
            status: HealthStatus::Failed,
            message: message.into(),
        }
    }
}

/// Returns the verdict on a live object.
pub fn health(object: &Value) -> Health {
    let group = object["apiVersion"]
        .as_str()
        .unwrap_or("")
        .split_once('/')
        .map_or("", |(g, _)| g);
    let kind = object["kind"].as_str().unwrap_or("");
    if (group, kind) == ("batch", "Job") {
        return job(object);
    }
    if let Some(early) = preamble(object) {
        return early;
    }
    match (group, kind) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") => replica_set(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => match object.pointer("/status/phase") {
            Some(Value::String(phase)) if phase == "Bound" => Health::current(),
            _ => Health::waits("PVC is not Bound"),
        },
        ("", "Service") => service(object),
        ("", "ConfigMap" | "Secret") | ("batch", "CronJob") | ("policy", "PodDisruptionBudget") => {
            Health::current()
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => generic(object),
    }
}

/// What holds for every kind before its own rule is asked.
fn preamble(object: &Value) -> Option<Health> {
    if object.pointer("/metadata/deletionTimestamp").is_some() {
        let message = "resource scheduled for deletion".to_owned();
        return Some(Health {
            status: HealthStatus::Terminating,
            message,
        });
    }
    let observed = object
        .pointer("/status/observedGeneration")
        .and_then(Value::as_i64);
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64);
    if let (Some(observed), Some(generation)) = (observed, generation)
        && observed != generation
    {
        let message = format!("generation is {generation}, but the observed one is {observed}");
        return Some(Health::waits(message));
    }
    if let Some(condition) = condition(object, "Reconciling").filter(|c| is_true(c)) {
        return Some(Health::waits(message(condition)));
    }
    let stalled = condition(object, "Stalled").filter(|c| is_true(c));
    stalled.map(|condition| Health::failed(message(condition)))
}

fn generic(object: &Value) -> Health {
    match condition(object, "Ready") {
        Some(ready) if !is_true(ready) => Health::waits(message(ready)),
        _ => Health::current(),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn is_true(condition: &Value) -> bool {
    condition["status"] == "True"
}

fn is_false(condition: &Value) -> bool {
    condition["status"] == "False"
}

fn message(condition: &Value) -> String {
    condition["message"].as_str().unwrap_or("").to_owned()
}

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn replicas(object: &Value) -> i64 {
    object
        .pointer("/spec/replicas")
        .and_then(Value::as_i64)
        .unwrap_or(1)
}

/// Returns the first count that is behind, as `what: have/want`.
fn behind(counts: &[(&str, i64, i64)]) -> Option<Health> {
    let short = counts.iter().find(|(_, have, want)| have < want);
    short.map(|(what, have, want)| Health::waits(format!("{what}: {have}/{want}")))
}

fn deployment(object: &Value) -> Health {
    let progressing = condition(object, "Progressing");
    if progressing.is_some_and(|c| c["reason"] == "ProgressDeadlineExceeded") {
        return Health::failed("Progress deadline exceeded");
    }
    let want = replicas(object);
    let status = |name: &str| number(object, &format!("/status/{name}"));
    let (all, updated) = (status("replicas"), status("updatedReplicas"));
    if let Some(waits) = behind(&[("Replicas", all, want), ("Updated", updated, want)]) {
        return waits;
    }
    if all > want {
        return Health::waits(format!("Pending termination: {}", all - want));
    }
    let counts = [
        ("Available", status("availableReplicas"), updated),
        ("Ready", status("readyReplicas"), want),
    ];
    if let Some(waits) = behind(&counts) {
        return waits;
    }
    let deadline = object
        .pointer("/spec/progressDeadlineSeconds")
        .and_then(Value::as_i64);
    let watched = deadline.is_some_and(|seconds| seconds != i64::from(i32::MAX));
    let progressed =
        progressing.is_some_and(|c| is_true(c) && c["reason"] == "NewReplicaSetAvailable");
    if watched && !progressed {
        return Health::waits("ReplicaSet not Available");
    }
    match condition(object, "Available") {
        Some(available) if is_true(available) => Health::current(),
        _ => Health::waits("Deployment not Available"),
    }
}

fn stateful_set(object: &Value) -> Health {
    let update = object
        .pointer("/spec/updateStrategy/type")
        .and_then(Value::as_str);
    if update == Some("OnDelete") {
        return Health::current();
    }
    let want = replicas(object);
    let status = |name: &str| number(object, &format!("/status/{name}"));
    let counts = [
        ("Replicas", status("replicas"), want),
        ("Ready", status("readyReplicas"), want),
    ];
    if let Some(waits) = behind(&counts) {
        return waits;
    }
    if status("replicas") > want {
        return Health::waits(format!(
            "Pending termination: {}",
            status("replicas") - want
        ));
    }
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    if partition > 0 {
        return behind(&[("updated", status("updatedReplicas"), want - partition)])
            .unwrap_or_else(Health::current);
    }
    if let Some(waits) = behind(&[("current", status("currentReplicas"), want)]) {
        return waits;
    }
    let revision = |name: &str| object.pointer(&format!("/status/{name}")).cloned();
    if revision("currentRevision") != revision("updateRevision") {
        return Health::waits("Waiting for updated revision to match current");
    }
    Health::current()
}

fn daemon_set(object: &Value) -> Health {
    if object.pointer("/status/observedGeneration").is_none() {
        return Health::waits("Missing .status.observedGeneration");
    }
    let Some(want) = object
        .pointer("/status/desiredNumberScheduled")
        .and_then(Value::as_i64)
    else {
        return Health::waits("Missing .status.desiredNumberScheduled");
    };
    let status = |name: &str| number(object, &format!("/status/{name}"));
    behind(&[
        ("Current", status("currentNumberScheduled"), want),
        ("Updated", status("updatedNumberScheduled"), want),
        ("Available", status("numberAvailable"), want),
        ("Ready", status("numberReady"), want),
    ])
    .unwrap_or_else(Health::current)
}

fn replica_set(object: &Value) -> Health {
    if let Some(failure) = condition(object, "ReplicaFailure").filter(|c| is_true(c)) {
        return Health::waits(message(failure));
    }
    let want = replicas(object);
    let status = |name: &str| number(object, &format!("/status/{name}"));
    let counts = [
        ("Labelled", status("fullyLabeledReplicas"), want),
        ("Available", status("availableReplicas"), want),
        ("Ready", status("readyReplicas"), want),
        ("Replicas", want, status("replicas")),
    ];
    behind(&counts).unwrap_or_else(Health::current)
}

fn pod(object: &Value) -> Health {
    let phase = object
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or("");
    match phase {
        "Succeeded" | "Failed" => Health::current(),
        "Running" => {
            if condition(object, "Ready").is_some_and(is_true) {
                return Health::current();
            }
            let containers = object
                .pointer("/status/containerStatuses")
                .and_then(Value::as_array);
            let crashing = containers.into_iter().flatten().find(|container| {
                let reason = container.pointer("/state/waiting/reason");
                reason.and_then(Value::as_str) == Some("CrashLoopBackOff")
            });
            match crashing.and_then(|container| container["name"].as_str()) {
                Some(name) => Health::failed(format!("container {name} is in a crash loop")),
                None => Health::waits("Pod is running but is not Ready"),
            }
        }
        _ => Health::waits(format!("Pod is in phase {phase:?}")),
    }
}

fn job(object: &Value) -> Health {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return Health::current();
    }
    if condition(object, "Complete").is_some_and(is_true) {
        return Health::current();
    }
    match condition(object, "Failed").filter(|c| is_true(c)) {
        Some(failed) => Health::failed(message(failed)),
        None => Health::waits("Job in progress"),
    }
}

fn service(object: &Value) -> Health {
    let balancer = object.pointer("/spec/type").and_then(Value::as_str) == Some("LoadBalancer");
    let address = object
        .pointer("/spec/clusterIP")
        .and_then(Value::as_str)
        .unwrap_or("");
    if balancer && address.is_empty() {
        return Health::waits("ClusterIP not set");
    }
    Health::current()
}

fn definition(object: &Value) -> Health {
    if let Some(refused) = condition(object, "NamesAccepted").filter(|c| is_false(c)) {
        return Health::failed(message(refused));
    }
    match condition(object, "Established") {
        Some(established) if is_true(established) => Health::current(),
        Some(refused) if is_false(refused) && refused["reason"] != "Installing" => {
            Health::failed(message(refused))
        }
        _ => Health::waits("Install in progress"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(object: Value) -> HealthStatus {
        health(&object).status
    }

    fn deployment(status: Value) -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"generation": 2},
            "spec": {"replicas": 2, "progressDeadlineSeconds": 600}, "status": status})
    }

    #[test]
    fn a_deployment_is_current_when_all_replicas_are_new_and_available() {
        let mut status = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2,
            "readyReplicas": 2, "availableReplicas": 2, "conditions": [
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                {"type": "Available", "status": "True"}]});
        assert_eq!(verdict(deployment(status.clone())), HealthStatus::Current);
        for (field, value) in [
            ("observedGeneration", 1),
            ("updatedReplicas", 1),
            ("replicas", 3),
        ] {
            let mut late = status.clone();
            late[field] = json!(value);
            assert_eq!(
                verdict(deployment(late)),
                HealthStatus::InProgress,
                "{field}"
            );
        }
        status["conditions"][0]["reason"] = json!("ProgressDeadlineExceeded");
        assert_eq!(verdict(deployment(status)), HealthStatus::Failed);
        assert_eq!(verdict(deployment(json!({}))), HealthStatus::InProgress);
    }

    #[test]
    fn reconciling_wins_over_ready_and_stalled_is_failure() {
        let object = |kind: &str| {
            json!({"apiVersion": "example.dev/v1", "kind": "Widget",
                "status": {"conditions": [{"type": kind, "status": "True", "message": "m"}]}})
        };
        assert_eq!(verdict(object("Reconciling")), HealthStatus::InProgress);
        assert_eq!(verdict(object("Stalled")), HealthStatus::Failed);
        assert_eq!(verdict(object("Ready")), HealthStatus::Current);
    }

    #[test]
    fn objects_without_status_are_current() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap"});
        assert_eq!(verdict(object), HealthStatus::Current);
    }

    #[test]
    fn a_job_is_awaited_to_its_end() {
        let job = |conditions: Value| json!({"apiVersion": "batch/v1", "kind": "Job", "status": {"conditions": conditions}});
        assert_eq!(verdict(job(json!([]))), HealthStatus::InProgress);
        let done = json!([{"type": "Complete", "status": "True"}]);
        assert_eq!(verdict(job(done)), HealthStatus::Current);
        let failed = json!([{"type": "Failed", "status": "True"}]);
        assert_eq!(verdict(job(failed)), HealthStatus::Failed);
    }

    #[test]
    fn a_definition_is_current_once_established() {
        let object = |status: &str, reason: &str| {
            json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "status": {"conditions": [
                    {"type": "Established", "status": status, "reason": reason}]}})
        };
        assert_eq!(verdict(object("True", "")), HealthStatus::Current);
        assert_eq!(
            verdict(object("False", "Installing")),
            HealthStatus::InProgress
        );
        assert_eq!(verdict(object("False", "Other")), HealthStatus::Failed);
    }
}
