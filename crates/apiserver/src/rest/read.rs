//! GET of one object, LIST, and the beginning of WATCH.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::accept::{Accept, Offers, Shape, accept};
use super::answer::{self, Answer};
use super::call::Call;
use super::pages::Token;
use super::query::ListOptions;
use super::route::Target;
use super::selector::{Fields, Labels};
use super::{refuse, watch};
use crate::api::Api;
use crate::error::{ApiError, CONTINUE};
use crate::kinds::TypeInfo;
use crate::objects;
use crate::store::{Entry, Key, Scope, Snapshot};
use crate::table;

/// How long a read waits for a revision that has not come yet.
const FUTURE_REVISION_WAIT: Duration = Duration::from_secs(3);

/// What a list or watch selects.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) kind: Arc<TypeInfo>,
    pub(crate) labels: Labels,
    pub(crate) fields: Fields,
}

impl Selection {
    /// Returns the selection of a request; 400 when a selector is wrong.
    pub(crate) fn new(kind: &Arc<TypeInfo>, options: &ListOptions) -> Result<Self, ApiError> {
        Ok(Self {
            kind: kind.clone(),
            labels: Labels::parse(&options.labels)?,
            fields: Fields::parse(&options.fields, kind)?,
        })
    }

    /// Returns whether everything is selected.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Returns whether an object is selected.
    pub(crate) fn holds(&self, entry: &Entry) -> bool {
        if !self.labels.match_labels(&entry.labels) {
            return false;
        }
        if self.fields.is_empty() {
            return true;
        }
        if let Some(name) = self.fields.name()
            && !self.fields.beyond_name()
        {
            return entry.place().1 == name;
        }
        self.fields
            .match_object(&objects::served(&self.kind, entry))
    }

