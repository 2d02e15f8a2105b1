//! `images`: names, tags and digests of container images.
//!
//! Every entry goes twice over an object, as kustomize does: once over every list called
//! `containers` or `initContainers`, however deep, and once over the configured places.

use regex::Regex;
use yaml::{Content, Node};

use crate::error::{Error, Place};
use crate::field::{Create, FieldSpec, apply_all, kind_name};
use crate::growth::Growth;
use crate::kustomization::Image;
use crate::resource::{Resource, is_null, replace_keeping_style};

/// An entry of `images`, and the configured places.
pub(crate) struct NewImage {
    image: Image,
    pattern: Regex,
    pub specs: Vec<FieldSpec>,
}

impl NewImage {
    /// Returns the entry, ready for use.
    ///
    /// Fails when its name is not a regular expression.
    pub(crate) fn new(image: Image, specs: Vec<FieldSpec>) -> Result<Self, Error> {
        // The name is a part of the expression as it stands: so does kustomize.
        let pattern = format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$",
            image.name
        );
        let pattern = Regex::new(&pattern)
            .map_err(|error| Error::invalid(error.to_string()).within(image.name.clone()))?;
        Ok(Self {
            image,
            pattern,
            specs,
        })
    }

    /// Changes the images of an object that the entry names.
    ///
    /// Fails when an image is not a scalar.
    pub(crate) fn put(&self, resource: &mut Resource, growth: &Growth) -> Result<(), Error> {
        if resource.kind() == "CustomResourceDefinition" {
            return Ok(());
        }
        let set = &mut |node: &mut Node| self.set(node, growth);
        containers(&mut resource.node, set).within(|| resource.id().to_string())?;
        apply_all(&self.specs, resource, Create::Nothing, set)
    }

    fn set(&self, node: &mut Node, growth: &Growth) -> Result<(), String> {
        if is_null(node) {
            return Ok(());
        }
        let Some(text) = node.text() else {
            return Err(format!(
                "expected an image to be a scalar, found {}",
                kind_name(node)
            ));
        };
        if !self.pattern.is_match(text) {
            return Ok(());
        }
        let (mut name, mut tag, mut digest) = split(text);
        let image = &self.image;
        if !image.new_name.is_empty() {
            name = &image.new_name;
        }
        let suffixed;
        match (
            image.new_tag.as_str(),
            image.digest.as_str(),
            image.tag_suffix.as_str(),
        ) {
            ("", "", "") => {}
            ("", "", suffix) => {
                suffixed = format!("{tag}{suffix}");
                (tag, digest) = (&suffixed, "");
            }
            (new_tag, new_digest, _) => (tag, digest) = (new_tag, new_digest),
        }
        let mut new = name.to_owned();
        if !tag.is_empty() {
            new = format!("{new}:{tag}");
        }
        if !digest.is_empty() {
            new = format!("{new}@{digest}");
        }
        growth.add_text(&new)?;
        replace_keeping_style(node, Node::plain(new));
        Ok(())
    }
}

/// Splits an image into name, tag and digest; a port of the registry is part of the name.
fn split(image: &str) -> (&str, &str, &str) {
    let host = image.find('/').unwrap_or(0);
    let colon = image[host..].find(':').map(|at| at + host);
    match (colon, image[host..].find('@').map(|at| at + host)) {
        (None, None) => (image, "", ""),
        (Some(colon), Some(at)) if colon < at => {
            (&image[..colon], &image[colon + 1..at], &image[at + 1..])
        }
        (_, Some(at)) => (&image[..at], "", &image[at + 1..]),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
    }
}

/// Calls `set` with the image of every container, however deep.
fn containers(
    node: &mut Node,
    set: &mut dyn FnMut(&mut Node) -> Result<(), String>,
) -> Result<(), String> {
    match &mut node.content {
        Content::Scalar(..) => Ok(()),
        Content::Sequence(items, _) => items.iter_mut().try_for_each(|item| containers(item, set)),
        Content::Mapping(entries, _) => {
            for (key, value) in entries {
                containers(value, set)?;
                if !matches!(key.text(), Some("containers" | "initContainers")) {
                    continue;
                }
                for container in value.items_mut().into_iter().flatten() {
                    if is_null(container) {
                        continue;
                    }
                    if container.entries().is_none() {
                        return Err(format!(
                            "expected a container to be a mapping, found {}",
                            kind_name(container)
                        ));
                    }
                    if let Some(image) = container.get_mut("image") {
                        set(image)?;
                    }
                }
            }
            Ok(())
        }
    }
}
