//! The cluster as apply sees it: kinds found by discovery, objects as JSON.
//!
//! Remembers where each kind is served and what each applied object looked like, so that an
//! unchanged object costs one read and no write. It decides nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{DynamicResourceScope, GroupVersionKind, Request, Resource};
use kube::discovery::{ApiResource, Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::Value;

use super::{Error, FIELD_MANAGER, ObjectRef};

/// Where a kind is served.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) resource: ApiResource,
    pub(super) namespaced: bool,
}

/// What an object looked like when it was last found as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// A hash of the manifest that was applied.
    pub(super) manifest: u64,
    /// The object's uid and resourceVersion then.
    pub(super) uid: String,
    pub(super) resource_version: String,
    /// What of the object's metadata tells a change of its spec from one of its status.
    pub(super) print: Fingerprint,
}

/// The part of an object's metadata that moves when somebody changes what we manage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Fingerprint {
    uid: String,
    generation: String,
    labels: Value,
    annotations: Value,
}

impl Fingerprint {
    /// Returns the fingerprint of an object or of its metadata alone; kinds that do not count
    /// generations are told by their resourceVersion.
    pub(super) fn of(object: &Value) -> Self {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or("").to_owned();
        let generation = match metadata["generation"].as_i64() {
            Some(generation) => generation.to_string(),
            None => format!("rv{}", text("resourceVersion")),
        };
        let (labels, annotations) = (metadata["labels"].clone(), metadata["annotations"].clone());
        Self {
            uid: text("uid"),
            generation,
            labels,
            annotations,
        }
    }
}

/// One cluster: its client and what is known of it. Share it between passes.
pub struct Cluster {
    client: Client,
    manager: &'static str,
    served: Mutex<HashMap<(String, String, String), Served>>,
    known: Mutex<HashMap<ObjectRef, Known>>,
}

/// How a write is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Everything but the storing.
    DryRun,
    /// For real.
    Real,
}

impl Cluster {
    /// Returns a cluster of which nothing is known yet; what is applied is Flux's, by its manager.
    pub fn new(client: Client) -> Self {
        Self::with_manager(client, FIELD_MANAGER)
    }

    /// Returns a cluster on which another field manager applies.
    pub fn with_manager(client: Client, manager: &'static str) -> Self {
        Self {
            client,
            manager,
            served: Mutex::default(),
            known: Mutex::default(),
        }
    }

    /// Whether the fields of kubectl and older tools are taken over: only where Flux's manager applies.
    pub(super) fn takes_over(&self) -> bool {
        self.manager == FIELD_MANAGER
    }

    /// Returns the live object, or nothing where it or its kind is not there. Fails when the server
    /// cannot be asked.
    pub async fn read(&self, object: &ObjectRef) -> Result<Option<Value>, Error> {
        match self.get(object).await {
            Err(Error::NoMatch { .. }) => Ok(None),
            read => read,
        }
    }

