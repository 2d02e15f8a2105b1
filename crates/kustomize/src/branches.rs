//! Many places in objects as one tree of their parts, so that one walk visits them all.
//!
//! In: places, each with what is wanted there. Out: every node at one of them, with that. Nothing
//! is created; otherwise a part means what it means in [`crate::field`].

use yaml::{Content, Node};

use crate::field::{FieldSpec, Part};

/// The parts that some places share, and those that go on from there.
#[derive(Debug)]
pub(crate) struct Branches<'a, T> {
    /// What is wanted here, in the order of the places.
    ends: Vec<(&'a FieldSpec, T)>,
    below: Vec<(&'a Part, Branches<'a, T>)>,
}

impl<'a, T: Copy> Branches<'a, T> {
    pub(crate) fn new(places: impl IntoIterator<Item = (&'a FieldSpec, T)>) -> Self {
        let mut root = Self::empty();
        for (spec, wanted) in places {
            let mut branch = &mut root;
            for part in spec.parts() {
                let at = branch.below.iter().position(|(known, _)| *known == part);
                let at = at.unwrap_or_else(|| {
                    branch.below.push((part, Self::empty()));
                    branch.below.len() - 1
                });
                branch = &mut branch.below[at].1;
            }
            branch.ends.push((spec, wanted));
        }
        root
    }

    fn empty() -> Self {
        Self {
            ends: Vec::new(),
            below: Vec::new(),
        }
    }

    /// Calls `set` with every node at one of the places.
    ///
    /// Fails when a path leads through a scalar, and when `set` fails; the error comes with the
    /// place.
    pub(crate) fn visit(
        &self,
        node: &mut Node,
        set: &mut dyn FnMut(&mut Node, &'a FieldSpec, T) -> Result<(), String>,
    ) -> Result<(), (&'a FieldSpec, String)> {
        for (spec, wanted) in &self.ends {
            set(node, spec, *wanted).map_err(|problem| (*spec, problem))?;
        }
        if self.below.is_empty() {
            Ok(())
        } else {
            self.visit_below(node, set)
        }
    }

    fn visit_below(
        &self,
        node: &mut Node,
        set: &mut dyn FnMut(&mut Node, &'a FieldSpec, T) -> Result<(), String>,
    ) -> Result<(), (&'a FieldSpec, String)> {
        if crate::resource::is_null(node) {
            return Ok(());
        }
        match &mut node.content {
            Content::Sequence(items, _) => items
                .iter_mut()
                .try_for_each(|item| self.visit_below(item, set)),
            Content::Scalar(..) => {
                Err((self.first(), "expected sequence or mapping node".to_owned()))
            }
            Content::Mapping(..) => {
                for (part, branch) in &self.below {
                    if part.name.is_empty() {
                        let problem = "cannot set or create an empty field name";
                        return Err((branch.first(), problem.to_owned()));
                    }
                    let Some(field) = node.get_mut(&part.name) else {
                        continue;
                    };
                    if crate::resource::is_null(field) && part.is_list {
                        *field = Node::sequence();
                    }
                    branch.visit(field, set)?;
                }
                Ok(())
            }
        }
    }

    fn first(&self) -> &'a FieldSpec {
        let mut branch = self;
        while branch.ends.is_empty() {
            branch = &branch.below[0].1;
        }
        branch.ends[0].0
    }
}
