//! Validation of the built-in kinds: what Kubernetes refuses and clients meet.
//!
//! Only what Kubernetes refuses is refused. Statuses are not looked at.

use serde_json::Value;

use super::fields::{entries, items, text};
use super::words::words;
use super::{immutable, validate_network, validate_pods};
use crate::error::FieldError;
use crate::kinds::TypeInfo;
use crate::schema::{Path, Schema, Shape};

/// The most that the data of a ConfigMap or Secret may hold, in bytes.
const DATA_BYTES_MAX: usize = 1024 * 1024;

/// The longest key of a ConfigMap or Secret.
const KEY_BYTES_MAX: usize = 253;

/// Returns what is wrong with an object of a built-in kind; `old` is the stored object.
pub fn validate(kind: &TypeInfo, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut found = Found::default();
    let spec = Path::of("spec");
    match kind.kind.as_str() {
        "Deployment" => deployment(value, &mut found),
        "ReplicaSet" => workload(value, "replicaset", &mut found),
        "StatefulSet" => workload(value, "statefulset", &mut found),
        "DaemonSet" => workload(value, "daemonset", &mut found),
        "ReplicationController" | "PodTemplate" => {}
        "Pod" => validate_pods::pod_spec(&value["spec"], &spec, &mut found),
        "Job" => job(&value["spec"], &spec, &mut found),
        "CronJob" => cron_job(&value["spec"], &mut found),
        "ConfigMap" => config_map(value, &mut found),
        "Secret" => secret(value, &mut found),
        "Event" => event(&kind.group, value, &mut found),
        _ => validate_network::validate(&kind.kind, value, &mut found),
    }
    if kind.kind != "Event" && kind.kind != "CustomResourceDefinition" {
        enumerations(&kind.schema, value, &Path::root(), &mut found);
    }
    if let Some(old) = old {
        immutable::check(&kind.kind, old, value, &mut found);
    }
    found.0
}

/// The findings so far, and how to add to them.
#[derive(Default)]
pub(super) struct Found(Vec<FieldError>);

impl Found {
    /// Adds a finding with a text that is complete.
    pub(super) fn push(&mut self, path: &Path, reason: &'static str, message: String) {
        self.0.push(FieldError {
            field: path.as_str().to_owned(),
            reason,
            message,
        });
    }

    /// Adds that a value must be there.
    pub(super) fn required(&mut self, path: &Path, detail: &str) {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        self.push(path, "FieldValueRequired", message);
    }

    /// Adds that a value is wrong.
    pub(super) fn invalid(&mut self, path: &Path, value: &Value, detail: &str) {
        let message = format!("Invalid value: {value}: {detail}");
        self.push(path, "FieldValueInvalid", message);
    }

    /// Adds that a value must not be there.
    pub(super) fn forbidden(&mut self, path: &Path, detail: &str) {
        self.push(path, "FieldValueForbidden", format!("Forbidden: {detail}"));
    }

    /// Adds that a value occurs twice.
    pub(super) fn duplicate(&mut self, path: &Path, value: &Value) {
        self.push(
            path,
            "FieldValueDuplicate",
            format!("Duplicate value: {value}"),
        );
    }

    /// Adds that a value is none of those that are known.
    pub(super) fn unsupported(&mut self, path: &Path, value: &Value, known: &[&str]) {
        let listed: Vec<String> = known.iter().map(|it| format!("\"{it}\"")).collect();
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            listed.join(", ")
        );
        self.push(path, "FieldValueNotSupported", message);
    }

    /// Adds a finding when a number is negative.
    pub(super) fn not_negative(&mut self, parent: &Value, field: &str, path: &Path) {
        if parent[field].as_i64().is_some_and(|it| it < 0) {
            let detail = "must be greater than or equal to 0";
            self.invalid(&path.child(field), &parent[field], detail);
        }
    }
}

/// Checks the fields that hold one of a few words; the status is left out.
fn enumerations(schema: &Schema, value: &Value, path: &Path, found: &mut Found) {
    match (&schema.shape, value) {
        (Shape::Object { .. }, Value::Object(map)) => {
            let kind = schema.type_name();
            for (name, child) in map {
                let place = path.child(name);
                if let (Some(text), Some(known)) = (child.as_str(), words(kind, name))
                    && !text.is_empty()
                    && !known.contains(&text)
                {
                    found.unsupported(&place, child, known);
                }
                let skipped = matches!(place.as_str(), "status" | "metadata");
                if let (Some(known), false) = (schema.field(name), skipped) {
                    enumerations(known, child, &place, found);
                }
            }
        }
        (Shape::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter().enumerate() {
                enumerations(items, item, &path.index(index), found);
            }
        }
        _ => {}
    }
}

