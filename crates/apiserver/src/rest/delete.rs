//! DELETE of one object and of a collection.
//!
//! Preconditions first, then finalizers by propagation policy; what nothing holds is removed at
//! once, everything else is marked and waits.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::accept::{Offers, accept};
use super::answer::{self, Answer};
use super::call::Call;
use super::definitions::{self, is_definition};
use super::query::check_dry_run;
use super::read::{self, Selection};
use super::route::Target;
use super::write::PATCH_ATTEMPTS;
use super::{decode, refuse, strategy};
use crate::api::Api;
use crate::error::{ApiError, FieldError};
use crate::kinds::TypeInfo;
use crate::objects::{self, meta_mut, meta_text};
use crate::store::{Change, Entry, Key, StoreError};

/// The finalizer that has dependents forget their owner.
pub(crate) const ORPHAN: &str = "orphan";
/// The finalizer that has dependents go before their owner.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// What becomes of dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// The options of a delete.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<String>,
}

/// What a delete led to.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object is gone; its last state.
    Gone(Value),
    /// The object waits for something; its present state.
    Marked(Value),
    /// The object is gone, and its last state is what is answered.
    GoneShown(Value),
}

/// Answers a DELETE of one object.
pub(crate) async fn one(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    let wanted = accept(&call.accept, Offers::Objects)?;
    let options = options(call, bytes)?;
    let deleted = delete(api, kind, &target.namespace, &target.name, &options).await?;
    let answer = match deleted {
        Deleted::Gone(value) => Answer::json(200, &success(kind, &target.name, &value)),
        Deleted::Marked(value) | Deleted::GoneShown(value) => Answer::json(
            200,
            &answer::object(api, kind, &value, wanted, &call.query)?,
        ),
    };
    Ok(answer.warn(job_warning(kind, &options).into_iter().collect()))
}

fn job_warning(kind: &TypeInfo, options: &DeleteOptions) -> Option<String> {
    let job = kind.group == "batch" && kind.plural == "jobs";
    (job && options.propagation.is_none()).then(|| {
        "child pods are preserved by default when jobs are deleted; set \
         propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress \
         this warning"
            .to_owned()
    })
}