    /// Returns where the object's kind is served. Fails when it is not, or when the server cannot
    /// be asked.
    pub(super) async fn served(&self, object: &ObjectRef) -> Result<Served, Error> {
        let key = (
            object.group.clone(),
            object.version.clone(),
            object.kind.clone(),
        );
        if let Some(served) = lock(&self.served).get(&key) {
            return Ok(served.clone());
        }
        let gvk = GroupVersionKind::gvk(&object.group, &object.version, &object.kind);
        let (resource, capabilities) = match pinned_kind(&self.client, &gvk).await {
            Ok(found) => found,
            Err(kube::Error::Discovery(_)) => return Err(no_match(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(no_match(object)),
            Err(error) => return Err(Error::refused(object, "discovery failed", &error)),
        };
        let namespaced = capabilities.scope == Scope::Namespaced;
        let served = Served {
            resource,
            namespaced,
        };
        lock(&self.served).insert(key, served.clone());
        Ok(served)
    }

    /// Returns a collection, whole objects or their metadata alone, as an `Api` for watches.
    pub(super) fn api<K>(&self, served: &Served, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match (served.namespaced, namespace) {
            (false, _) | (true, "") => Api::all_with(self.client.clone(), &served.resource),
            (true, namespace) => {
                Api::namespaced_with(self.client.clone(), namespace, &served.resource)
            }
        }
    }

    /// Returns the live object, or nothing where there is none.
    pub(super) async fn get(&self, object: &ObjectRef) -> Result<Option<Value>, Error> {
        let served = self.served(object).await?;
        let request = requests(&served, object)
            .get(&object.name, &kube::api::GetParams::default())
            .map_err(|error| invalid(object, &error))?;
        match self.send(request).await {
            Ok(live) => Ok(Some(live)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(Error::refused(object, "read failed", &error)),
        }
    }

    /// Sends the manifest as a server-side apply and returns what the server makes of it.
    pub(super) async fn apply(
        &self,
        object: &ObjectRef,
        manifest: &Value,
        write: Write,
    ) -> Result<Value, ApplyError> {
        let served = self.served(object).await?;
        let mut params = PatchParams::apply(self.manager).force();
        params.dry_run = write == Write::DryRun;
        let request = requests(&served, object)
            .patch(&object.name, &params, &Patch::Apply(manifest))
            .map_err(|error| invalid(object, &error))?;
        self.send(request).await.map_err(ApplyError::Server)
    }

    /// Sends a JSON patch, for the clean-up of managed fields.
    pub(super) async fn json_patch(
        &self,
        object: &ObjectRef,
        patch: Value,
    ) -> Result<Value, Error> {
        let served = self.served(object).await?;
        let patch: json_patch::Patch =
            serde_json::from_value(patch).expect("because clean-up builds well-formed operations");
        let params = PatchParams {
            field_manager: Some(self.manager.into()),
            ..Default::default()
        };
        let request = requests(&served, object)
            .patch(&object.name, &params, &Patch::Json::<()>(patch))
            .map_err(|error| invalid(object, &error))?;
        self.send(request)
            .await
            .map_err(|error| Error::refused(object, "managed fields clean-up failed", &error))
    }

    /// Deletes an object in the background; one that is gone already counts as deleted.
    pub(super) async fn delete(&self, object: &ObjectRef) -> Result<(), Error> {
        let served = self.served(object).await?;
        let request = requests(&served, object)
            .delete(&object.name, &DeleteParams::background())
            .map_err(|error| invalid(object, &error))?;
        self.forget(object);
        match self.send(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(Error::refused(object, "delete failed", &error)),
        }
    }

    async fn send(&self, request: http::Request<Vec<u8>>) -> Result<Value, kube::Error> {
        self.client.request::<Value>(request).await
    }

    pub(super) fn known(&self, object: &ObjectRef) -> Option<Known> {
        lock(&self.known).get(object).cloned()
    }

    /// Remembers an object that is as its manifest wants it.
    pub(super) fn remember(&self, object: &ObjectRef, manifest: u64, live: &Value) {
        let text = |key: &str| live["metadata"][key].as_str().unwrap_or("").to_owned();
        let known = Known {
            manifest,
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            print: Fingerprint::of(live),
        };
        lock(&self.known).insert(object.clone(), known);
    }

    pub(super) fn forget(&self, object: &ObjectRef) {
        lock(&self.known).remove(object);
    }
}

/// Why an apply failed: before it was sent, or by the server's word.
pub(super) enum ApplyError {
    Own(Error),
    Server(kube::Error),
}

impl From<Error> for ApplyError {
    fn from(error: Error) -> Self {
        Self::Own(error)
    }
}

impl ApplyError {
    pub(super) fn into_error(self, object: &ObjectRef, act: &str) -> Error {
        match self {
            Self::Own(error) => error,
            Self::Server(error) => Error::refused(object, act, &error),
        }
    }
}

fn requests(served: &Served, object: &ObjectRef) -> Request {
    let namespace =
        (served.namespaced && !object.namespace.is_empty()).then_some(object.namespace.as_str());
    Request::new(DynamicObject::url_path(&served.resource, namespace))
}

fn no_match(object: &ObjectRef) -> Error {
    Error::NoMatch {
        object: Box::new(object.clone()),
    }
}

fn invalid(object: &ObjectRef, error: &kube::core::request::Error) -> Error {
    Error::Refused {
        object: Box::new(object.clone()),
        act: "request failed".to_owned(),
        message: error.to_string(),
        code: 0,
    }
}

/// Maps are left whole by every holder of the lock, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
