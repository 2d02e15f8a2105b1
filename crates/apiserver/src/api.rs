//! The running API: the store, the kinds it serves, its clock and its source of randomness.
//!
//! Everything that answers a request or works in the background holds one of these, shared.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Random, name_end, timestamp, uuid};
use crate::identity::Identity;
use crate::kinds::{self, TypeInfo};
use crate::objects;
use crate::rest::reviews;
use crate::served::Served;
use crate::store::{Key, Scope, Store};
use crate::tokens::{Claims, Signer};
use crate::{crd, schema};

/// The resource of CustomResourceDefinitions.
pub(crate) const DEFINITIONS: &str = "apiextensions.k8s.io/customresourcedefinitions";
/// The resource of Namespaces.
pub(crate) const NAMESPACES: &str = "/namespaces";

/// The shared state of a server.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// Cancelled when the server stops.
    pub(crate) stop: CancellationToken,
    /// Two identities that the flow-control headers name.
    pub(crate) flow_ids: [String; 2],
    signer: Signer,
    builtin: Vec<Arc<TypeInfo>>,
    served: RwLock<Arc<Served>>,
    /// What the stored definitions compiled to, by name; kept while uid and generation stay.
    compiled: std::sync::Mutex<HashMap<String, Compiled>>,
    /// Held from the choice of a Service's address until it is stored.
    pub(crate) allocating: tokio::sync::Mutex<()>,
}

impl Api {
    /// Returns a running API over a store.
    pub(crate) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        signer: Signer,
    ) -> Self {
        let rows = kinds::builtin().into_iter().chain(reviews::rows());
        let builtin: Vec<_> = rows.map(Arc::new).collect();
        let flow_ids = [uuid(&*random), uuid(&*random)];
        let api = Self {
            store,
            clock,
            random,
            stop: CancellationToken::new(),
            flow_ids,
            signer,
            builtin,
            served: RwLock::default(),
            compiled: std::sync::Mutex::default(),
            allocating: tokio::sync::Mutex::default(),
        };
        api.reload();
        api
    }

    /// Returns the kinds served now.
    pub(crate) fn served(&self) -> Arc<Served> {
        self.served
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes the table of served kinds anew from the stored definitions.
    ///
    /// A definition that no longer compiles is logged and not served. Watches of what is gone end.
    pub(crate) fn reload(&self) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        let mut rows = self.builtin.clone();
        for entry in self.store.list(DEFINITIONS, &Scope::default()).entries {
            let mut definition = entry.value();
            if !established(&definition) {
                continue;
            }
            definition["apiVersion"] = "apiextensions.k8s.io/v1".into();
            definition["kind"] = "CustomResourceDefinition".into();
            let meta = &definition["metadata"];
            let stamp = (meta["uid"].clone(), meta["generation"].clone());
            let found = compiled
                .remove(&*entry.path)
                .filter(|(old, _)| *old == stamp)
                .map(|(_, rows)| rows);
            let Some(new) = found.or_else(|| compile(&entry.path, &definition)) else {
                continue;
            };
            rows.extend(new.iter().cloned());
            kept.insert(entry.path.to_string(), (stamp, new));
        }
        *compiled = kept;
        let next = Arc::new(Served::new(rows));
        let before = {
            let mut served = self.served.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *served, next.clone())
        };
        for row in before.rows().iter().filter(|row| row.custom) {
            if next.find(&row.group, &row.version, &row.plural).is_none() {
                self.store.end_watches(&objects::resource(row));
            }
        }
    }

    /// Returns an object as it is stored; fields that its stored version does not know are gone.
    pub(crate) fn stored(&self, kind: &TypeInfo, mut value: Value) -> Value {
        if kind.custom && kind.version != kind.storage_version {
            let served = self.served();
            if let Some(row) = served.find(&kind.group, &kind.storage_version, &kind.plural) {
                schema::prune(&row.schema, &mut value);
            }
        }
        objects::stored(kind, value)
    }

    /// Returns the present moment.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns the present moment as objects carry it.
    pub(crate) fn timestamp(&self) -> String {
        timestamp(self.clock.now())
    }

    /// Returns a new UUID.
    pub(crate) fn uuid(&self) -> String {
        uuid(&*self.random)
    }

    /// Returns the random end of a generated name.
    pub(crate) fn name_end(&self) -> String {
        name_end(&*self.random)
    }

    /// Returns a token of a service account.
    pub(crate) fn sign_token(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        end: DateTime<Utc>,
    ) -> String {
        let claims = Claims {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
        };
        self.signer.sign(&claims, self.now(), end)
    }

    /// Returns whose token it is, while the service account is there.
    pub(crate) fn token_identity(&self, token: &str) -> Option<Identity> {
        let claims = self.signer.verify(token, self.now())?;
        let key = Key::new("/serviceaccounts".into(), &claims.namespace, &claims.name);
        let account = self.store.get(&key)?.value();
        let same = objects::meta_text(&account, "uid") == claims.uid;
        same.then(|| Identity::service_account(&claims.namespace, &claims.name))
    }

    /// Returns a Namespace.
    pub(crate) fn namespace(&self, name: &str) -> Option<Value> {
        let key = Key {
            resource: NAMESPACES.into(),
            path: name.to_owned(),
        };
        self.store.get(&key).map(|entry| entry.value())
    }
}

/// A definition's uid and generation, and its rows.
type Compiled = ((Value, Value), Vec<Arc<TypeInfo>>);

fn compile(name: &str, definition: &Value) -> Option<Vec<Arc<TypeInfo>>> {
    match crd::compile(definition) {
        Ok(rows) => Some(rows.into_iter().map(Arc::new).collect()),
        Err(errors) => {
            let first = errors
                .first()
                .map(|e| format!("{}: {}", e.field, e.message));
            tracing::warn!(%name, ?first, "A stored definition does not compile.");
            None
        }
    }
}

fn established(definition: &Value) -> bool {
    let conditions = definition
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    conditions.is_some_and(|list| {
        list.iter()
            .any(|c| c["type"] == "Established" && c["status"] == "True")
    })
}
