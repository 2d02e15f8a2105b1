//! The set of paths as a tree, with the operations of set algebra.
//!
//! A node holds its members and its children in order, so every operation is one walk along both.
//! Being a child does not make an element a member: owning `.spec.replicas` is not owning `.spec`.
//! Subtrees are shared between sets and copied only when changed.

use std::cmp::Ordering;
use std::sync::Arc;

use super::element::{Path, PathElement};

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: Vec<PathElement>,
    children: Vec<(PathElement, Arc<FieldSet>)>,
}

impl FieldSet {
    /// The set of no path.
    pub const EMPTY: Self = Self {
        members: Vec::new(),
        children: Vec::new(),
    };

    /// Returns the set of the given paths.
    pub fn of(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(&path.0);
        }
        set
    }

    /// Returns a node of these members and children, which may come in any order.
    ///
    /// Of equal children the first stays.
    pub fn node(
        mut members: Vec<PathElement>,
        mut children: Vec<(PathElement, Arc<FieldSet>)>,
    ) -> Self {
        if !members.is_sorted_by(|a, b| a < b) {
            members.sort();
            members.dedup();
        }
        children.retain(|(_, set)| !set.is_empty());
        if !children.is_sorted_by(|a, b| a.0 < b.0) {
            children.sort_by(|a, b| a.0.cmp(&b.0));
            children.dedup_by(|a, b| a.0 == b.0);
        }
        Self { members, children }
    }

    /// Returns the elements that are members at this level, in order.
    pub fn members(&self) -> &[PathElement] {
        &self.members
    }

    /// Returns the elements that have members below them, in order.
    pub fn children(&self) -> &[(PathElement, Arc<FieldSet>)] {
        &self.children
    }

    /// Returns what the set holds below `element`.
    pub fn child(&self, element: &PathElement) -> Option<&FieldSet> {
        let found = self.children.binary_search_by(|(e, _)| e.cmp(element));
        found.ok().map(|i| &*self.children[i].1)
    }

    /// Returns whether `element` is a member at this level.
    pub fn has_member(&self, element: &PathElement) -> bool {
        self.members.binary_search(element).is_ok()
    }

    /// Returns whether the field is a member at this level.
    pub fn has_field(&self, name: &str) -> bool {
        let found = self.members.binary_search_by(|e| compare_to_field(e, name));
        found.is_ok()
    }

    /// Returns what the set holds below a field.
    pub fn below_field(&self, name: &str) -> Option<&FieldSet> {
        let found = self
            .children
            .binary_search_by(|(e, _)| compare_to_field(e, name));
        found.ok().map(|i| &*self.children[i].1)
    }

    /// Returns whether the path is a member.
    pub fn has(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.has_member(last),
            [first, rest @ ..] => self.child(first).is_some_and(|set| set.has(rest)),
        }
    }

    /// Adds a path; the empty path, which is the whole object, is left out.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                if let Err(at) = self.members.binary_search(last) {
                    self.members.insert(at, last.clone());
                }
            }
            [first, rest @ ..] => {
                let at = match self.children.binary_search_by(|(e, _)| e.cmp(first)) {
                    Ok(at) => at,
                    Err(at) => {
                        let empty = Arc::new(FieldSet::default());
                        self.children.insert(at, (first.clone(), empty));
                        at
                    }
                };
                Arc::make_mut(&mut self.children[at].1).insert(rest);
            }
        }
    }

    /// Returns whether the set has no member at any level.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.iter().all(|(_, set)| set.is_empty())
    }

    /// Returns the number of paths.
    pub fn len(&self) -> usize {
        let below: usize = self.children.iter().map(|(_, set)| set.len()).sum();
        self.members.len() + below
    }

    /// Returns all paths: the members of a level, then what is below them.
    pub fn paths(&self) -> Vec<Path> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Vec<PathElement>, out: &mut Vec<Path>) {
        for member in &self.members {
            prefix.push(member.clone());
            out.push(Path(prefix.clone()));
            prefix.pop();
        }
        for (element, set) in &self.children {
            prefix.push(element.clone());
            set.collect(prefix, out);
            prefix.pop();
        }
    }

    /// Returns the paths in either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut members = Vec::with_capacity(self.members.len().max(other.members.len()));
        zip(
            &self.members,
            &other.members,
            |e| e,
            |a, b| {
                members.extend(a.or(b).cloned());
            },
        );
        let mut children = Vec::with_capacity(self.children.len().max(other.children.len()));
        zip(
            &self.children,
            &other.children,
            |(e, _)| e,
            |a, b| {
                children.push(match (a, b) {
                    (Some((e, a)), Some((_, b))) if !Arc::ptr_eq(a, b) => {
                        (e.clone(), Arc::new(a.union(b)))
                    }
                    (a, b) => a.or(b).expect("because one side has an element").clone(),
                });
            },
        );
        Self { members, children }
    }

    /// Returns the paths in both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut members = Vec::new();
        zip(
            &self.members,
            &other.members,
            |e| e,
            |a, b| {
                members.extend(a.filter(|_| b.is_some()).cloned());
            },
        );
        let mut children = Vec::new();
        zip(
            &self.children,
            &other.children,
            |(e, _)| e,
            |a, b| {
                if let (Some((e, a)), Some((_, b))) = (a, b) {
                    let both = a.intersection(b);
                    if !both.is_empty() {
                        children.push((e.clone(), Arc::new(both)));
                    }
                }
            },
        );
        Self { members, children }
    }

    /// Returns the paths of this set that are not in `other`.
    ///
    /// A member of `other` takes away that path alone, not what is below it.
    pub fn difference(&self, other: &Self) -> Self {
        self.without(other, false)
    }

    /// Returns the paths of this set that neither are in `other` nor lie below a member of it.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.without(other, true)
    }

    fn without(&self, other: &Self, below: bool) -> Self {
        let mut members = Vec::with_capacity(self.members.len());
        zip(
            &self.members,
            &other.members,
            |e| e,
            |a, b| {
                members.extend(a.filter(|_| b.is_none()).cloned());
            },
        );
        let mut children = Vec::with_capacity(self.children.len());
        zip(
            &self.children,
            &other.children,
            |(e, _)| e,
            |a, b| {
                let Some((element, set)) = a else { return };
                if below && other.has_member(element) {
                    return;
                }
                let Some((_, taken)) = b else {
                    children.push((element.clone(), Arc::clone(set)));
                    return;
                };
                let left = set.without(taken, below);
                if !left.is_empty() {
                    children.push((element.clone(), Arc::new(left)));
                }
            },
        );
        Self { members, children }
    }

    /// Returns whether every path of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        let mut all = true;
        zip(
            &self.members,
            &other.members,
            |e| e,
            |a, b| {
                all &= a.is_none() || b.is_some();
            },
        );
        all && self.children.iter().all(|(element, set)| {
            set.is_empty() || other.child(element).is_some_and(|o| set.is_subset(o))
        })
    }
}

/// Compares an element with a field's name; fields come before all else.
fn compare_to_field(element: &PathElement, name: &str) -> Ordering {
    match element {
        PathElement::Field(field) => (**field).cmp(name),
        _ => Ordering::Greater,
    }
}

/// Walks two sorted lists side by side and calls `each` once for every element of either.
fn zip<'a, T>(
    left: &'a [T],
    right: &'a [T],
    element: impl Fn(&T) -> &PathElement,
    mut each: impl FnMut(Option<&'a T>, Option<&'a T>),
) {
    let (mut i, mut j) = (0, 0);
    while i < left.len() && j < right.len() {
        match element(&left[i]).cmp(element(&right[j])) {
            Ordering::Less => {
                each(Some(&left[i]), None);
                i += 1;
            }
            Ordering::Greater => {
                each(None, Some(&right[j]));
                j += 1;
            }
            Ordering::Equal => {
                each(Some(&left[i]), Some(&right[j]));
                i += 1;
                j += 1;
            }
        }
    }
    left[i..].iter().for_each(|item| each(Some(item), None));
    right[j..].iter().for_each(|item| each(None, Some(item)));
}
