//! Tells when somebody changes an applied object by hand: one metadata watch for each kind and
//! namespace, compared with what was last found as wanted.
//!
//! A change of an object's status is no drift, and neither is our own write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{BoxStream, select_all};
use futures::{StreamExt, stream};
use kube::runtime::watcher::{self, Event};

use super::client::Fingerprint;
use super::{Cluster, Error, ObjectRef};

/// How an object left the wanted state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Its spec, data, labels or annotations were changed.
    Changed(ObjectRef),
    /// It was deleted.
    Vanished(ObjectRef),
}

/// Returns a stream of drifts of the objects; it ends never, so drop it when the inventory changes.
/// Fails when a kind is no longer served.
pub async fn follow(
    cluster: Arc<Cluster>,
    objects: Vec<ObjectRef>,
) -> Result<BoxStream<'static, Drift>, Error> {
    let mut groups: BTreeMap<(String, String, String, String), Vec<ObjectRef>> = BTreeMap::new();
    for object in objects {
        let ObjectRef {
            group,
            version,
            kind,
            namespace,
            ..
        } = object.clone();
        groups
            .entry((group, version, kind, namespace))
            .or_default()
            .push(object);
    }
    let mut streams = Vec::new();
    for objects in groups.into_values() {
        let Some(first) = objects.first() else {
            continue;
        };
        let served = cluster.served(first).await?;
        let api = cluster.api::<Metadata>(&served, &first.namespace);
        let mut group = Group::new(cluster.clone(), &objects);
        let events = watcher::watcher(api, watcher::Config::default());
        let drifts = events.flat_map(move |event| stream::iter(group.on(event)));
        streams.push(drifts.boxed());
    }
    Ok(select_all(streams).boxed())
}

/// The followed objects of one kind and namespace.
struct Group {
    cluster: Arc<Cluster>,
    objects: BTreeMap<String, ObjectRef>,
    /// The objects that the listing under way has not shown yet.
    unseen: BTreeSet<String>,
}

type Metadata = kube::core::PartialObjectMeta<kube::api::DynamicObject>;

impl Group {
    fn new(cluster: Arc<Cluster>, objects: &[ObjectRef]) -> Self {
        let objects = objects
            .iter()
            .map(|o| (o.name.clone(), o.clone()))
            .collect();
        Self {
            cluster,
            objects,
            unseen: BTreeSet::new(),
        }
    }

    fn on(&mut self, event: Result<Event<Metadata>, watcher::Error>) -> Vec<Drift> {
        match event {
            Ok(Event::Init) => {
                self.unseen = self.objects.keys().cloned().collect();
                Vec::new()
            }
            Ok(Event::InitApply(found) | Event::Apply(found)) => {
                let name = found.metadata.name.clone().unwrap_or_default();
                self.unseen.remove(&name);
                self.changed(&name, &found).into_iter().collect()
            }
            Ok(Event::InitDone) => {
                let gone = std::mem::take(&mut self.unseen);
                gone.iter().filter_map(|name| self.vanished(name)).collect()
            }
            Ok(Event::Delete(found)) => {
                let name = found.metadata.name.unwrap_or_default();
                self.vanished(&name).into_iter().collect()
            }
            // The watcher backs off and lists anew, which finds what was missed.
            Err(_) => Vec::new(),
        }
    }

    fn changed(&self, name: &str, found: &Metadata) -> Option<Drift> {
        let object = self.objects.get(name)?;
        let known = self.cluster.known(object)?;
        let metadata = serde_json::to_value(&found.metadata).ok()?;
        let print = Fingerprint::of(&serde_json::json!({ "metadata": metadata }));
        (known.print != print).then(|| Drift::Changed(object.clone()))
    }

    /// An object that we deleted ourselves is no longer known, so it does not count.
    fn vanished(&self, name: &str) -> Option<Drift> {
        let object = self.objects.get(name)?;
        self.cluster.known(object)?;
        Some(Drift::Vanished(object.clone()))
    }
}