fn success(kind: &TypeInfo, name: &str, value: &Value) -> Value {
    let mut details = json!({ "name": name, "kind": kind.plural, "uid": meta_text(value, "uid") });
    if !kind.group.is_empty() {
        details["group"] = kind.group.clone().into();
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}

/// Answers a DELETE of a collection: the objects that it deletes, one by one.
pub(crate) async fn collection(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
    bytes: &Bytes,
) -> Result<Answer, ApiError> {
    accept(&call.accept, Offers::Objects)?;
    let options = options(call, bytes)?;
    let list = call.query.list_options()?;
    let selection = Selection::new(kind, &list)?;
    let scope = selection.scope(&target.namespace);
    let mut snapshot = api.store.list(&objects::resource(kind), &scope);
    snapshot.entries.retain(|entry| selection.holds(entry));
    let mut answered = Vec::with_capacity(snapshot.entries.len());
    for entry in snapshot.entries {
        let (namespace, name) = entry.place();
        match delete(api, kind, namespace, name, &options).await {
            Ok(Deleted::Gone(_)) => answered.push(entry),
            Ok(Deleted::Marked(value) | Deleted::GoneShown(value)) => {
                let revision = meta_text(&value, "resourceVersion")
                    .parse()
                    .unwrap_or(entry.revision);
                let shown = Entry::of(&entry.path, revision, api.stored(kind, value));
                answered.push(Arc::new(shown));
            }
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read::list_of(kind, api.store.revision(), &answered))
}

fn options(call: &Call, bytes: &Bytes) -> Result<DeleteOptions, ApiError> {
    let mut options = DeleteOptions::default();
    let mut errors = Vec::new();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        decode::value(call, bytes, false)?.value
    };
    let text = |at: &str| body.pointer(at).and_then(Value::as_str).map(str::to_owned);
    let mut dry: Vec<&str> = call.query.all("dryRun");
    let body_dry = body.get("dryRun").and_then(Value::as_array);
    dry.extend(body_dry.into_iter().flatten().filter_map(Value::as_str));
    options.dry_run = check_dry_run(&dry, &mut errors);
    options.uid = text("/preconditions/uid");
    options.revision = text("/preconditions/resourceVersion");
    options.grace = match body.get("gracePeriodSeconds").and_then(Value::as_i64) {
        Some(seconds) => Some(seconds),
        None => call.query.number("gracePeriodSeconds")?,
    };
    let policy = text("/propagationPolicy")
        .or_else(|| call.query.first("propagationPolicy").map(str::to_owned));
    let orphan = body
        .get("orphanDependents")
        .and_then(Value::as_bool)
        .or(call.query.flag("orphanDependents"));
    if let (Some(policy), Some(_)) = (&policy, orphan) {
        let why = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(FieldError {
            field: "propagationPolicy".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {policy:?}: {why}"),
        });
    }
    options.propagation = match (policy.as_deref(), orphan) {
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (None, None) => None,
        (Some(other), _) => {
            let supported = "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
            errors.push(FieldError {
                field: "propagationPolicy".to_owned(),
                reason: "FieldValueNotSupported",
                message: format!("Unsupported value: {other:?}: {supported}"),
            });
            None
        }
    };
    if errors.is_empty() {
        Ok(options)
    } else {
        Err(refuse::invalid_options("DeleteOptions", &errors))
    }
}

/// Deletes one object, again on what it has become when it changes in the meantime.
pub(crate) async fn delete(
    api: &Api,
    kind: &Arc<TypeInfo>,
    namespace: &str,
    name: &str,
    options: &DeleteOptions,
) -> Result<Deleted, ApiError> {
    let key = Key::new(objects::resource(kind), namespace, name);
    let mut attempt = 1;
    loop {
        let entry = api
            .store
            .get(&key)
            .ok_or_else(|| refuse::missing(kind, name))?;
        let done = delete_once(api, kind, &key, &entry, name, options).await?;
        match done {
            Ok(deleted) => return Ok(deleted),
            Err(StoreError::Changed) if attempt < PATCH_ATTEMPTS => attempt += 1,
            Err(error) => return Err(refuse::store(kind, name, &error)),
        }
    }
}

async fn delete_once(
    api: &Api,
    kind: &Arc<TypeInfo>,
    key: &Key,
    entry: &Entry,
    name: &str,
    options: &DeleteOptions,
) -> Result<Result<Deleted, StoreError>, ApiError> {
    let live = objects::served(kind, entry);
    check_preconditions(kind, name, &live, options)?;
    if strategy::is_namespace(kind) && strategy::PROTECTED_NAMESPACES.contains(&name) {
        return Err(refuse::forbidden(
            kind,
            name,
            "this namespace may not be deleted",
        ));
    }
    let mut new = live.clone();
    let marking = Marking::of(kind, &live, options);
    if is_definition(kind) {
        if meta_text(&live, "deletionTimestamp").is_empty() {
            definitions::mark(api, &mut new);
        }
    } else {
        marking.apply(api, &mut new);
    }
    if strategy::is_finished(kind, &new) {
        if marking.is_plain() {
            // Nothing ever held it: the last state is the one that was there.
            new = live.clone();
        }
        let shown = if marking.is_plain() && !strategy::shows_deleted(kind) {
            Deleted::Gone(live.clone())
        } else {
            Deleted::GoneShown(new.clone())
        };
        if options.dry_run {
            return Ok(Ok(shown));
        }
        let object = api.stored(kind, new);
        let change = Change {
            key: key.clone(),
            expected: Some(entry.revision),
            object,
            remove: true,
        };
        return Ok(finish(api, kind, change, shown).await);
    }
    if options.dry_run || new == live {
        return Ok(Ok(Deleted::Marked(new)));
    }
    let object = api.stored(kind, new);
    let change = Change {
        key: key.clone(),
        expected: Some(entry.revision),
        object,
        remove: false,
    };
    let stored = match api.store.submit(change).await {
        Ok(stored) => stored,
        Err(error) => return Ok(Err(error)),
    };
    Box::pin(strategy::stored(api, kind, name)).await;
    let marked = objects::served(kind, &stored);
    Ok(Ok(Deleted::Marked(marked)))
}

async fn finish(
    api: &Api,
    kind: &TypeInfo,
    change: Change,
    shown: Deleted,
) -> Result<Deleted, StoreError> {
    let gone = api.store.submit(change).await?;
    Box::pin(strategy::stored(api, kind, gone.place().1)).await;
    Ok(match shown {
        Deleted::GoneShown(mut value) => {
            meta_mut(&mut value).insert(
                "resourceVersion".to_owned(),
                gone.revision.to_string().into(),
            );
            Deleted::GoneShown(value)
        }
        other => other,
    })
}

fn check_preconditions(
    kind: &TypeInfo,
    name: &str,
    live: &Value,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let refuse_as = |why: String| {
        // Upstream names the kind here, not the resource.
        let named = TypeInfo {
            plural: kind.kind.clone(),
            ..kind.clone()
        };
        Err(refuse::conflict(&named, name, &why))
    };
    let uid = meta_text(live, "uid");
    if let Some(wanted) = options.uid.as_deref().filter(|w| *w != uid) {
        return refuse_as(format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The \
             object might have been deleted and then recreated"
        ));
    }
    let revision = meta_text(live, "resourceVersion");
    if let Some(wanted) = options.revision.as_deref().filter(|w| *w != revision) {
        return refuse_as(format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion \
             in record ({revision}). The object might have been modified"
        ));
    }
    Ok(())
}

