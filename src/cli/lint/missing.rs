//! Images that a policy chooses tags of and that have no marker.
//!
//! In: a text and the policies. Out: each place where one belongs: `image: name:tag` anywhere,
//! `newTag` of a kustomization's image, `tag` beside `repository` in values. Pure.

use yaml::Style;
use yaml::document::{self, Document, SpanNode, SpanScalar};

use super::policies::Policies;
use crate::image::{Identifier, Reference, Repository};

/// A place where a marker belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// The line of the value, from 1.
    pub line: u32,
    /// Where the value begins and ends, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The value.
    pub value: String,
    /// What could be asked for there, one for each policy of the image.
    pub markers: Vec<String>,
    /// Why none can be inserted.
    pub obstacle: Option<&'static str>,
}

/// Returns the places of a text, in its order.
pub(super) fn find(text: &str, policies: &Policies) -> Vec<Missing> {
    let mut found = Vec::new();
    if policies.is_empty() {
        return found;
    }
    for document in document::read(text).iter().flatten() {
        let mut search = Search {
            text,
            document,
            policies,
            found: &mut found,
        };
        if let Some(root) = &document.root {
            search.walk(root);
        }
    }
    found
}

struct Search<'s> {
    text: &'s str,
    document: &'s Document,
    policies: &'s Policies,
    found: &'s mut Vec<Missing>,
}

impl Search<'_> {
    /// Visits the mappings below a node; the reader bounds how deep they nest.
    fn walk(&mut self, node: &SpanNode) {
        match node {
            SpanNode::Scalar(_) | SpanNode::Alias => {}
            SpanNode::Sequence(items) => items.iter().for_each(|item| self.walk(item)),
            SpanNode::Mapping(entries) => {
                self.visit(node);
                entries.iter().for_each(|(_, value)| self.walk(value));
            }
        }
    }

    fn visit(&mut self, mapping: &SpanNode) {
        let scalar = |key: &str| {
            self.document
                .get(mapping, key)
                .and_then(|node| self.document.scalar(node))
        };
        let (image, tag) = (scalar("image"), scalar("tag"));
        let (name, new_name, new_tag) = (scalar("name"), scalar("newName"), scalar("newTag"));
        let repository = scalar("repository");
        if let Some(image) = image
            && let Ok(reference) = Reference::parse(&image.text)
            && Repository::parse_image_field(&image.text).is_err()
            && !matches!(reference.identifier(), Identifier::Digest(_))
        {
            self.consider(image, reference.repository().clone(), "");
        }
        let pairs = [(new_name.or(name), new_tag), (repository, tag)];
        for (name, tag) in pairs {
            if let (Some(name), Some(tag)) = (name, tag)
                && let Ok(repository) = Repository::parse_image_field(&name.text)
            {
                self.consider(tag, repository, ":tag");
            }
        }
    }

    fn consider(&mut self, scalar: &SpanScalar, image: Repository, part: &str) {
        let comments = [scalar.beside, scalar.above].into_iter().flatten();
        let comments = comments.filter_map(|index| self.document.comments.get(index));
        let is_marked =
            |comment: &document::Comment| self.text[comment.span.clone()].contains("$imagepolicy");
        let policies = self.policies.of(&image);
        if policies.is_empty() || scalar.is_missing() || comments.into_iter().any(is_marked) {
            return;
        }
        let markers = policies
            .iter()
            .map(|(namespace, name)| format!("{namespace}:{name}{part}"));
        self.found.push(Missing {
            line: scalar.line,
            start: scalar.span.start,
            end: scalar.span.end,
            value: scalar.text.clone(),
            markers: markers.collect(),
            obstacle: self.obstacle(scalar),
        });
    }

    fn obstacle(&self, scalar: &SpanScalar) -> Option<&'static str> {
        if scalar.beside.is_some() {
            return Some("a comment stands behind the value already; a marker stands alone");
        }
        if matches!(scalar.style, Style::Literal | Style::Folded) {
            return Some("write the value on the line of its key first");
        }
        let rest = self.text[scalar.span.end..]
            .lines()
            .next()
            .unwrap_or_default();
        let is_last = rest.trim().is_empty();
        (!is_last).then_some("more stands behind the value; put it on a line of its own first")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the markers that miss, by line, and what stands in the way.
    fn missing(text: &str) -> Vec<(u32, String, Option<&'static str>)> {
        let mut policies = Policies::new("ns");
        let manifests = "apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImagePolicy\n\
            metadata: {name: app}\nspec: {imageRepositoryRef: {name: app}}\n---\n\
            apiVersion: image.toolkit.fluxcd.io/v1\nkind: ImageRepository\n\
            metadata: {name: app}\nspec: {image: 'localhost:5000/a/b'}\n";
        policies.read(manifests.as_bytes());
        let found = find(text, &policies).into_iter();
        found
            .map(|missing| (missing.line, missing.markers.join(" "), missing.obstacle))
            .collect()
    }

    #[test]
    fn a_marker_misses_at_images_and_tags_of_a_policy() {
        let at = |line, marker: &str| (line, marker.to_owned(), None);
        assert_eq!(
            missing("a: [1]\nimage: localhost:5000/a/b:1\n"),
            [at(2, "ns:app")]
        );
        assert_eq!(
            missing("images:\n- name: x\n  newName: localhost:5000/a/b\n  newTag: '1'\n"),
            [at(4, "ns:app:tag")]
        );
        assert_eq!(
            missing("image:\n  repository: localhost:5000/a/b\n  tag: 1\n"),
            [at(3, "ns:app:tag")]
        );
    }

    #[test]
    fn what_is_marked_pinned_or_of_no_policy_misses_nothing() {
        for text in [
            "image: localhost:5000/a/b:1 # {\"$imagepolicy\": \"ns:other\"}\n",
            "image: localhost:5000/a/b\n",
            "image: localhost:5000/a/c:1\n",
            "image: *x\n",
            "name: localhost:5000/a/b\nnewTag:\n",
            "image: [\n",
        ] {
            assert_eq!(missing(text), [], "{text}");
        }
        let digest = format!("image: localhost:5000/a/b@sha256:{}\n", "0".repeat(64));
        assert_eq!(missing(&digest), []);
    }

    #[test]
    fn an_obstacle_is_told() {
        for (text, obstacle) in [
            ("image: localhost:5000/a/b:1 # pinned\n", "a comment"),
            ("{image: 'localhost:5000/a/b:1', x: y}\n", "more stands"),
            (
                "image: |-\n  localhost:5000/a/b:1\n",
                "on the line of its key",
            ),
        ] {
            let found = missing(text).remove(0).2.unwrap();
            assert!(found.contains(obstacle), "{text}: {found}");
        }
    }
}
