//! Who a request acts as, and whether it may: impersonation and the check against the roles.

use http::HeaderMap;
use serde_json::Value;

use super::call::Call;
use super::refuse;
use super::route::Target;
use crate::api::Api;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::kinds::TypeInfo;
use crate::rbac::{Attributes, MASTERS, Roles};
use crate::store::Scope;

/// The group of the roles' resources.
const GROUP: &str = "rbac.authorization.k8s.io";

/// Returns the identity that a request acts as: its own, or the one it impersonates.
///
/// Fails with 400 where the headers make no sense and with 403 where it must not.
pub(crate) fn acting(api: &Api, own: Identity, headers: &HeaderMap) -> Result<Identity, ApiError> {
    let all = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect()
    };
    let users = all("impersonate-user");
    let groups = all("impersonate-group");
    let uid = all("impersonate-uid");
    let extra = headers
        .keys()
        .any(|name| name.as_str().starts_with("impersonate-extra-"));
    let user = users.first().cloned().unwrap_or_default();
    if user.is_empty() {
        if users.is_empty() && groups.is_empty() && uid.is_empty() && !extra {
            return Ok(own);
        }
        // An empty user must never quietly mean that nobody is impersonated.
        let list: Vec<String> = groups.iter().map(|g| format!("{g:?}")).collect();
        let list = if list.is_empty() {
            "[]string(nil)".to_owned()
        } else {
            format!("[]string{{{}}}", list.join(", "))
        };
        let uid = uid.first().cloned().unwrap_or_default();
        let text = format!(
            "requested &user.DefaultInfo{{Name:\"\", UID:{uid:?}, Groups:{list}, Extra:map[string][]string(nil)}} without impersonating a user name"
        );
        return Err(refuse::bad(text));
    }
    if !uid.is_empty() || extra {
        let text = "impersonation of uids and extra values is not supported by this server";
        return Err(ApiError::new(403, "Forbidden", text));
    }
    let account = user
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'));
    may_impersonate(api, &own, &user, account, &groups)?;
    let mut identity = match account {
        Some((namespace, name)) if groups.is_empty() => Identity::service_account(namespace, name),
        _ => Identity { user, groups },
    };
    let everybody = "system:authenticated";
    if identity.user != "system:anonymous" && !identity.groups.iter().any(|g| g == everybody) {
        identity.groups.push(everybody.to_owned());
    }
    Ok(identity)
}

fn may_impersonate(
    api: &Api,
    own: &Identity,
    user: &str,
    account: Option<(&str, &str)>,
    groups: &[String],
) -> Result<(), ApiError> {
    let attributes = |resource: &str, namespace: &str, name: &str| Attributes {
        verb: "impersonate".to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        ..Attributes::default()
    };
    let first = match account {
        Some((namespace, name)) => attributes("serviceaccounts", namespace, name),
        None => attributes("users", "", user),
    };
    let groups = groups.iter().map(|group| attributes("groups", "", group));
    for wanted in std::iter::once(first).chain(groups) {
        check(api, own, &wanted)?;
    }
    Ok(())
}

/// Returns what a request to a resource wants to do.
pub(crate) fn wanted(kind: &TypeInfo, target: &Target, call: &Call) -> Attributes {
    let one = !target.name.is_empty();
    let verb = match call.method.as_str() {
        "GET" | "HEAD" if one => "get",
        "GET" | "HEAD" if target.watch || call.query.flag("watch") == Some(true) => "watch",
        "GET" | "HEAD" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if one => "delete",
        "DELETE" => "deletecollection",
        _ => "",
    };
    Attributes {
        verb: verb.to_owned(),
        group: kind.group.clone(),
        resource: kind.plural.clone(),
        subresource: target.subresource.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        path: String::new(),
    }
}

/// Checks whether an identity may do something; 403 when not.
pub(crate) fn check(api: &Api, identity: &Identity, wanted: &Attributes) -> Result<(), ApiError> {
    if allowed(api, identity, wanted) {
        Ok(())
    } else {
        Err(forbidden(identity, wanted))
    }
}

/// Returns whether an identity may do something.
pub(crate) fn allowed(api: &Api, identity: &Identity, wanted: &Attributes) -> bool {
    // The administrator's requests need no look at the roles.
    identity.groups.iter().any(|group| group == MASTERS) || roles(api).allow(identity, wanted)
}

/// Returns the roles and bindings that are there.
pub(crate) fn roles(api: &Api) -> Roles {
    let list = |plural: &str| {
        let entries = api
            .store
            .list(&format!("{GROUP}/{plural}"), &Scope::default())
            .entries;
        entries
            .into_iter()
            .map(|e| (e.place().0.to_owned(), e.value()))
    };
    let bare = |plural: &str| -> Vec<Value> { list(plural).map(|(_, value)| value).collect() };
    Roles {
        roles: list("roles").collect(),
        cluster_roles: bare("clusterroles"),
        bindings: list("rolebindings").collect(),
        cluster_bindings: bare("clusterrolebindings"),
    }
}

fn forbidden(identity: &Identity, wanted: &Attributes) -> ApiError {
    let Attributes {
        verb,
        group,
        resource,
        subresource,
        namespace,
        name,
        ..
    } = wanted;
    let full = if group.is_empty() {
        resource.clone()
    } else {
        format!("{resource}.{group}")
    };
    let what = if name.is_empty() {
        full
    } else {
        format!("{full} {name:?}")
    };
    let part = if subresource.is_empty() {
        resource.clone()
    } else {
        format!("{resource}/{subresource}")
    };
    let place = if namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {namespace:?}")
    };
    let text = format!(
        "{what} is forbidden: User {:?} cannot {verb} resource {part:?} in API group {group:?} {place}",
        identity.user
    );
    let mut error = ApiError::new(403, "Forbidden", text);
    for (key, value) in [("name", name), ("group", group), ("kind", resource)] {
        if !value.is_empty() {
            error.details.insert(key.to_owned(), value.clone().into());
        }
    }
    error
}
