//! The five kinds' objects as last seen, and what wakes them; every controller holds the same.
//!
//! Reads memory only. Who is woken by what is in [`wakes`](super::wakes).

use std::sync::Arc;

use crate::api::{
    GitRepository, ImagePolicy, ImageRepository, ImageUpdateAutomation, Kustomization,
};
use crate::reconcile::{Key, Kind, Store, Wake};

/// The objects of one kind, and what wakes them.
#[derive(Debug)]
pub(super) struct Objects<K> {
    pub store: Arc<Store<K>>,
    pub wake: Wake,
}

impl<K: Kind> Objects<K> {
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.store.get(&Key::new(namespace, name))
    }

    pub fn wake_all(&self, objects: Vec<Arc<K>>) {
        for object in objects {
            self.wake.wake(&Key::of(object.as_ref()));
        }
    }
}

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self {
            store: Arc::default(),
            wake: Wake::default(),
        }
    }
}

/// The objects of all kinds.
#[derive(Debug, Default)]
pub(super) struct World {
    pub image_repositories: Objects<ImageRepository>,
    pub image_policies: Objects<ImagePolicy>,
    pub image_update_automations: Objects<ImageUpdateAutomation>,
    pub git_repositories: Objects<GitRepository>,
    pub kustomizations: Objects<Kustomization>,
}
