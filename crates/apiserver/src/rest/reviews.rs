//! Kinds that are answered and never stored: who am I, may I, whose token is this, give me a token.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::access;
use super::answer::Answer;
use super::call::Call;
use super::route::Target;
use super::{decode, refuse};
use crate::api::Api;
use crate::clock::timestamp;
use crate::error::{ApiError, FieldError};
use crate::identity::Identity;
use crate::kinds::TypeInfo;
use crate::objects::meta_text;
use crate::rbac::Attributes;
use crate::schema::Schema;
use crate::store::Key;

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";

/// The shortest life of a token.
const TOKEN_SECONDS_MIN: i64 = 600;
/// The life of a token whose client names none.
const TOKEN_SECONDS: i64 = 3_600;
/// The longest life of a token.
const TOKEN_SECONDS_MAX: i64 = 1 << 32;

/// Returns the rows of the kinds that are never stored.
pub(crate) fn rows() -> Vec<TypeInfo> {
    let row = |group: &str, kind: &str, namespaced: bool| TypeInfo {
        group: group.to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        list_kind: String::new(),
        plural: format!("{}s", kind.to_lowercase()),
        singular: kind.to_lowercase(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced,
        has_status: false,
        scale: None,
        tracks_generation: false,
        storage_version: "v1".to_owned(),
        custom: false,
        deprecation_warning: None,
        selectable_fields: Vec::new(),
        columns: Vec::new(),
        schema: Arc::new(Schema::default()),
    };
    vec![
        row(AUTHENTICATION, "SelfSubjectReview", false),
        row(AUTHENTICATION, "TokenReview", false),
        row(AUTHORIZATION, "LocalSubjectAccessReview", true),
        row(AUTHORIZATION, "SelfSubjectAccessReview", false),
        row(AUTHORIZATION, "SelfSubjectRulesReview", false),
        row(AUTHORIZATION, "SubjectAccessReview", false),
    ]
}

/// Returns whether objects of a kind are never stored.
pub(crate) fn is_review(kind: &TypeInfo) -> bool {
    !kind.custom && matches!(kind.group.as_str(), AUTHENTICATION | AUTHORIZATION)
}

/// Answers a POST to a kind that is never stored.
pub(crate) fn post(
    api: &Api,
    kind: &TypeInfo,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let own = kind.kind.starts_with("Self");
    if !own {
        access::check(api, &call.identity, &access::wanted(kind, target, call))?;
    }
    let mut body = body(call, bytes)?;
    body["kind"] = kind.kind.clone().into();
    body["apiVersion"] = kind.api_version().into();
    body["metadata"] = json!({});
    let identity = if own {
        call.identity.clone()
    } else {
        subject(&body["spec"])
    };
    match kind.kind.as_str() {
        "SelfSubjectReview" => {
            body["metadata"] = json!({ "creationTimestamp": api.timestamp() });
            body["status"] = json!({ "userInfo": user_info(&identity) });
        }
        "TokenReview" => body["status"] = token_status(api, &body["spec"]),
        "SelfSubjectRulesReview" => body["status"] = rules_status(api, &identity, &body["spec"]),
        _ => {
            let wanted = attributes(&body["spec"]);
            body["status"] = json!({ "allowed": access::allowed(api, &identity, &wanted) });
        }
    }
    Ok(Answer::json(201, &body))
}

/// Returns the object of a body; 400 where it or its spec is none.
fn body(call: &Call, bytes: &Bytes) -> Result<Value, ApiError> {
    let mut body = decode::value(call, bytes, false)?.value;
    let Some(map) = body.as_object_mut() else {
        return Err(refuse::bad("the body is not an object"));
    };
    let spec = map.entry("spec").or_insert_with(|| json!({}));
    if spec.is_null() {
        *spec = json!({});
    }
    if !spec.is_object() {
        return Err(refuse::bad("spec is not an object"));
    }
    Ok(body)
}

fn user_info(identity: &Identity) -> Value {
    json!({ "username": identity.user, "groups": identity.groups })
}

fn subject(spec: &Value) -> Identity {
    let groups = spec["groups"].as_array().into_iter().flatten();
    Identity {
        user: spec["user"].as_str().unwrap_or_default().to_owned(),
        groups: groups
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

fn attributes(spec: &Value) -> Attributes {
    let resource = &spec["resourceAttributes"];
    let path = &spec["nonResourceAttributes"];
    let text = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
    let path_text = |field: &str| path[field].as_str().unwrap_or_default().to_owned();
    Attributes {
        verb: if path.is_object() {
            path_text("verb")
        } else {
            text("verb")
        },
        group: text("group"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        path: path_text("path"),
    }
}

fn rules_status(api: &Api, identity: &Identity, spec: &Value) -> Value {
    let namespace = spec["namespace"].as_str().unwrap_or_default();
    let roles = access::roles(api);
    let everything = json!({ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] });
    let paths = json!({ "verbs": ["*"], "nonResourceURLs": ["*"] });
    if identity.groups.iter().any(|g| g == crate::rbac::MASTERS) {
        return json!({
            "resourceRules": [everything], "nonResourceRules": [paths], "incomplete": false,
        });
    }
    let rules = roles.rules_for(identity, namespace);
    let (paths, resources): (Vec<&Value>, Vec<&Value>) = rules
        .into_iter()
        .partition(|rule| rule["nonResourceURLs"].is_array());
    json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false })
}

fn token_status(api: &Api, spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    match api.token_identity(token) {
        Some(identity) => json!({ "authenticated": true, "user": user_info(&identity) }),
        None => json!({ "user": {}, "error": "the token is not one of this server" }),
    }
}

/// Answers a POST to `serviceaccounts/token`.
pub(crate) fn token(
    api: &Api,
    kind: &TypeInfo,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let mut body = body(call, bytes)?;
    let asked = body
        .pointer("/spec/expirationSeconds")
        .and_then(Value::as_i64);
    let seconds = asked.unwrap_or(TOKEN_SECONDS);
    let why = if seconds < TOKEN_SECONDS_MIN {
        Some("may not specify a duration less than 10 minutes")
    } else if seconds > TOKEN_SECONDS_MAX {
        Some("may not specify a duration larger than 2^32 seconds")
    } else {
        None
    };
    if let Some(why) = why {
        let error = FieldError {
            field: "spec.expirationSeconds".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {seconds}: {why}"),
        };
        return Err(refuse::invalid_as(
            AUTHENTICATION,
            "TokenRequest",
            "",
            &[error],
        ));
    }
    let key = Key::new("/serviceaccounts".into(), &target.namespace, &target.name);
    let account = api
        .store
        .get(&key)
        .ok_or_else(|| refuse::missing(kind, &target.name))?
        .value();
    if body
        .pointer("/spec/boundObjectRef")
        .is_some_and(|r| !r.is_null())
    {
        return Err(refuse::bad(
            "spec.boundObjectRef is not supported by this server",
        ));
    }
    let uid = meta_text(&account, "uid");
    let expires = api.now() + TimeDelta::seconds(seconds);
    let token = api.sign_token(&target.namespace, &target.name, uid, expires);
    body["kind"] = "TokenRequest".into();
    body["apiVersion"] = format!("{AUTHENTICATION}/v1").into();
    body["metadata"] = json!({
        "name": target.name, "namespace": target.namespace, "uid": uid,
        "creationTimestamp": api.timestamp(),
    });
    body["spec"]["expirationSeconds"] = seconds.into();
    body["spec"]["boundObjectRef"] = Value::Null;
    body["status"] = json!({ "token": token, "expirationTimestamp": timestamp(expires) });
    Ok(Answer::json(201, &body))
}
