//! Labels that several places of one object share.
//!
//! kustomize puts one and the same node into every place that it makes for a label: when one of
//! them is changed later, all are. Such nodes are in no text, so their column is free to tell
//! their group. In: a tree and what was changed. Out: the same change at the other places.

use yaml::{Content, Node};

/// A group whose value was changed, and the node that it is now.
pub(crate) type Changed = Vec<(u16, Node)>;

/// Returns the group of a node, if it shares its value.
pub(crate) fn group(node: &Node) -> Option<u16> {
    (node.line == 0 && node.column > 0).then_some(node.column)
}

/// Puts a node into a group.
pub(crate) fn join(node: &mut Node, group: u16) {
    node.line = 0;
    node.column = group;
}

/// Gives every node of the changed groups its new value.
pub(crate) fn spread(root: &mut Node, changed: &Changed) {
    if changed.is_empty() {
        return;
    }
    visit(root, &mut |node| {
        let Some(own) = group(node) else { return };
        if let Some((_, new)) = changed.iter().rev().find(|(group, _)| *group == own) {
            node.content.clone_from(&new.content);
            node.tag = new.tag;
        }
    });
}

/// Takes every node out of its group, as copying a tree does.
pub(crate) fn part(root: &mut Node) {
    visit(root, &mut |node| {
        if node.line == 0 {
            node.column = 0;
        }
    });
}

fn visit(node: &mut Node, each: &mut dyn FnMut(&mut Node)) {
    each(node);
    match &mut node.content {
        Content::Scalar(..) => {}
        Content::Sequence(items, _) => items.iter_mut().for_each(|item| visit(item, each)),
        Content::Mapping(entries, _) => {
            for (_, value) in entries {
                visit(value, each);
            }
        }
    }
}
