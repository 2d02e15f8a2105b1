//! What a build remembers of an object, as annotations for the time of a patch.
//!
//! kustomize keeps it there, so a patch can see it: a path into annotations leads somewhere, and a
//! patch that replaces or removes the annotations makes it forgotten. In: an object. Out: the
//! object with these annotations, or without them and with what is left remembered.

use yaml::Node;

use crate::origin::{ORIGIN_ANNOTATION, TRANSFORMATIONS_ANNOTATION};
use crate::output::INTERNAL_PREFIX;
use crate::resource::{Resource, get_or_insert, is_blank, remove_field, set_field, string_node};

/// The last parts of the names of such annotations.
const INTERNAL_NAMES: [&str; 7] = [
    "previousKinds",
    "previousNames",
    "previousNamespaces",
    "prefixes",
    "suffixes",
    "needsHashSuffix",
    "generatorBehavior",
];

impl Resource {
    /// Writes what is remembered as annotations.
    pub(crate) fn show_bookkeeping(&mut self) {
        let mut shown: Vec<(&str, String)> = Vec::new();
        let list = |parts: Vec<&str>| parts.join(",");
        let history = &self.history;
        let lists = [
            (
                "previousKinds",
                list(history.iter().map(|one| one.kind.as_str()).collect()),
            ),
            (
                "previousNames",
                list(history.iter().map(|one| one.name.as_str()).collect()),
            ),
            (
                "previousNamespaces",
                list(history.iter().map(|one| one.namespace.as_str()).collect()),
            ),
            (
                "prefixes",
                list(self.prefixes.iter().map(String::as_str).collect()),
            ),
            (
                "suffixes",
                list(self.suffixes.iter().map(String::as_str).collect()),
            ),
        ];
        shown.extend(lists.into_iter().filter(|(_, text)| !text.is_empty()));
        if self.needs_hash {
            shown.push(("needsHashSuffix", "enabled".into()));
        }
        if self.is_generated {
            shown.push(("generatorBehavior", self.behavior.as_str().into()));
        }
        let mut shown: Vec<(String, String)> = shown
            .into_iter()
            .map(|(name, text)| (format!("{INTERNAL_PREFIX}{name}"), text))
            .collect();
        if let Some(origin) = self.origin_text() {
            shown.push((ORIGIN_ANNOTATION.into(), origin));
        }
        if let Some(transformations) = self.transformations_text() {
            shown.push((TRANSFORMATIONS_ANNOTATION.into(), transformations));
        }
        if shown.is_empty() {
            return;
        }
        let metadata = get_or_insert(&mut self.node, "metadata", Node::mapping);
        if metadata.get("annotations").is_some_and(is_blank) {
            remove_field(metadata, "annotations");
        }
        let map = get_or_insert(metadata, "annotations", Node::mapping);
        for (key, text) in shown {
            set_field(map, &key, string_node(text));
        }
    }

    /// Removes the annotations and forgets what is not among them any more.
    pub(crate) fn take_bookkeeping(&mut self) {
        self.check_origins();
        let [
            kinds,
            names,
            namespaces,
            prefixes,
            suffixes,
            needs_hash,
            behavior,
        ] = INTERNAL_NAMES.map(|name| self.take(&format!("{INTERNAL_PREFIX}{name}")));
        self.is_generated &= behavior;
        if !(kinds && names && namespaces) {
            self.history.clear();
        }
        if !prefixes {
            self.prefixes.clear();
        }
        if !suffixes {
            self.suffixes.clear();
        }
        self.needs_hash &= needs_hash;
    }

    /// Removes the annotations that tell where the object comes from, and forgets it without
    /// them. The others are removed as well, but what they tell stays remembered.
    pub(crate) fn take_origins(&mut self) {
        for name in INTERNAL_NAMES {
            self.take(&format!("{INTERNAL_PREFIX}{name}"));
        }
        self.check_origins();
    }

    fn check_origins(&mut self) {
        if !self.take(ORIGIN_ANNOTATION) {
            self.origin = None;
        }
        if !self.take(TRANSFORMATIONS_ANNOTATION) {
            self.transformations.clear();
        }
    }

    /// Removes an annotation; returns whether it was there.
    fn take(&mut self, key: &str) -> bool {
        let Some(metadata) = self.node.get_mut("metadata") else {
            return false;
        };
        let Some(map) = metadata.get_mut("annotations") else {
            return false;
        };
        let found = remove_field(map, key).is_some();
        if found && is_blank(map) {
            remove_field(metadata, "annotations");
        }
        found
    }
}