/// How an object is marked for deletion.
struct Marking {
    finalizers: Vec<String>,
    finalizers_change: bool,
    grace: i64,
    pod: bool,
    already: bool,
    namespace: bool,
}

impl Marking {
    fn of(kind: &TypeInfo, live: &Value, options: &DeleteOptions) -> Self {
        let list = live
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        let before: Vec<String> = list
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let mut finalizers = before.clone();
        let job = kind.group == "batch" && kind.plural == "jobs";
        let add = match options.propagation {
            // Jobs are older than garbage collection and keep their Pods unless told otherwise.
            None if job => Some(ORPHAN),
            None => None,
            Some(Propagation::Background) => Some(""),
            Some(Propagation::Foreground) => Some(FOREGROUND),
            Some(Propagation::Orphan) => Some(ORPHAN),
        };
        if let Some(add) = add {
            finalizers.retain(|f| f != ORPHAN && f != FOREGROUND || f == add);
            if !add.is_empty() && !finalizers.iter().any(|f| f == add) {
                finalizers.push(add.to_owned());
            }
        }
        let pod = kind.group.is_empty() && kind.plural == "pods";
        Self {
            finalizers_change: finalizers != before,
            finalizers,
            grace: if pod {
                pod_grace(live, options.grace)
            } else {
                0
            },
            pod,
            already: !meta_text(live, "deletionTimestamp").is_empty(),
            namespace: strategy::is_namespace(kind),
        }
    }

    /// Returns whether the object simply goes.
    fn is_plain(&self) -> bool {
        !self.pod && !self.already && self.finalizers.is_empty() && !self.namespace
    }

    fn apply(&self, api: &Api, new: &mut Value) {
        if self.finalizers_change {
            let meta = meta_mut(new);
            if self.finalizers.is_empty() {
                meta.remove("finalizers");
            } else {
                meta.insert("finalizers".to_owned(), json!(self.finalizers));
            }
        }
        if self.already {
            self.shorten(new);
            return;
        }
        let generation = new
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        let meta = meta_mut(new);
        meta.insert("deletionTimestamp".to_owned(), self.deadline(api).into());
        if !self.namespace {
            meta.insert("deletionGracePeriodSeconds".to_owned(), self.grace.into());
        }
        if generation > 0 {
            meta.insert("generation".to_owned(), json!(generation + 1));
        }
        if self.namespace {
            new["status"]["phase"] = "Terminating".into();
        }
    }

    fn deadline(&self, api: &Api) -> String {
        crate::clock::timestamp(api.now() + chrono::TimeDelta::seconds(self.grace))
    }

    /// A terminating Pod can only be given less time.
    fn shorten(&self, new: &mut Value) {
        let now = new
            .pointer("/metadata/deletionGracePeriodSeconds")
            .and_then(Value::as_i64);
        if self.pod && now.is_some_and(|now| self.grace < now) {
            meta_mut(new).insert("deletionGracePeriodSeconds".to_owned(), self.grace.into());
        }
    }
}

/// Returns how long a Pod may take: nothing while it is on no node, for there is nobody to stop it.
fn pod_grace(live: &Value, asked: Option<i64>) -> i64 {
    let on_node = live
        .pointer("/spec/nodeName")
        .and_then(Value::as_str)
        .is_some_and(|n| !n.is_empty());
    let phase = live
        .pointer("/status/phase")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !on_node || matches!(phase, "Failed" | "Succeeded") {
        return 0;
    }
    let own = live
        .pointer("/spec/terminationGracePeriodSeconds")
        .and_then(Value::as_i64);
    asked.or(own).unwrap_or(30).max(0)
}
