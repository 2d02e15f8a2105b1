//! How much a build may add to what it has read.
//!
//! A few bytes of input can ask for any amount of output: a long label on many objects, a value
//! copied into itself again and again. Every transformer asks here before it adds bytes or depth.

use std::cell::Cell;

use serde_json::Value;
use yaml::{Content, Node};

/// How many bytes the transformers of one build may add.
pub(crate) const GROWTH_MAX: u64 = 256 << 20;
/// How deep a value may come to stand in an object.
pub(crate) const DEPTH_MAX: usize = yaml::node::DEPTH_MAX;
/// What a node counts beside its text.
const NODE_BYTES: u64 = 64;

/// What the transformers of one build have added so far.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    bytes: Cell<u64>,
}

impl Growth {
    /// Adds bytes.
    ///
    /// Fails when the build has added too much.
    pub(crate) fn add(&self, bytes: u64) -> Result<(), String> {
        let sum = self.bytes.get().saturating_add(bytes);
        self.bytes.set(sum);
        if sum > GROWTH_MAX {
            return Err(format!(
                "the build adds more than {GROWTH_MAX} bytes to its input"
            ));
        }
        Ok(())
    }

    /// Adds a text.
    ///
    /// Fails as [`Growth::add`] does.
    pub(crate) fn add_text(&self, text: &str) -> Result<(), String> {
        self.add(text.len() as u64)
    }

    /// Adds a copy of a node that comes to stand `depth` deep.
    ///
    /// Fails as [`Growth::add`] does, and when it stands too deep.
    pub(crate) fn add_node(&self, node: &Node, depth: usize) -> Result<(), String> {
        let (bytes, own) = weigh(node);
        check_depth(depth + own)?;
        self.add(bytes)
    }

    /// Adds a copy of a value that comes to stand `depth` deep.
    ///
    /// Fails as [`Growth::add`] does, and when it stands too deep.
    pub(crate) fn add_value(&self, value: &Value, depth: usize) -> Result<(), String> {
        let (bytes, own) = weigh_value(value);
        check_depth(depth + own)?;
        self.add(bytes)
    }
}

fn check_depth(depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        Err("a value would stand too deep".into())
    } else {
        Ok(())
    }
}

/// Returns the bytes and the depth of a tree.
pub(crate) fn weigh(node: &Node) -> (u64, usize) {
    let sum = |children: &mut dyn Iterator<Item = &Node>| {
        children
            .map(weigh)
            .fold((NODE_BYTES, 0), |(bytes, depth), (more, deep)| {
                (bytes + more, depth.max(deep))
            })
    };
    match &node.content {
        Content::Scalar(text, _) => (NODE_BYTES + text.len() as u64, 1),
        Content::Sequence(items, _) => {
            let (bytes, depth) = sum(&mut items.iter());
            (bytes, depth + 1)
        }
        Content::Mapping(entries, _) => {
            let (bytes, depth) = sum(&mut entries.iter().flat_map(|(key, value)| [key, value]));
            (bytes, depth + 1)
        }
    }
}

fn weigh_value(value: &Value) -> (u64, usize) {
    match value {
        Value::String(text) => (NODE_BYTES + text.len() as u64, 1),
        Value::Array(items) => items.iter().map(weigh_value).fold((NODE_BYTES, 1), join),
        Value::Object(object) => {
            let children = object.iter().map(|(key, value)| {
                let (bytes, depth) = weigh_value(value);
                (bytes + key.len() as u64, depth)
            });
            children.fold((NODE_BYTES, 1), join)
        }
        _ => (NODE_BYTES, 1),
    }
}

fn join(parent: (u64, usize), child: (u64, usize)) -> (u64, usize) {
    (parent.0 + child.0, parent.1.max(child.1 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::json6902::JsonPatch;
    use crate::resource::Resource;

    /// Returns a growth that has no room left.
    fn full() -> Growth {
        let growth = Growth::default();
        growth.add(GROWTH_MAX).expect("the limit itself is allowed");
        growth
    }

    #[test]
    fn a_build_adds_up_to_the_limit_and_no_more() {
        assert!(full().add_text("").is_ok());
        assert!(full().add_text("x").is_err());
        assert!(full().add_node(&Node::plain("x"), 0).is_err());
        assert!(
            Growth::default()
                .add_node(&Node::plain("x"), DEPTH_MAX - 1)
                .is_ok()
        );
        assert!(
            Growth::default()
                .add_node(&Node::plain("x"), DEPTH_MAX)
                .is_err()
        );
    }

    #[test]
    fn operations_of_json_patches_count() {
        for operation in [
            "{op: add, path: /b, value: 1}",
            "{op: replace, path: /a, value: 1}",
            "{op: copy, from: /a, path: /b}",
            "{op: move, from: /a, path: /b}",
        ] {
            let patch = JsonPatch::read(&format!("- {operation}")).expect(operation);
            let document = serde_json::json!({"a": "x"});
            assert!(
                patch.apply(document.clone(), &Growth::default()).is_ok(),
                "{operation}"
            );
            assert!(patch.apply(document, &full()).is_err(), "{operation}");
        }
    }

    #[test]
    fn a_json_patch_does_not_nest_without_end() {
        let deep = "{a: ".repeat(200) + "1" + &"}".repeat(200);
        let operations = [1, 190, 380].map(|depth| {
            format!(
                "- {{op: add, path: {}, value: {deep}}}\n",
                "/a".repeat(depth)
            )
        });
        let patch = operations.concat();
        let patch = JsonPatch::read(&patch).expect("a patch");
        let error = patch.apply(serde_json::json!({}), &Growth::default());
        assert!(error.is_err_and(|error| error.contains("too deep")));
    }

    #[test]
    fn labels_count_on_every_object() {
        let object = Resource::new(Node::mapping());
        let strings = std::iter::once(("a".to_owned(), "b".to_owned())).collect();
        let kinds = crate::id::Gvk::default();
        let spec = crate::field::FieldSpec::new(kinds, "metadata/labels", true);
        let labelling = crate::transform::labels::Labelling::new(&strings, vec![spec]);
        let put = |growth: &Growth| labelling.put(&mut object.clone(), growth);
        assert!(put(&Growth::default()).is_ok());
        assert!(put(&full()).is_err());
    }
}
