//! The cells of Pods and of what runs Pods.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::age;
use super::render::{age_of, count, items, name, pairs, selector, text_or_none};

/// Returns the cells of a workload; none when the kind is no workload.
pub(super) fn cells(
    group: &str,
    kind: &str,
    item: &Value,
    now: DateTime<Utc>,
) -> Option<Vec<Value>> {
    let (spec, status) = (&item["spec"], &item["status"]);
    let (name, age) = (name(item), age_of(item, now));
    let pod = &spec["template"]["spec"];
    let (names, images) = (joined(pod, "name"), joined(pod, "image"));
    let chosen = selector(&spec["selector"]);
    let of = |key: &str| count(&status[key]);
    let ready = format!("{}/{}", of("readyReplicas"), count(&spec["replicas"]));
    let cells = match (group, kind) {
        ("", "Pod") => return Some(pod_cells(item, now)),
        ("apps", "Deployment") => json!([
            name,
            ready,
            of("updatedReplicas"),
            of("availableReplicas"),
            age,
            names,
            images,
            chosen
        ]),
        ("apps", "StatefulSet") => json!([name, ready, age, names, images]),
        ("apps", "ReplicaSet") => json!([
            name,
            count(&spec["replicas"]),
            of("replicas"),
            of("readyReplicas"),
            age,
            names,
            images,
            chosen
        ]),
        ("", "ReplicationController") => json!([
            name,
            count(&spec["replicas"]),
            of("replicas"),
            of("readyReplicas"),
            age,
            names,
            images,
            pairs(&spec["selector"])
        ]),
        ("apps", "DaemonSet") => json!([
            name,
            of("desiredNumberScheduled"),
            of("currentNumberScheduled"),
            of("numberReady"),
            of("updatedNumberScheduled"),
            of("numberAvailable"),
            pairs(&pod["nodeSelector"]),
            age,
            names,
            images,
            chosen
        ]),
        ("batch", "Job") => json!([
            name,
            job_status(item),
            job_completions(item),
            job_duration(item, now),
            age,
            names,
            images,
            chosen
        ]),
        ("batch", "CronJob") => cron_job(item, now),
        ("", "PodTemplate") => pod_template(item),
        _ => return None,
    };
    Some(items(&cells).to_vec())
}

fn pod_template(item: &Value) -> Value {
    let pod = &item["template"]["spec"];
    let labels = pairs(&item["template"]["metadata"]["labels"]);
    json!([
        name(item),
        joined(pod, "name"),
        joined(pod, "image"),
        labels
    ])
}

/// Returns one field of each container, joined by commas.
fn joined(pod: &Value, field: &str) -> String {
    let all: Vec<&str> = items(&pod["containers"])
        .iter()
        .filter_map(|container| container[field].as_str())
        .collect();
    all.join(",")
}

fn job_status(item: &Value) -> &'static str {
    let status = &item["status"];
    let holds = |kind: &str| {
        items(&status["conditions"])
            .iter()
            .any(|it| it["type"] == kind && it["status"] == "True")
    };
    let known = [
        "Complete",
        "Failed",
        "Suspended",
        "FailureTarget",
        "SuccessCriteriaMet",
    ];
    match known.into_iter().find(|kind| holds(kind)) {
        _ if !item["metadata"]["deletionTimestamp"].is_null() => "Terminating",
        Some(kind) => kind,
        None => "Running",
    }
}

fn job_completions(item: &Value) -> String {
    let done = count(&item["status"]["succeeded"]);
    let spec = &item["spec"];
    match (spec["completions"].as_i64(), count(&spec["parallelism"])) {
        (Some(wanted), _) => format!("{done}/{wanted}"),
        (None, parallel) if parallel > 1 => format!("{done}/1 of {parallel}"),
        (None, _) => format!("{done}/1"),
    }
}

fn job_duration(item: &Value, now: DateTime<Utc>) -> String {
    let status = &item["status"];
    let end = age::time(&status["completionTime"]).unwrap_or(now);
    age::time(&status["startTime"])
        .map(|start| age::human_duration(end - start))
        .unwrap_or_default()
}

fn cron_job(item: &Value, now: DateTime<Utc>) -> Value {
    let (spec, status) = (&item["spec"], &item["status"]);
    let job = &spec["jobTemplate"]["spec"];
    let pod = &job["template"]["spec"];
    let suspended = if spec["suspend"] == true {
        "True"
    } else {
        "False"
    };
    let last = match age::time(&status["lastScheduleTime"]) {
        Some(time) => age::human_duration(now - time),
        None => "<none>".to_owned(),
    };
    json!([
        name(item),
        spec["schedule"],
        text_or_none(&spec["timeZone"]),
        suspended,
        items(&status["active"]).len(),
        last,
        age_of(item, now),
        joined(pod, "name"),
        joined(pod, "image"),
        selector(&job["selector"]),
    ])
}

