//! The HTTP face: from a request to the room that answers it.
//!
//! A request with an identity comes in, a response goes out; panics become 500. What a path means,
//! which representation is wanted and how a verb works each have their own file.

mod accept;
mod access;
mod answer;
mod body;
mod call;
mod decode;
pub(crate) mod definitions;
pub(crate) mod delete;
mod discovery;
mod metadata;
mod pages;
mod protobuf;
mod query;
mod read;
mod refuse;
pub(crate) mod reviews;
mod route;
mod scale;
mod selector;
mod services;
pub(crate) mod strategy;
mod verbs;
mod watch;
pub(crate) mod write;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::api::Api;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::kinds::TypeInfo;
use crate::openapi;
use answer::Answer;
use call::Call;
use route::{Route, Target, route};

/// What upstream answers to paths of no kind.
pub(crate) const NOT_FOUND: &str = "404 page not found\n";
/// The version that this server speaks.
pub(crate) const VERSION: &str = "v1.37.2+embedded";

/// Answers a request; a panic is logged and answered as an internal error.
pub(crate) async fn answer(
    api: Arc<Api>,
    identity: Identity,
    request: Request<Body>,
) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let what = format!("{} {}", request.method(), request.uri().path());
    let work = AssertUnwindSafe(dispatch(&api, identity, request)).catch_unwind();
    let answer = match work.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Answer::refusal(&error),
        Err(_) => {
            let id = api.uuid();
            tracing::error!(%what, %id, "A request ended by a panic.");
            let text =
                format!("Internal error occurred: this is a defect of the server, logged as {id}");
            Answer::refusal(&ApiError::new(500, "InternalError", text))
        }
    };
    let mut response = answer.respond(&api);
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Returns the answer to a request without a known identity.
pub(crate) async fn unauthorized(api: &Api, body: Body) -> Response<Body> {
    // Read as in `dispatch`; what it holds does not matter.
    let _ = body::read(body).await;
    Answer::refusal(&ApiError::new(401, "Unauthorized", "Unauthorized")).respond(api)
}

async fn dispatch(
    api: &Arc<Api>,
    identity: Identity,
    request: Request<Body>,
) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    // A body that is not read ends the connection, and the client's next request with it.
    let bytes = body::read(body).await?;
    let identity = access::acting(api, identity, &parts.headers)?;
    let call = Call::new(&parts, identity);
    let route = route(parts.uri.path());
    if let Route::Resource(target) = &route {
        return resource(api, target, &call, &bytes).await;
    }
    if !matches!(call.method, Method::GET | Method::HEAD) {
        return Err(refuse::method());
    }
    match route {
        Route::Version => Ok(Answer::json(200, &version())),
        Route::Health => Ok(Answer::text(200, "ok")),
        Route::Core => discovery::root(api, true, &call.accept),
        Route::Groups => discovery::root(api, false, &call.accept),
        Route::Group(group) => Ok(discovery::group(api, &group)),
        Route::GroupVersion(group, version) => discovery::group_version(api, &group, &version),
        Route::OpenApiIndex => Ok(Answer::json(200, &openapi::index(api.served().rows()))),
        Route::OpenApiV2 => {
            accept::accept(&call.accept, accept::Offers::Plain)?;
            Ok(Answer::json(200, &openapi_v2(api)))
        }
        Route::OpenApi(group, version) => openapi_document(api, &group, &version),
        Route::Resource(_) | Route::Unknown => Ok(Answer::text(404, NOT_FOUND)),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "37", "emulationMajor": "1", "emulationMinor": "37",
        "gitVersion": VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// Returns the definitions of all groups and versions in the older form, without paths.
fn openapi_v2(api: &Api) -> Value {
    let served = api.served();
    let mut definitions = serde_json::Map::new();
    for group in served.groups() {
        for (version, _) in &group.versions {
            let mut document = openapi::document(&group.name, version, served.rows());
            let schemas = document.pointer_mut("/components/schemas").map(Value::take);
            if let Some(Value::Object(mut schemas)) = schemas {
                schemas.values_mut().for_each(older_references);
                definitions.extend(schemas);
            }
        }
    }
    json!({
        "swagger": "2.0", "info": { "title": "Kubernetes", "version": VERSION }, "paths": {},
        "definitions": definitions,
    })
}

/// Turns references within a v3 document into those of a v2 document.
fn older_references(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/definitions/");
            }
            map.values_mut().for_each(older_references);
        }
        Value::Array(items) => items.iter_mut().for_each(older_references),
        _ => {}
    }
}

