//! Which kinds are served now: the built-in rows and those of the definitions that are accepted.
//!
//! One immutable table; a changed definition makes a new one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::kinds::TypeInfo;

/// The served kinds.
#[derive(Debug, Default)]
pub struct Served {
    rows: Vec<Arc<TypeInfo>>,
    places: HashMap<(String, String), Vec<Arc<TypeInfo>>>,
}

/// One group with its versions, the preferred one first.
#[derive(Debug)]
pub struct Group {
    /// The name; empty for core.
    pub name: String,
    /// The versions with their kinds, in the order of their names.
    pub versions: Vec<(String, Vec<Arc<TypeInfo>>)>,
}

impl Served {
    /// Returns a table of rows.
    pub fn new(rows: Vec<Arc<TypeInfo>>) -> Self {
        let mut places: HashMap<(String, String), Vec<Arc<TypeInfo>>> = HashMap::new();
        for row in &rows {
            places
                .entry((row.group.clone(), row.plural.clone()))
                .or_default()
                .push(row.clone());
        }
        Self { rows, places }
    }

    /// Returns all rows.
    pub fn rows(&self) -> &[Arc<TypeInfo>] {
        &self.rows
    }

    /// Returns all versions of a resource.
    pub fn versions(&self, group: &str, plural: &str) -> &[Arc<TypeInfo>] {
        self.places
            .get(&(group.to_owned(), plural.to_owned()))
            .map_or(&[], Vec::as_slice)
    }

    /// Returns a resource at a version.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<TypeInfo>> {
        self.versions(group, plural)
            .iter()
            .find(|row| row.version == version)
    }

    /// Returns the resource of a kind, as `apiVersion` and `kind` name it.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<TypeInfo>> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        self.rows
            .iter()
            .find(|r| r.kind == kind && r.group == group && r.version == version)
    }

    /// Returns a row by the name under which its objects are stored: `group/plural`.
    pub fn stored_as(&self, resource: &str) -> Option<&Arc<TypeInfo>> {
        let (group, plural) = resource.split_once('/')?;
        let versions = self.versions(group, plural);
        versions
            .iter()
            .find(|r| r.version == r.storage_version)
            .or(versions.first())
    }

    /// Returns whether a group is served.
    pub fn has_group(&self, group: &str) -> bool {
        self.rows.iter().any(|row| row.group == group)
    }

    /// Returns the groups: core, the built-in ones by name, then those of definitions by name.
    pub fn groups(&self) -> Vec<Group> {
        let mut names: Vec<(bool, &str)> = self
            .rows
            .iter()
            .map(|row| (row.custom, row.group.as_str()))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .map(|(_, name)| self.group(name))
            .collect()
    }

    fn group(&self, name: &str) -> Group {
        let mut versions: BTreeMap<String, Vec<Arc<TypeInfo>>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.group == name) {
            versions
                .entry(row.version.clone())
                .or_default()
                .push(row.clone());
        }
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_by(|(a, _), (b, _)| compare_versions(b, a));
        for (_, rows) in &mut versions {
            rows.sort_by(|a, b| a.plural.cmp(&b.plural));
        }
        Group {
            name: name.to_owned(),
            versions,
        }
    }
}

/// Compares versions by Kubernetes' priority: v2 above v1 above v1beta2 above v1alpha1 above others.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (parse_version(a), parse_version(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Greater,
        (None, Some(_)) => Ordering::Less,
        (None, None) => b.cmp(a),
    }
}

/// Returns maturity (2 for stable), the major number and the number after alpha or beta.
fn parse_version(text: &str) -> Option<(u8, u32, u32)> {
    let rest = text.strip_prefix('v')?;
    let (major, maturity, minor) = if let Some((major, minor)) = rest.split_once("beta") {
        (major, 1, minor)
    } else if let Some((major, minor)) = rest.split_once("alpha") {
        (major, 0, minor)
    } else {
        (rest, 2, "0")
    };
    Some((maturity, major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_come_before_beta_and_alpha_ones() {
        let mut versions = ["v1alpha1", "foo", "v1", "v2", "v1beta2", "v1beta1", "v11"];
        versions.sort_by(|a, b| compare_versions(b, a));
        assert_eq!(
            versions,
            ["v11", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]
        );
    }
}
