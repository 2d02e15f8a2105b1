//! Role-based access: whether roles and their bindings allow what an identity wants to do.
//!
//! Roles and bindings come in as stored objects, an answer goes out. Members of `system:masters` may
//! do everything. Pure.

use serde_json::Value;

use crate::identity::Identity;

/// The group whose members may do everything.
pub(crate) const MASTERS: &str = "system:masters";

/// What somebody wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    /// Empty at the cluster scope and for all namespaces.
    pub(crate) namespace: String,
    /// Empty where no single object is meant.
    pub(crate) name: String,
    /// The path, where no resource is meant.
    pub(crate) path: String,
}

/// The roles and bindings that are there.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// With their namespaces.
    pub(crate) roles: Vec<(String, Value)>,
    pub(crate) cluster_roles: Vec<Value>,
    /// With their namespaces.
    pub(crate) bindings: Vec<(String, Value)>,
    pub(crate) cluster_bindings: Vec<Value>,
}

impl Roles {
    /// Returns whether an identity may do something.
    pub(crate) fn allow(&self, identity: &Identity, wanted: &Attributes) -> bool {
        identity.groups.iter().any(|group| group == MASTERS)
            || self
                .rules_for(identity, &wanted.namespace)
                .iter()
                .any(|rule| covers(rule, wanted))
    }

    /// Returns the rules that hold for an identity in a namespace, or at the cluster scope.
    pub(crate) fn rules_for(&self, identity: &Identity, namespace: &str) -> Vec<&Value> {
        let mut rules = Vec::new();
        for binding in &self.cluster_bindings {
            if binds(binding, "", identity) {
                rules.extend(self.cluster_rules(role_name(binding)));
            }
        }
        let local = self
            .bindings
            .iter()
            .filter(|(at, _)| !namespace.is_empty() && at == namespace);
        for (at, binding) in local {
            if !binds(binding, at, identity) {
                continue;
            }
            let name = role_name(binding);
            if binding["roleRef"]["kind"] == "ClusterRole" {
                rules.extend(self.cluster_rules(name));
            } else {
                let named = self
                    .roles
                    .iter()
                    .find(|(of, role)| of == at && is_named(role, name));
                rules.extend(named.into_iter().flat_map(|(_, role)| rules_of(role)));
            }
        }
        rules
    }

    /// Returns the rules of a ClusterRole and of those that it gathers by their labels.
    fn cluster_rules(&self, name: &str) -> Vec<&Value> {
        let Some(role) = self.cluster_roles.iter().find(|role| is_named(role, name)) else {
            return Vec::new();
        };
        let mut rules: Vec<&Value> = rules_of(role).collect();
        let selectors = role
            .pointer("/aggregationRule/clusterRoleSelectors")
            .and_then(Value::as_array);
        for selector in selectors.into_iter().flatten() {
            let gathered = self
                .cluster_roles
                .iter()
                .filter(|other| selects(selector, other));
            rules.extend(gathered.flat_map(rules_of));
        }
        rules
    }
}

fn is_named(role: &Value, name: &str) -> bool {
    role["metadata"]["name"] == name
}

fn role_name(binding: &Value) -> &str {
    binding["roleRef"]["name"].as_str().unwrap_or_default()
}

fn rules_of(role: &Value) -> impl Iterator<Item = &Value> {
    role["rules"].as_array().into_iter().flatten()
}

fn selects(selector: &Value, role: &Value) -> bool {
    let labels = selector["matchLabels"].as_object();
    let wanted = labels.filter(|labels| !labels.is_empty());
    wanted.is_some_and(|labels| {
        labels
            .iter()
            .all(|(k, v)| role["metadata"]["labels"][k] == *v)
    })
}

fn binds(binding: &Value, namespace: &str, identity: &Identity) -> bool {
    let subjects = binding["subjects"].as_array();
    subjects.into_iter().flatten().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => name == identity.user,
            Some("Group") => identity.groups.iter().any(|group| group == name),
            Some("ServiceAccount") => {
                let at = subject["namespace"]
                    .as_str()
                    .filter(|n| !n.is_empty())
                    .unwrap_or(namespace);
                identity.user == format!("system:serviceaccount:{at}:{name}")
            }
            _ => false,
        }
    })
}