fn deployment(value: &Value, found: &mut Found) {
    workload(value, "deployment", found);
    let spec = &value["spec"];
    let path = Path::of("spec");
    let strategy = &spec["strategy"];
    let place = path.child("strategy").child("rollingUpdate");
    let rolling = &strategy["rollingUpdate"];
    if strategy["type"] == "Recreate" && rolling.is_object() {
        found.forbidden(
            &place,
            "may not be specified when strategy `type` is 'Recreate'",
        );
    }
    let zero = |field: &str| {
        matches!(&rolling[field], Value::Number(it) if it.as_i64() == Some(0))
            || matches!(rolling[field].as_str(), Some("0" | "0%"))
    };
    if strategy["type"] == "RollingUpdate" && zero("maxUnavailable") && zero("maxSurge") {
        found.invalid(
            &place.child("maxUnavailable"),
            &rolling["maxUnavailable"],
            "may not be 0 when `maxSurge` is 0",
        );
    }
    found.not_negative(spec, "progressDeadlineSeconds", &path);
    let deadline = spec["progressDeadlineSeconds"].as_i64();
    if deadline.is_some_and(|it| it <= spec["minReadySeconds"].as_i64().unwrap_or_default()) {
        found.invalid(
            &path.child("progressDeadlineSeconds"),
            &spec["progressDeadlineSeconds"],
            "must be greater than minReadySeconds",
        );
    }
}

/// Checks what all kinds have that keep Pods running.
fn workload(value: &Value, name: &str, found: &mut Found) {
    let spec = &value["spec"];
    let path = Path::of("spec");
    for field in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        found.not_negative(spec, field, &path);
    }
    let template = &spec["template"];
    let labels = &template["metadata"]["labels"];
    let selector = &spec["selector"];
    if !selector.is_object() {
        found.required(&path.child("selector"), "");
    } else if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        let detail = format!("empty selector is invalid for {name}");
        found.invalid(&path.child("selector"), selector, &detail);
    }
    if !selects(selector, labels) {
        let place = path.child("template").child("metadata").child("labels");
        found.invalid(
            &place,
            labels,
            "`selector` does not match template `labels`",
        );
    }
    let pod = path.child("template").child("spec");
    validate_pods::pod_spec(&template["spec"], &pod, found);
    let policy = &template["spec"]["restartPolicy"];
    if policy.is_string() && policy != "Always" && !template["spec"]["containers"].is_null() {
        found.unsupported(&pod.child("restartPolicy"), policy, &["Always"]);
    }
}

/// Returns whether a label selector selects the labels; one that is absent selects nothing.
fn selects(selector: &Value, labels: &Value) -> bool {
    if !selector.is_object() {
        return false;
    }
    let label = |key: &str| labels[key].as_str();
    let exact = entries(selector, "matchLabels");
    exact.is_none_or(|it| it.iter().all(|(key, value)| label(key) == value.as_str()))
        && items(selector, "matchExpressions").iter().all(|rule| {
            let known = label(text(rule, "key"));
            let listed = known.is_some_and(|it| items(rule, "values").iter().any(|v| v == it));
            match text(rule, "operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => known.is_some(),
                "DoesNotExist" => known.is_none(),
                _ => false,
            }
        })
}

fn job(spec: &Value, path: &Path, found: &mut Found) {
    for field in [
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        found.not_negative(spec, field, path);
    }
    let pod = path.child("template").child("spec");
    let template = &spec["template"]["spec"];
    validate_pods::pod_spec(template, &pod, found);
    if !matches!(text(template, "restartPolicy"), "OnFailure" | "Never") {
        let detail = "valid values: \"OnFailure\", \"Never\"";
        found.required(&pod.child("restartPolicy"), detail);
    }
    if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
        let detail = "when completion mode is Indexed";
        found.required(&path.child("completions"), detail);
    }
}

fn cron_job(spec: &Value, found: &mut Found) {
    let path = Path::of("spec");
    let schedule = text(spec, "schedule");
    if schedule.is_empty() {
        found.required(&path.child("schedule"), "");
    } else if let Err(why) = check_schedule(schedule) {
        found.invalid(&path.child("schedule"), &spec["schedule"], &why);
    }
    for field in [
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    ] {
        found.not_negative(spec, field, &path);
    }
    let job_path = path.child("jobTemplate").child("spec");
    job(&spec["jobTemplate"]["spec"], &job_path, found);
}

