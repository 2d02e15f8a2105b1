//! The ImagePolicies and ImageRepositories that manifests hold, as far as markers go.
//!
//! In: texts of manifests. Out: the names that markers may ask for, the policies of an image, and who
//! writes them. What is no YAML, or no such object, is passed over.

use std::collections::BTreeMap;

use serde_json::Value;

use super::automations::{Automations, Unwritten};
use crate::api::ImageRef;
use crate::image::Repository;
use crate::update::{PolicyChoice, Setters, SettersError};

/// The tag that a policy stands for here; no real value equals it.
const TAG: &str = "towpath.lint.placeholder";

/// A namespace and a name.
pub(super) type Key = (String, String);

/// What is known of policies.
pub(super) struct Policies {
    namespace: String,
    policies: BTreeMap<Key, Policy>,
    /// The image of each ImageRepository.
    images: BTreeMap<Key, String>,
    automations: Automations,
}

struct Policy {
    repository: Key,
    labels: BTreeMap<String, String>,
    has_digest: bool,
}

impl Policies {
    /// Returns none; objects without a namespace are in `namespace`.
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            policies: BTreeMap::new(),
            images: BTreeMap::new(),
            automations: Automations::default(),
        }
    }

    /// Adds what a manifest holds.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return;
        };
        if !text.contains("image.toolkit.fluxcd.io/") {
            return;
        }
        for object in yaml::to_values(text).unwrap_or_default() {
            match object["items"].as_array() {
                Some(items) => items.iter().for_each(|item| self.add(item)),
                None => self.add(&object),
            }
        }
    }

    fn add(&mut self, object: &Value) {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        if !api_version.starts_with("image.toolkit.fluxcd.io/") {
            return;
        }
        let key = self.key(&object["metadata"], &self.namespace);
        let spec = &object["spec"];
        match object["kind"].as_str() {
            Some("ImagePolicy") => {
                let repository = self.key(&spec["imageRepositoryRef"], &key.0);
                let digest = spec["digestReflectionPolicy"].as_str().unwrap_or("Never");
                let has_digest = digest != "Never";
                let labels = object["metadata"]["labels"].clone();
                let policy = Policy {
                    repository,
                    labels: serde_json::from_value(labels).unwrap_or_default(),
                    has_digest,
                };
                self.policies.insert(key, policy);
            }
            Some("ImageRepository") => {
                let image = spec["image"].as_str().unwrap_or_default();
                self.images.insert(key, image.to_owned());
            }
            Some("ImageUpdateAutomation") => self.automations.add(key, spec),
            _ => {}
        }
    }

    fn key(&self, reference: &Value, namespace: &str) -> Key {
        let text = |key: &str| reference[key].as_str().map(str::to_owned);
        let namespace = text("namespace").unwrap_or_else(|| namespace.to_owned());
        (namespace, text("name").unwrap_or_default())
    }

    /// Returns whether there is no policy at all.
    pub(super) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Returns whether a policy of `namespace:name` reflects digests.
    pub(super) fn has_digest(&self, marker: &str) -> bool {
        let mut parts = marker.split(':').map(str::to_owned);
        let key = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        self.policies
            .get(&key)
            .is_some_and(|policy| policy.has_digest)
    }

    /// Returns why no automation writes what the policy of a marker chose; nothing when one does, when
    /// there is no such policy, or no automation at all.
    pub(super) fn why_unwritten(&self, marker: &str) -> Option<Unwritten> {
        let mut parts = marker.split(':').map(str::to_owned);
        let key = (parts.next()?, parts.next()?);
        let policy = self.policies.get(&key)?;
        self.automations.why_none(&key, &policy.labels)
    }

    /// Returns the policies of an image, in the order of their names.
    pub(super) fn of(&self, image: &Repository) -> Vec<&Key> {
        let is_of = |policy: &Policy| {
            let image_of = self.images.get(&policy.repository);
            let parsed = image_of.map(|image| Repository::parse_image_field(image));
            parsed.is_some_and(|parsed| parsed.as_ref() == Ok(image))
        };
        let policies = self.policies.iter().filter(|(_, policy)| is_of(policy));
        policies.map(|(key, _)| key).collect()
    }

    /// Returns the policy of that name, or of that namespace and name. Fails when there is none.
    pub(super) fn named(&self, name: &str) -> anyhow::Result<&Key> {
        let is_named = |key: &&Key| key.1 == name || format!("{}/{}", key.0, key.1) == name;
        let found = self.policies.keys().find(is_named);
        found.ok_or_else(|| anyhow::anyhow!("the manifests hold no ImagePolicy {name}"))
    }

    /// Returns names of known policies that look like this one.
    pub(super) fn like(&self, marker: &str) -> Option<String> {
        let name = marker.split(':').nth(1).unwrap_or(marker);
        let same = self.policies.keys().find(|key| key.1 == name);
        let near = || {
            let near = |key: &&Key| distance_is_one(&key.1, name);
            self.policies.keys().find(near)
        };
        let found = same.or_else(near)?;
        Some(format!("{}:{}", found.0, found.1))
    }

    /// Returns what markers may ask for; every policy stands for a text that no file has. Fails when
    /// an image is none.
    pub(super) fn setters(&self) -> Result<Setters, SettersError> {
        let latest: Vec<(&Key, ImageRef)> = (self.policies.iter())
            .map(|(key, policy)| {
                let image = self.images.get(&policy.repository);
                let name = image.map_or("image", String::as_str).to_owned();
                let digest = policy
                    .has_digest
                    .then(|| format!("sha256:{}", "0".repeat(64)));
                let tag = TAG.to_owned();
                (key, ImageRef { name, tag, digest })
            })
            .collect();
        Setters::new(latest.iter().map(|(key, latest)| PolicyChoice {
            namespace: &key.0,
            name: &key.1,
            latest,
        }))
    }
}

/// Whether one letter more, less or else makes the two alike.
fn distance_is_one(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let n_same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[n_same..], &b[n_same..]);
    match a.len().abs_diff(b.len()) {
        0 => !a.is_empty() && a[1..] == b[1..],
        1 if a.len() > b.len() => a[1..] == *b,
        1 => b[1..] == *a,
        _ => false,
    }
}