fn pod_cells(item: &Value, now: DateTime<Utc>) -> Vec<Value> {
    let (spec, status) = (&item["spec"], &item["status"]);
    let view = PodView::of(item);
    let restarts = match view.last_restart {
        Some(time) if view.restarts > 0 => {
            format!(
                "{} ({} ago)",
                view.restarts,
                age::human_duration(now - time)
            )
        }
        _ => view.restarts.to_string(),
    };
    let gates = items(&spec["readinessGates"]);
    let passed = gates
        .iter()
        .filter(|gate| has_condition(status, gate["conditionType"].as_str().unwrap_or_default()))
        .count();
    let gates = if gates.is_empty() {
        "<none>".to_owned()
    } else {
        format!("{passed}/{}", gates.len())
    };
    vec![
        name(item),
        Value::from(format!("{}/{}", view.ready, view.total)),
        Value::from(view.reason),
        Value::from(restarts),
        age_of(item, now),
        text_or_none(&status["podIPs"][0]["ip"]),
        text_or_none(&spec["nodeName"]),
        text_or_none(&status["nominatedNodeName"]),
        Value::from(gates),
    ]
}

fn has_condition(status: &Value, kind: &str) -> bool {
    items(&status["conditions"])
        .iter()
        .any(|it| it["type"] == kind && it["status"] == "True")
}

/// What the list of Pods says about one.
#[derive(Default)]
struct PodView {
    total: usize,
    ready: usize,
    restarts: i64,
    last_restart: Option<DateTime<Utc>>,
    reason: String,
}

impl PodView {
    fn of(item: &Value) -> Self {
        let (spec, status) = (&item["spec"], &item["status"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut view = Self {
            total: items(&spec["containers"]).len(),
            reason: text(&status["phase"]),
            ..Self::default()
        };
        if !text(&status["reason"]).is_empty() {
            view.reason = text(&status["reason"]);
        }
        if items(&status["conditions"])
            .iter()
            .any(|it| it["type"] == "PodScheduled" && it["reason"] == "SchedulingGated")
        {
            view.reason = "SchedulingGated".to_owned();
        }
        let initializing = view.read_init(spec, status);
        if !initializing || has_condition(status, "Initialized") {
            view.read_containers(status);
        }
        view.read_deletion(item);
        view
    }

    /// Returns whether an init container is still at work.
    fn read_init(&mut self, spec: &Value, status: &Value) -> bool {
        let declared = items(&spec["initContainers"]);
        let stays = |name: &Value| {
            declared
                .iter()
                .any(|it| it["name"] == *name && it["restartPolicy"] == "Always")
        };
        self.total += declared
            .iter()
            .filter(|it| it["restartPolicy"] == "Always")
            .count();
        for (index, container) in items(&status["initContainerStatuses"]).iter().enumerate() {
            self.note_restarts(container);
            let state = &container["state"];
            let sidecar = stays(&container["name"]);
            if state["terminated"]["exitCode"] == 0 && state["terminated"].is_object() {
                continue;
            }
            if sidecar && container["started"] == true {
                self.ready += usize::from(container["ready"] == true);
                continue;
            }
            let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
            self.reason = if state["terminated"].is_object() {
                format!("Init:{}", ended(&state["terminated"]))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{}", declared.len())
            };
            return true;
        }
        false
    }

    fn read_containers(&mut self, status: &Value) {
        let mut running = false;
        for container in items(&status["containerStatuses"]).iter().rev() {
            self.note_restarts(container);
            let state = &container["state"];
            let waiting = state["waiting"]["reason"].as_str().unwrap_or_default();
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if state["terminated"].is_object() {
                self.reason = ended(&state["terminated"]);
            } else if container["ready"] == true && state["running"].is_object() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let ready = has_condition(status, "Ready");
            (if ready { "Running" } else { "NotReady" }).clone_into(&mut self.reason);
        }
    }

    fn note_restarts(&mut self, container: &Value) {
        self.restarts += count(&container["restartCount"]);
        let ended = age::time(&container["lastState"]["terminated"]["finishedAt"]);
        self.last_restart = self.last_restart.max(ended);
    }

    fn read_deletion(&mut self, item: &Value) {
        if item["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        let phase = item["status"]["phase"].as_str().unwrap_or_default();
        if item["status"]["reason"] == "NodeLost" {
            "Unknown".clone_into(&mut self.reason);
        } else if phase != "Succeeded" && phase != "Failed" {
            "Terminating".clone_into(&mut self.reason);
        }
    }
}

/// Returns why a container ended.
fn ended(terminated: &Value) -> String {
    let reason = terminated["reason"].as_str().unwrap_or_default();
    let signal = count(&terminated["signal"]);
    match (reason, signal) {
        ("", 0) => format!("ExitCode:{}", count(&terminated["exitCode"])),
        ("", _) => format!("Signal:{signal}"),
        _ => reason.to_owned(),
    }
}