    /// Returns the part of a resource in which the selection lies.
    pub(crate) fn scope(&self, namespace: &str) -> Scope {
        let name = self.fields.name().unwrap_or_default();
        Scope {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// Answers a GET of one object.
pub(crate) async fn get(
    api: &Api,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
) -> Result<Answer, ApiError> {
    let wanted = accept(&call.accept, Offers::Objects)?;
    let revision = call.query.first("resourceVersion").unwrap_or_default();
    if let Some(revision) = parse_revision(revision)? {
        wait_for(api, revision).await?;
    }
    let key = Key::new(objects::resource(kind), &target.namespace, &target.name);
    let entry = api
        .store
        .get(&key)
        .ok_or_else(|| refuse::missing(kind, &target.name))?;
    if wanted.shape == Shape::Plain && call.query.first("pretty").is_none() {
        return Ok(Answer::bytes(
            200,
            answer::JSON,
            objects::text(kind, &entry),
        ));
    }
    let value = objects::served(kind, &entry);
    Ok(Answer::json(
        200,
        &answer::object(api, kind, &value, wanted, &call.query)?,
    ))
}

/// Answers a LIST or begins a WATCH.
pub(crate) async fn list(
    api: &Arc<Api>,
    kind: &Arc<TypeInfo>,
    target: &Target,
    call: &Call,
) -> Result<Answer, ApiError> {
    let mut options = call.query.list_options()?;
    options.watch |= target.watch;
    let wanted = accept(&call.accept, Offers::Objects)?;
    let selection = Selection::new(kind, &options)?;
    if options.watch {
        let view = watch::View {
            shape: wanted.shape,
            include: answer::include(&call.query)?,
        };
        return watch::begin(api, selection, &target.namespace, &options, view);
    }
    let (snapshot, start) = snapshot(api, &selection, &target.namespace, &options).await?;
    let page = page(snapshot, &selection, &options, start);
    render(api, kind, &page, wanted, call)
}

/// One page of a list.
struct Page {
    revision: u64,
    entries: Vec<Arc<Entry>>,
    next: Option<Token>,
    remaining: Option<usize>,
}

async fn snapshot(
    api: &Api,
    selection: &Selection,
    namespace: &str,
    options: &ListOptions,
) -> Result<(Snapshot, String), ApiError> {
    let resource = objects::resource(&selection.kind);
    let scope = selection.scope(namespace);
    if !options.continue_token.is_empty() {
        if !options.revision.is_empty() && options.revision != "0" {
            let text = "specifying resource version is not allowed when using continue";
            return Err(refuse::bad(text));
        }
        let token = Token::decode(&options.continue_token)?;
        let Ok(revision) = u64::try_from(token.rv) else {
            return Ok((api.store.list(&resource, &scope), token.start));
        };
        let found = api.store.list_at(&resource, &scope, revision);
        return found
            .map(|s| (s, token.start.clone()))
            .map_err(|_| continue_expired(&token));
    }
    let revision = parse_revision(&options.revision)?;
    if let Some(revision) = revision {
        wait_for(api, revision).await?;
        let exact = options.revision_match == "Exact"
            || (options.revision_match.is_empty() && options.limit > 0);
        if exact && revision > 0 {
            let found = api.store.list_at(&resource, &scope, revision);
            let old = |e: crate::store::TooOld| refuse::too_old(revision, e.oldest);
            return found.map(|s| (s, String::new())).map_err(old);
        }
    }
    Ok((api.store.list(&resource, &scope), String::new()))
}

fn continue_expired(token: &Token) -> ApiError {
    let text = "The provided continue parameter is too old to display a consistent list result. \
        You can start a new list without the continue parameter, or use the continue token in this \
        response to retrieve the remainder of the results. Continuing with the provided token \
        results in an inconsistent list - objects that were created, modified, or deleted between \
        the time the first chunk was returned and now may show up in the list.";
    let mut error = ApiError::new(410, "Expired", text);
    let next = Token {
        rv: -1,
        ..token.clone()
    };
    error
        .details
        .insert(CONTINUE.to_owned(), json!(next.encode()));
    error
}

/// Returns the revision a read asks for; 400 when it is not a number.
pub(crate) fn parse_revision(text: &str) -> Result<Option<u64>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| refuse::bad(format!("invalid resource version: {}", bad_revision(text))))
}

/// Returns what upstream says about a revision that is not a number.
pub(crate) fn bad_revision(text: &str) -> String {
    format!(
        "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
    )
}

async fn wait_for(api: &Api, revision: u64) -> Result<(), ApiError> {
    if revision <= api.store.revision() {
        return Ok(());
    }
    let reached = tokio::time::timeout(FUTURE_REVISION_WAIT, api.store.reached(revision)).await;
    reached.map_err(|_| refuse::future_revision(revision, api.store.revision()))
}

fn page(snapshot: Snapshot, selection: &Selection, options: &ListOptions, start: String) -> Page {
    let mut entries = snapshot.entries;
    if !start.is_empty() {
        let first = entries.partition_point(|e| *e.path < *start);
        entries.drain(..first);
    }
    entries.retain(|e| selection.holds(e));
    let mut page = Page {
        revision: snapshot.revision,
        entries,
        next: None,
        remaining: None,
    };
    let limit = usize::try_from(options.limit).unwrap_or(0);
    if limit > 0 && page.entries.len() > limit {
        let rest = page.entries.len() - limit;
        page.entries.truncate(limit);
        let last = page
            .entries
            .last()
            .map(|e| e.path.to_string())
            .unwrap_or_default();
        let revision = i64::try_from(page.revision).expect("because revisions count single writes");
        page.next = Some(Token::after(&last, revision));
        page.remaining = selection.is_everything().then_some(rest);
    }
    page
}

fn render(
    api: &Api,
    kind: &Arc<TypeInfo>,
    page: &Page,
    wanted: Accept,
    call: &Call,
) -> Result<Answer, ApiError> {
    let mut meta = Map::new();
    meta.insert(
        "resourceVersion".to_owned(),
        page.revision.to_string().into(),
    );
    match &page.next {
        Some(token) => {
            meta.insert("continue".to_owned(), token.encode().into());
        }
        None if kind.custom && wanted.shape == Shape::Plain => {
            meta.insert("continue".to_owned(), "".into());
        }
        None => {}
    }
    if let Some(remaining) = page.remaining {
        meta.insert("remainingItemCount".to_owned(), remaining.into());
    }
    let meta = Value::Object(meta);
    Ok(match wanted.shape {
        Shape::Table(version) => {
            let items: Vec<Value> = page
                .entries
                .iter()
                .map(|e| objects::served(kind, e))
                .collect();
            let mut table =
                table::render(kind, &items, meta, answer::include(&call.query)?, api.now());
            answer::at_version(&mut table, version);
            Answer::json(200, &table)
        }
        Shape::Partial(version) => {
            let partial = |e: &Arc<Entry>| objects::partial(&e.value(), version);
            let items: Vec<Value> = page.entries.iter().map(partial).collect();
            // Upstream writes a list without items as null here, and as [] everywhere else.
            let items = if items.is_empty() {
                Value::Null
            } else {
                Value::Array(items)
            };
            let list = json!({
                "kind": "PartialObjectMetadataList", "apiVersion": format!("meta.k8s.io/{version}"),
                "metadata": meta, "items": items,
            });
            Answer::json(200, &list)
        }
        Shape::Plain | Shape::Discovery(_) => {
            let items: Vec<Bytes> = page
                .entries
                .iter()
                .map(|e| objects::item_text(kind, e))
                .collect();
            Answer::bytes(200, answer::JSON, list_text(kind, &meta, &items))
        }
    })
}

/// Returns the text of a list by putting the texts of its items side by side.
fn list_text(kind: &TypeInfo, meta: &Value, items: &[Bytes]) -> Vec<u8> {
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{meta},\"items\":[",
        kind.list_kind,
        kind.api_version()
    );
    let size = head.len() + items.iter().map(|i| i.len() + 1).sum::<usize>() + 2;
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(head.as_bytes());
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.extend_from_slice(b"]}");
    out
}

/// Returns the JSON of a list of values, as a deleted collection is answered.
pub(crate) fn list_of(kind: &Arc<TypeInfo>, revision: u64, entries: &[Arc<Entry>]) -> Answer {
    let mut meta = json!({ "resourceVersion": revision.to_string() });
    if kind.custom {
        meta["continue"] = "".into();
    }
    let items: Vec<Bytes> = entries
        .iter()
        .map(|e| objects::item_text(kind, e))
        .collect();
    Answer::bytes(200, answer::JSON, list_text(kind, &meta, &items))
}
