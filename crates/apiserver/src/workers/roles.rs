//! The roles that every server has: what the signed-in may do, and the four that people bind.
//!
//! They are made at the first start and are plain objects from then on.

use serde_json::{Value, json};

use crate::rbac::MASTERS;

const GROUP: &str = "rbac.authorization.k8s.io";

/// The groups whose objects the roles for people cover.
const GROUPS: [&str; 8] = [
    "",
    "apps",
    "autoscaling",
    "batch",
    "discovery.k8s.io",
    "events.k8s.io",
    "networking.k8s.io",
    "policy",
];
/// What the role `view` leaves out: who reads it could act as others.
const PRIVATE: &str = "secrets";
/// Resources of a namespace in the groups above, but for Secrets.
const VIEWED: [&str; 25] = [
    "configmaps",
    "controllerrevisions",
    "cronjobs",
    "daemonsets",
    "deployments",
    "endpoints",
    "endpointslices",
    "events",
    "horizontalpodautoscalers",
    "ingresses",
    "jobs",
    "limitranges",
    "namespaces",
    "networkpolicies",
    "persistentvolumeclaims",
    "poddisruptionbudgets",
    "pods",
    "podtemplates",
    "replicasets",
    "replicationcontrollers",
    "resourcequotas",
    "serviceaccounts",
    "services",
    "statefulsets",
    "*/status",
];
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

/// Returns the ClusterRoles and ClusterRoleBindings of a new server, with their resources.
pub(super) fn first() -> Vec<(&'static str, Value)> {
    let everything = json!([
        { "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] },
        { "nonResourceURLs": ["*"], "verbs": ["*"] },
    ]);
    let own = json!([
        { "apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
          "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"] },
        { "apiGroups": ["authentication.k8s.io"], "verbs": ["create"],
          "resources": ["selfsubjectreviews"] },
    ]);
    let paths = json!([{ "verbs": ["get"], "nonResourceURLs": [
        "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*",
        "/readyz", "/version", "/version/",
    ] }]);
    let public = json!([{ "verbs": ["get"], "nonResourceURLs": [
        "/healthz", "/livez", "/readyz", "/version", "/version/",
    ] }]);
    let rule = |resources: &[&str], verbs: &[&str]| json!({ "apiGroups": GROUPS, "resources": resources, "verbs": verbs });
    let view = rule(&VIEWED, &READ);
    let written: Vec<&str> = VIEWED
        .iter()
        .copied()
        .filter(|r| *r != "namespaces")
        .chain([PRIVATE])
        .collect();
    let edit = vec![
        view.clone(),
        rule(&[PRIVATE, "*/scale"], &READ),
        rule(&written, &WRITE),
        rule(&["*/scale"], &WRITE),
    ];
    let mut admin = edit.clone();
    let roles: Vec<&str> = READ.iter().chain(&WRITE).copied().collect();
    admin.push(
        json!({ "apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": roles }),
    );
    vec![
        role("cluster-admin", everything),
        role("admin", admin.into()),
        role("edit", edit.into()),
        role("view", json!([view])),
        role("system:basic-user", own),
        role("system:discovery", paths),
        role("system:public-info-viewer", public),
        binding("cluster-admin", MASTERS),
        binding("system:basic-user", "system:authenticated"),
        binding("system:discovery", "system:authenticated"),
        binding("system:public-info-viewer", "system:authenticated"),
    ]
}

fn meta(name: &str) -> Value {
    json!({ "name": name, "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" } })
}

fn role(name: &str, rules: Value) -> (&'static str, Value) {
    (
        "rbac.authorization.k8s.io/clusterroles",
        json!({ "metadata": meta(name), "rules": rules }),
    )
}

fn binding(name: &str, group: &str) -> (&'static str, Value) {
    let object = json!({
        "metadata": meta(name),
        "roleRef": { "apiGroup": GROUP, "kind": "ClusterRole", "name": name },
        "subjects": [{ "apiGroup": GROUP, "kind": "Group", "name": group }],
    });
    ("rbac.authorization.k8s.io/clusterrolebindings", object)
}
