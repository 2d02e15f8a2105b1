//! References by name, brought up to date once every name is final.
//!
//! In: the objects of the whole build and the places where names stand. Out: names (and
//! namespaces) in those places changed to what their objects are called now. Only objects that
//! were renamed or moved are candidates, found by their former names.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use yaml::{Content, Node};

use crate::branches::Branches;
use crate::config::Config;
use crate::error::Error;
use crate::field::FieldSpec;
use crate::id::{BorrowedGvk, Gvk, Id, Scopes};
use crate::resource::{Resource, is_null, replace_keeping_style, set_field};
use crate::value::from_node;

/// Brings every reference up to date.
///
/// Fails when a reference could mean several objects.
pub(crate) fn fix(list: &mut [Resource], config: &Config, scopes: &Scopes) -> Result<(), Error> {
    let candidates = Candidates::new(list, scopes);
    for resource in list.iter() {
        subject_namespaces(resource)?;
    }
    let mut places = Places::new(config);
    for resource in list {
        let branches = places.of(resource.original_gvk());
        let referrer = Referrer::new(resource, scopes)?;
        let set = &mut |node: &mut Node, spec: &FieldSpec, target: &Gvk| {
            let step = Step {
                candidates: &candidates,
                referrer: &referrer,
                target,
                spec,
            };
            step.set(node)
        };
        branches
            .visit(&mut resource.node, set)
            .map_err(|(spec, problem)| {
                let path = &spec.path;
                Error::invalid(format!("considering field '{path}': {problem}")).within(format!(
                    "updating name reference in '{path}' of {}",
                    referrer.id
                ))
            })?;
    }
    Ok(())
}

/// The places where names stand, by the kind of the object that has them.
struct Places<'a> {
    all: Vec<(&'a FieldSpec, &'a Gvk)>,
    /// Those of the kinds that were asked for.
    known: HashMap<String, Vec<(Gvk, Branches<'a, &'a Gvk>)>>,
}

impl<'a> Places<'a> {
    fn new(config: &'a Config) -> Self {
        let all = config.name_reference.iter().flat_map(|reference| {
            let specs = reference.specs.iter();
            specs.map(move |spec| (spec, &reference.target))
        });
        Self {
            all: all.collect(),
            known: HashMap::new(),
        }
    }

    /// Returns the places of a kind.
    fn of(&mut self, gvk: BorrowedGvk<'_>) -> &Branches<'a, &'a Gvk> {
        if !self.known.contains_key(gvk.kind) {
            self.known.insert(gvk.kind.to_owned(), Vec::new());
        }
        let versions = self
            .known
            .get_mut(gvk.kind)
            .expect("because it was put there");
        let at = versions
            .iter()
            .position(|(own, _)| own.group == gvk.group && own.version == gvk.version);
        let at = at.unwrap_or_else(|| {
            let places = self.all.iter().copied();
            let chosen = places.filter(|(spec, _)| gvk.is_selected(&spec.gvk));
            versions.push((gvk.to_owned(), Branches::new(chosen)));
            versions.len() - 1
        });
        &versions[at].1
    }
}

