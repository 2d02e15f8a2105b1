//! `metadata.managedFields`: who owns which fields, and since when.
//!
//! Entries are kept by identity (manager, operation, API version of updates, subresource) and are
//! written in the order of Kubernetes: appliers first, then by time, then by name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::fields::{FieldSet, Path, PathElement};

use super::owned::{METADATA_NEVER_OWNED, ROOT_NEVER_OWNED};

/// Update entries beyond this are merged, the oldest first.
pub(super) const UPDATE_MANAGERS_MAX: usize = 10;
const ANCIENT_CHANGES: &str = "ancient-changes";

/// What is never owned by anybody.
static NEVER_OWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    let metadata = PathElement::field("metadata");
    let below =
        METADATA_NEVER_OWNED.map(|name| Path(vec![metadata.clone(), PathElement::field(name)]));
    let top = ROOT_NEVER_OWNED.map(|name| Path(vec![PathElement::field(name)]));
    FieldSet::of(below.into_iter().chain(top))
});

/// How an owner came by its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// What tells one entry from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub manager: String,
    pub operation: Operation,
    /// Empty for appliers, who keep their entry from version to version.
    pub api_version: String,
    pub subresource: String,
}

/// What one owner owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owned {
    pub set: FieldSet,
    /// The version whose field names the set uses.
    pub api_version: String,
    pub time: Option<String>,
}

/// All owners of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Managed(pub BTreeMap<Identity, Owned>);

impl Identity {
    /// Returns the identity of a request.
    pub fn new(manager: &str, operation: Operation, api_version: &str, subresource: &str) -> Self {
        let manager = if manager.is_empty() {
            "unknown"
        } else {
            manager
        };
        let api_version = match operation {
            Operation::Apply => "",
            Operation::Update => api_version,
        };
        Self {
            manager: manager.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
        }
    }

    /// Returns the text by which Kubernetes orders identities.
    pub fn sort_key(&self) -> String {
        let mut key = format!(
            "{{\"manager\":{},\"operation\":\"{}\"",
            json!(self.manager),
            self.operation.word()
        );
        if !self.api_version.is_empty() {
            key.push_str(&format!(",\"apiVersion\":{}", json!(self.api_version)));
        }
        if !self.subresource.is_empty() {
            key.push_str(&format!(",\"subresource\":{}", json!(self.subresource)));
        }
        key.push('}');
        key
    }
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

impl Managed {
    /// Returns the owners that a `managedFields` value names; fails where an entry is not one.
    pub fn decode(entries: Option<&Value>) -> Result<Self, String> {
        let entries = match entries {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::Array(entries)) => entries,
            Some(_) => return Err("managedFields is not a list".to_owned()),
        };
        let mut managed = BTreeMap::new();
        for (i, entry) in entries.iter().enumerate() {
            let (identity, owned) = decode_entry(entry, i)?;
            managed.insert(identity, owned);
        }
        Ok(Self(managed))
    }