/// Returns what is wrong with a schedule in the notation of cron.
fn check_schedule(schedule: &str) -> Result<(), String> {
    if schedule.contains("TZ") {
        return Err("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    if let Some(name) = schedule.strip_prefix('@') {
        let known = [
            "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly",
        ];
        return if known.contains(&name) || name.starts_with("every ") {
            Ok(())
        } else {
            Err(format!("unrecognized descriptor: {schedule}"))
        };
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != 5 {
        return Err(format!(
            "expected exactly 5 fields, found {}: [{}]",
            fields.len(),
            fields.join(" ")
        ));
    }
    let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
    for (field, (low, high)) in fields.iter().zip(bounds) {
        for part in field.split(',') {
            check_schedule_part(part, low, high)?;
        }
    }
    Ok(())
}

fn check_schedule_part(part: &str, low: u32, high: u32) -> Result<(), String> {
    const NAMES: [&str; 19] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "sun",
        "mon", "tue", "wed", "thu", "fri", "sat",
    ];
    let (range, step) = part.split_once('/').unwrap_or((part, "1"));
    if step.parse::<u32>().is_err() {
        return Err(format!(
            "failed to parse int from {step}: strconv.Atoi: parsing {step:?}: invalid syntax"
        ));
    }
    if range == "*" || range == "?" {
        return Ok(());
    }
    let (start, end) = range.split_once('-').unwrap_or((range, range));
    for bound in [start, end] {
        let named = NAMES.contains(&bound.to_lowercase().as_str());
        match bound.parse::<u32>() {
            _ if named => {}
            Ok(number) if number < low => {
                return Err(format!(
                    "beginning of range ({number}) below minimum ({low}): {part}"
                ));
            }
            Ok(number) if number > high => {
                return Err(format!(
                    "end of range ({number}) above maximum ({high}): {part}"
                ));
            }
            Ok(_) => {}
            Err(_) => {
                return Err(format!(
                    "failed to parse int from {bound}: strconv.Atoi: parsing {bound:?}: invalid syntax"
                ));
            }
        }
    }
    Ok(())
}

fn config_map(value: &Value, found: &mut Found) {
    let mut total = 0;
    for field in ["data", "binaryData"] {
        for (key, content) in entries(value, field).into_iter().flatten() {
            let place = Path::of(field).key(key);
            check_key(key, &place, found);
            if field == "data" && !value["binaryData"][key].is_null() {
                let detail = "duplicate of key present in binaryData";
                found.invalid(&place, &Value::from(key.as_str()), detail);
            }
            total += content.as_str().unwrap_or_default().len();
        }
    }
    check_total(&Path::root(), total, found);
}

fn check_total(path: &Path, total: usize, found: &mut Found) {
    if total > DATA_BYTES_MAX {
        let message = format!("Too long: may not be more than {DATA_BYTES_MAX} bytes");
        found.push(path, "FieldValueTooLong", message);
    }
}

fn check_key(key: &str, place: &Path, found: &mut Found) {
    let shown = Value::from(key);
    let well_formed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if key.len() > KEY_BYTES_MAX {
        let detail = format!("must be no more than {KEY_BYTES_MAX} characters");
        found.invalid(place, &shown, &detail);
    }
    if key.is_empty() || !key.chars().all(well_formed) {
        let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
             (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
             '[-._a-zA-Z0-9]+')";
        found.invalid(place, &shown, detail);
    } else if key == "." || key == ".." {
        found.invalid(place, &shown, &format!("must not be '{key}'"));
    } else if key.starts_with("..") {
        found.invalid(place, &shown, "must not start with '..'");
    }
}

fn secret(value: &Value, found: &mut Found) {
    let path = Path::of("data");
    let mut total = 0;
    for (key, content) in entries(value, "data").into_iter().flatten() {
        check_key(key, &path.key(key), found);
        total += content.as_str().unwrap_or_default().len() / 4 * 3;
    }
    check_total(&path, total, found);
    let wanted: &[&str] = match text(value, "type") {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/basic-auth" => {
            let data = &value["data"];
            if data["username"].is_null() && data["password"].is_null() {
                found.required(&path.key("username"), "");
                found.required(&path.key("password"), "");
            }
            &[]
        }
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if text(&value["metadata"]["annotations"], key).is_empty() {
                found.required(&Path::of("metadata").child("annotations").key(key), "");
            }
            &[]
        }
        _ => &[],
    };
    for key in wanted {
        if value["data"][key].is_null() {
            found.required(&path.key(key), "");
        }
    }
}

fn event(group: &str, value: &Value, found: &mut Found) {
    if group.is_empty() {
        let own = text(&value["metadata"], "namespace");
        let other = text(&value["involvedObject"], "namespace");
        // Cluster-scoped objects have their Events in the namespace `default`.
        let fits = if other.is_empty() {
            own == "default" || own.is_empty()
        } else {
            own == other
        };
        if !fits {
            let place = Path::of("involvedObject").child("namespace");
            found.invalid(
                &place,
                &Value::from(other),
                "does not match event.namespace",
            );
        }
        return;
    }
    if value["eventTime"].is_null() {
        found.required(&Path::of("eventTime"), "");
    }
    let kind = text(value, "type");
    if !matches!(kind, "Normal" | "Warning") {
        found.invalid(
            &Path::of("type"),
            &Value::from(kind),
            &format!("has invalid value: {kind}"),
        );
    }
    if value["eventTime"].is_null() {
        return;
    }
    for field in [
        "reportingController",
        "reportingInstance",
        "action",
        "reason",
    ] {
        if text(value, field).is_empty() {
            found.required(&Path::of(field), "");
        }
    }
}