/// An object that was renamed or moved.
struct Candidate {
    id: Id,
    effective_namespace: String,
    original_namespace: String,
    is_cluster: bool,
    was_cluster: bool,
    previous: Vec<(Gvk, String)>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

struct Candidates {
    all: Vec<Candidate>,
    by_previous_name: HashMap<String, Vec<usize>>,
}

impl Candidates {
    fn new(list: &[Resource], scopes: &Scopes) -> Self {
        let mut all = Vec::new();
        let mut by_previous_name: HashMap<String, Vec<usize>> = HashMap::new();
        for resource in list.iter().filter(|resource| !resource.history.is_empty()) {
            let names: HashSet<&str> = resource
                .history
                .iter()
                .map(|previous| previous.name.as_str())
                .collect();
            for name in names {
                by_previous_name
                    .entry(name.to_owned())
                    .or_default()
                    .push(all.len());
            }
            let previous = resource.history.iter().map(|previous| {
                (
                    Gvk::new(resource.api_version(), &previous.kind),
                    previous.name.clone(),
                )
            });
            let original = resource.original_gvk();
            all.push(Candidate {
                id: resource.id(),
                effective_namespace: resource.effective_namespace(scopes).into(),
                original_namespace: resource.original_namespace(scopes).into(),
                is_cluster: resource.is_cluster(scopes),
                was_cluster: scopes.is_cluster(original.group, original.version, original.kind),
                previous: previous.collect(),
                prefixes: resource.prefixes.clone(),
                suffixes: resource.suffixes.clone(),
            });
        }
        Self {
            all,
            by_previous_name,
        }
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Candidate> {
        self.by_previous_name
            .get(name)
            .into_iter()
            .flatten()
            .map(|at| &self.all[*at])
    }
}

/// The object whose references are brought up to date.
struct Referrer {
    id: Id,
    effective_namespace: String,
    is_cluster: bool,
    /// The namespaces of the service accounts that a role binding names.
    subject_namespaces: HashSet<String>,
    role: Option<Gvk>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

impl Referrer {
    fn new(resource: &Resource, scopes: &Scopes) -> Result<Self, Error> {
        let role = resource.node.get("roleRef").map(|role| {
            let text = |field: &str| role.get(field).and_then(Node::text).unwrap_or_default();
            Gvk {
                group: text("apiGroup").into(),
                version: String::new(),
                kind: text("kind").into(),
            }
        });
        Ok(Self {
            id: resource.id(),
            effective_namespace: resource.effective_namespace(scopes).into(),
            is_cluster: resource.is_cluster(scopes),
            subject_namespaces: subject_namespaces(resource)?,
            role,
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        })
    }

    fn sees(&self, candidate: &Candidate) -> bool {
        self.is_cluster
            || candidate.is_cluster
            || candidate.effective_namespace == self.effective_namespace
            || self.subject_namespaces.contains(&candidate.id.namespace)
    }
}

fn subject_namespaces(resource: &Resource) -> Result<HashSet<String>, Error> {
    let mut namespaces = HashSet::new();
    if resource.kind() != "RoleBinding" {
        return Ok(namespaces);
    }
    let subjects = resource
        .node
        .get("subjects")
        .and_then(Node::items)
        .unwrap_or_default();
    for subject in subjects {
        let string = |field: &str| match subject.get(field).cloned().map(from_node) {
            None => Ok(None),
            Some(Ok(Value::String(text))) => Ok(Some(text)),
            Some(_) => Err(Error::invalid(format!(
                "{field} is blank for resource {:?}",
                resource.id().to_string()
            ))),
        };
        if subject.entries().is_none() {
            return Err(Error::invalid(format!(
                "a subject is not a mapping in {}",
                resource.id()
            )));
        }
        // The kind is looked at only where there is a namespace, and the namespace of accounts.
        if subject.get("namespace").is_some()
            && string("kind")?.as_deref() == Some("ServiceAccount")
        {
            namespaces.extend(string("namespace")?);
        }
    }
    Ok(namespaces)
}

/// One place of one object.
struct Step<'a> {
    candidates: &'a Candidates,
    referrer: &'a Referrer,
    target: &'a Gvk,
    spec: &'a FieldSpec,
}

impl Step<'_> {
    fn set(&self, node: &mut Node) -> Result<(), String> {
        if is_null(node) {
            return Ok(());
        }
        match &mut node.content {
            Content::Scalar(..) => self.set_scalar(node),
            Content::Mapping(..) => self.set_mapping(node),
            Content::Sequence(items, _) => {
                items.iter_mut().try_for_each(|item| match &item.content {
                    Content::Scalar(..) => self.set_scalar(item),
                    Content::Mapping(..) => self.set_mapping(item),
                    Content::Sequence(..) => {
                        Err("node is expected to be a scalar or a mapping".into())
                    }
                })
            }
        }
    }