fn covers(rule: &Value, wanted: &Attributes) -> bool {
    let has = |field: &str, value: &str| {
        let list = rule[field].as_array();
        list.into_iter()
            .flatten()
            .any(|item| item == "*" || item == value)
    };
    if !has("verbs", &wanted.verb) {
        return false;
    }
    if !wanted.path.is_empty() {
        let urls = rule["nonResourceURLs"].as_array();
        return urls
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|url| {
                url == "*"
                    || url == wanted.path
                    || url
                        .strip_suffix('*')
                        .is_some_and(|start| wanted.path.starts_with(start))
            });
    }
    let resources = || {
        rule["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
    };
    let resource = if wanted.subresource.is_empty() {
        resources().any(|r| r == "*" || r == wanted.resource)
    } else {
        resources().any(|r| {
            r == "*"
                || r.split_once('/').is_some_and(|(resource, sub)| {
                    (resource == "*" || resource == wanted.resource) && sub == wanted.subresource
                })
        })
    };
    let names = rule["resourceNames"]
        .as_array()
        .filter(|names| !names.is_empty());
    let named = names.is_none_or(|names| names.iter().any(|n| *n == wanted.name.as_str()));
    resource && named && has("apiGroups", &wanted.group)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roles() -> Roles {
        Roles {
            roles: vec![(
                "a".to_owned(),
                json!({ "metadata": { "name": "r" }, "rules": [
                    { "apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"] },
                    { "apiGroups": ["apps"], "resources": ["*/scale"], "verbs": ["*"], "resourceNames": ["d"] },
                ] }),
            )],
            bindings: vec![(
                "a".to_owned(),
                json!({ "roleRef": { "kind": "Role", "name": "r" },
                    "subjects": [{ "kind": "ServiceAccount", "name": "x" }] }),
            )],
            cluster_roles: vec![
                json!({ "metadata": { "name": "all" }, "aggregationRule": {
                    "clusterRoleSelectors": [{ "matchLabels": { "l": "1" } }] } }),
                json!({ "metadata": { "name": "part", "labels": { "l": "1" } }, "rules": [
                    { "apiGroups": ["*"], "resources": ["*"], "verbs": ["list"] },
                    { "nonResourceURLs": ["/metrics*"], "verbs": ["get"] },
                ] }),
            ],
            cluster_bindings: vec![json!({ "roleRef": { "kind": "ClusterRole", "name": "all" },
                "subjects": [{ "kind": "Group", "name": "devs" }] })],
        }
    }

    fn wants(verb: &str, group: &str, resource: &str, place: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let (namespace, name) = place.split_once('/').unwrap_or((place, ""));
        Attributes {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            path: String::new(),
        }
    }

    #[test]
    fn roles_allow_what_their_rules_say_and_nothing_else() {
        let account = Identity::service_account("a", "x");
        let cases = [
            (wants("get", "", "pods", "a/p"), true),
            (wants("get", "", "pods/log", "a/p"), true),
            (wants("get", "", "pods/exec", "a/p"), false),
            (wants("list", "", "pods", "a"), false),
            (wants("get", "", "pods", "b/p"), false),
            (wants("get", "", "pods", ""), false),
            (wants("patch", "apps", "deployments/scale", "a/d"), true),
            (wants("patch", "apps", "deployments/scale", "a/e"), false),
            (wants("patch", "apps", "deployments", "a/d"), false),
        ];
        for (wanted, want) in cases {
            assert_eq!(roles().allow(&account, &wanted), want, "{wanted:?}");
        }
    }

    #[test]
    fn a_cluster_role_gathers_others_by_their_labels() {
        let dev = Identity {
            user: "jane".to_owned(),
            groups: vec!["devs".to_owned()],
        };
        assert!(roles().allow(&dev, &wants("list", "apps", "deployments", "")));
        let path = Attributes {
            verb: "get".to_owned(),
            path: "/metrics/x".to_owned(),
            ..Attributes::default()
        };
        assert!(roles().allow(&dev, &path));
        let nobody = Identity {
            user: "joe".to_owned(),
            groups: Vec::new(),
        };
        assert!(!roles().allow(&nobody, &path));
    }

    #[test]
    fn masters_may_do_everything() {
        let wanted = wants("delete", "any.dev", "things", "");
        assert!(Roles::default().allow(&Identity::administrator(), &wanted));
    }
}