fn openapi_document(api: &Api, group: &str, version: &str) -> Result<Answer, ApiError> {
    let served = api.served();
    if !served
        .rows()
        .iter()
        .any(|r| r.group == group && r.version == version)
    {
        return Ok(Answer::text(404, NOT_FOUND));
    }
    Ok(Answer::json(
        200,
        &openapi::document(group, version, served.rows()),
    ))
}

async fn resource(
    api: &Arc<Api>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let served = api.served();
    let Some(kind) = served
        .find(&target.group, &target.version, &target.plural)
        .cloned()
    else {
        return if target.group.is_empty() || served.has_group(&target.group) {
            Err(refuse::unserved())
        } else {
            Ok(Answer::text(404, NOT_FOUND))
        };
    };
    let misplaced = !kind.namespaced && !target.namespace.is_empty()
        || kind.namespaced && target.namespace.is_empty() && !target.name.is_empty();
    if misplaced && kind.custom {
        return Ok(Answer::text(404, NOT_FOUND));
    }
    if misplaced {
        return Err(refuse::unserved());
    }
    if !reviews::is_review(&kind) {
        access::check(api, &call.identity, &access::wanted(&kind, target, call))?;
    }
    if reviews::is_review(&kind) {
        return match (call.method.as_str(), target.name.is_empty()) {
            ("POST", true) => reviews::post(api, &kind, target, call, bytes),
            _ => Err(refuse::method()),
        };
    }
    let warning = kind.deprecation_warning.clone();
    let answer = if target.subresource.is_empty() {
        whole(api, &kind, target, call, bytes).await
    } else {
        part(api, &kind, target, call, bytes).await
    }?;
    let answer = answer.warn(warning.into_iter().collect());
    let streams = call.query.flag("watch") == Some(true) || target.watch;
    let wants_yaml = accept::accept(&call.accept, accept::Offers::Objects)
        .is_ok_and(|wanted| wanted.format == accept::Format::Yaml);
    Ok(if wants_yaml && !streams {
        answer.into_yaml().await
    } else {
        answer
    })
}

/// Answers a request to a collection or an object.
async fn whole(
    api: &Arc<Api>,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let collection = target.name.is_empty();
    // Objects of a namespaced kind are made in one namespace, never in all.
    let everywhere = kind.namespaced && target.namespace.is_empty();
    match (call.method.as_str(), collection) {
        ("GET" | "HEAD", true) => read::list(api, kind, target, call).await,
        ("GET" | "HEAD", false) => read::get(api, kind, target, call).await,
        ("POST", true) if !everywhere => verbs::post(api, kind, target, call, bytes).await,
        ("PUT", false) => verbs::put(api, kind, target, call, bytes).await,
        ("PATCH", false) => verbs::patch(api, kind, target, call, bytes).await,
        ("DELETE", false) => delete::one(api, kind, target, call, bytes).await,
        ("DELETE", true) if !everywhere && !strategy::is_namespace(kind) => {
            delete::collection(api, kind, target, call, bytes).await
        }
        _ => Err(refuse::method()),
    }
}

/// Answers a request to a subresource.
async fn part(
    api: &Arc<Api>,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    match target.subresource.as_str() {
        "status" if kind.has_status => {}
        "finalize" if strategy::is_namespace(kind) => {
            return match call.method.as_str() {
                "PUT" => verbs::put(api, kind, target, call, bytes).await,
                _ => Err(refuse::method()),
            };
        }
        "token" if kind.group.is_empty() && kind.plural == "serviceaccounts" => {
            return match call.method.as_str() {
                "POST" => reviews::token(api, kind, target, call, bytes),
                _ => Err(refuse::method()),
            };
        }
        "scale" if kind.scale.is_some() => {
            return scale::answer(api, kind, target, call, bytes).await;
        }
        _ => return Err(refuse::unserved()),
    }
    match call.method.as_str() {
        "GET" | "HEAD" => read::get(api, kind, target, call).await,
        "PUT" => verbs::put(api, kind, target, call, bytes).await,
        "PATCH" => verbs::patch(api, kind, target, call, bytes).await,
        _ => Err(refuse::method()),
    }
}