    fn set_scalar(&self, node: &mut Node) -> Result<(), String> {
        let old = node.text().unwrap_or_default();
        let found = self.pick(old, false, None)?;
        if let Some(found) = found.filter(|found| found.id.name != old) {
            replace_keeping_style(node, Node::plain(&found.id.name));
        }
        Ok(())
    }

    fn set_mapping(&self, node: &mut Node) -> Result<(), String> {
        let Some(name) = node.get("name") else {
            return Err("path config error; no 'name' field in node".into());
        };
        let name = name.text().unwrap_or_default();
        let namespace = node
            .get("namespace")
            .map(|node| node.text().unwrap_or_default());
        let Some(found) = self.pick(name, true, namespace)? else {
            return Ok(());
        };
        if found.id.name == name && found.id.namespace.is_empty() {
            return Ok(());
        }
        set_field(node, "name", Node::plain(&found.id.name));
        if !found.id.namespace.is_empty() {
            set_field(node, "namespace", Node::plain(&found.id.namespace));
        }
        Ok(())
    }

    /// Returns the object that a name means.
    fn pick(
        &self,
        old: &str,
        is_mapping: bool,
        namespace: Option<&str>,
    ) -> Result<Option<&Candidate>, String> {
        let is_role = self.spec.path.ends_with("roleRef/name");
        let mut left: Vec<&Candidate> = self
            .candidates
            .named(old)
            .filter(|candidate| self.referrer.sees(candidate))
            .collect();
        if let Some(namespace) = namespace {
            left = self.in_namespace(left, namespace);
        }
        let selected = |candidate: &&Candidate, gvk: &Gvk| {
            candidate
                .previous
                .iter()
                .any(|(previous, _)| previous.is_selected(gvk))
        };
        left.retain(|candidate| selected(candidate, self.target));
        if let (true, Some(role)) = (is_role, &self.referrer.role) {
            left.retain(|candidate| selected(candidate, role));
        }
        left.retain(|candidate| {
            self.referrer.is_cluster
                || candidate.is_cluster
                || candidate.id.gvk.kind == "ServiceAccount"
                || candidate.effective_namespace == self.referrer.effective_namespace
        });
        for empty_matches in [true, false] {
            if left.len() > 1 {
                left.retain(|candidate| self.affixes_agree(candidate, empty_matches));
            }
        }
        let Some(first) = left.first() else {
            return Ok(None);
        };
        let same = |other: &&Candidate| {
            first.id.name == other.id.name
                && (!is_mapping || first.id.namespace == other.id.namespace)
        };
        if left.iter().all(same) {
            return Ok(Some(first));
        }
        let ids: Vec<String> = left
            .iter()
            .map(|candidate| candidate.id.to_string())
            .collect();
        Err(format!(
            "found multiple possible referrals: {}",
            ids.join(", ")
        ))
    }

    /// Keeps those that were in the namespace; if there is none, those that are in it now. Whether
    /// there is one is asked of all objects that the referrer sees, whatever their name.
    fn in_namespace<'b>(&self, left: Vec<&'b Candidate>, namespace: &str) -> Vec<&'b Candidate> {
        let was = |candidate: &Candidate| {
            !candidate.was_cluster && candidate.original_namespace == namespace
        };
        if left.iter().any(|candidate| was(candidate)) {
            return left
                .into_iter()
                .filter(|candidate| was(candidate))
                .collect();
        }
        let is = |candidate: &Candidate| {
            !candidate.is_cluster && candidate.effective_namespace == namespace
        };
        left.into_iter().filter(|candidate| is(candidate)).collect()
    }

    fn affixes_agree(&self, candidate: &Candidate, empty_matches: bool) -> bool {
        let agree = |own: &[String], other: &[String]| {
            let (short, long) = if own.len() < other.len() {
                (own, other)
            } else {
                (other, own)
            };
            match short {
                [] => empty_matches || long.is_empty(),
                short => long.ends_with(short),
            }
        };
        agree(&self.referrer.prefixes, &candidate.prefixes)
            && agree(&self.referrer.suffixes, &candidate.suffixes)
    }
}