    /// Returns the `managedFields` value, or nothing where nobody owns anything.
    pub fn encode(&self) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        let mut entries: Vec<(&Identity, &Owned)> = self.0.iter().collect();
        entries.sort_by(|(a, owned_a), (b, owned_b)| {
            let key = |owned: &Owned| seconds(owned.time.as_deref());
            (a.operation.cmp(&b.operation))
                .then_with(|| key(owned_a).cmp(&key(owned_b)))
                .then_with(|| a.manager.cmp(&b.manager))
                .then_with(|| owned_a.api_version.cmp(&owned_b.api_version))
                .then_with(|| a.subresource.cmp(&b.subresource))
        });
        let entries = entries
            .into_iter()
            .map(|(id, owned)| encode_entry(id, owned));
        Some(Value::Array(entries.collect()))
    }

    /// Takes out of one owner's set what is never owned, and the owner if nothing is left.
    pub fn strip(&mut self, identity: &Identity) {
        if let Some(owned) = self.0.get_mut(identity) {
            owned.set = owned.set.difference(&NEVER_OWNED);
            if owned.set.is_empty() {
                self.0.remove(identity);
            }
        }
    }

    /// Merges the oldest update entries until there are no more than the limit.
    pub fn cap_updates(&mut self) {
        let mut updates: Vec<Identity> = self
            .0
            .keys()
            .filter(|id| id.operation == Operation::Update)
            .cloned()
            .collect();
        if updates.len() <= UPDATE_MANAGERS_MAX {
            return;
        }
        updates.sort_by_cached_key(|id| {
            let time = self.0.get(id).and_then(|owned| owned.time.as_deref());
            (seconds(time), id.sort_key())
        });
        let mut left = updates.len();
        let mut first_of: BTreeMap<String, Identity> = BTreeMap::new();
        for identity in updates {
            if left <= UPDATE_MANAGERS_MAX {
                break;
            }
            let Some(owned) = self.0.get(&identity).cloned() else {
                continue;
            };
            let version = owned.api_version.clone();
            let Some(first) = first_of.get(&version) else {
                first_of.insert(version, identity);
                continue;
            };
            let bucket = Identity::new(ANCIENT_CHANGES, Operation::Update, &version, "");
            if !self.0.contains_key(&bucket)
                && let Some(oldest) = self.0.remove(first)
            {
                self.0.insert(bucket.clone(), oldest);
            }
            if identity != bucket {
                self.0.remove(&identity);
            }
            if let Some(merged) = self.0.get_mut(&bucket) {
                merged.set = merged.set.union(&owned.set);
                merged.time = owned.time;
            }
            left -= 1;
        }
    }
}

/// Returns whether a `managedFields` value of a request asks to forget all owners.
pub(super) fn is_reset(entries: Option<&Value>) -> bool {
    match entries {
        Some(Value::Array(entries)) => match entries.as_slice() {
            [] => true,
            [Value::Object(entry)] => entry.is_empty(),
            _ => false,
        },
        _ => false,
    }
}

/// Returns seconds since 1970; no time counts as the beginning.
fn seconds(time: Option<&str>) -> i64 {
    let time = time.and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    time.map_or(0, |time| time.timestamp())
}

fn decode_entry(entry: &Value, i: usize) -> Result<(Identity, Owned), String> {
    let text = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(format!(
            "{name} of managed fields entry {i} is not a string"
        )),
    };
    let operation = match text("operation")? {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let api_version = text("apiVersion")?;
    if api_version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType")? {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {i}")),
        other => {
            return Err(format!(
                "invalid fieldsType {other:?} in managed fields entry {i}"
            ));
        }
    }
    let set = match entry.get("fieldsV1") {
        Some(fields) => FieldSet::from_json(fields).map_err(|e| e.to_string())?,
        None => FieldSet::default(),
    };
    let identity = Identity {
        manager: text("manager")?.to_owned(),
        operation,
        api_version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => api_version.to_owned(),
        },
        subresource: text("subresource")?.to_owned(),
    };
    let time = Some(text("time")?).filter(|time| !time.is_empty());
    let owned = Owned {
        set,
        api_version: api_version.to_owned(),
        time: time.map(str::to_owned),
    };
    Ok((identity, owned))
}

fn encode_entry(identity: &Identity, owned: &Owned) -> Value {
    let mut entry = Map::new();
    let mut put = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    if !identity.manager.is_empty() {
        put("manager", json!(identity.manager));
    }
    put("operation", json!(identity.operation.word()));
    put("apiVersion", json!(owned.api_version));
    if let Some(time) = &owned.time {
        put("time", json!(time));
    }
    put("fieldsType", json!("FieldsV1"));
    put("fieldsV1", owned.set.to_json());
    if !identity.subresource.is_empty() {
        put("subresource", json!(identity.subresource));
    }
    Value::Object(entry)
}
