//! Where an object comes from and what changed it, for those who ask by `buildMetadata`.
//!
//! Kept beside the objects while they are built; written as annotations at the end.

use yaml::Node;

use crate::resource::Resource;

pub(crate) const ORIGIN_ANNOTATION: &str = "config.kubernetes.io/origin";
pub(crate) const TRANSFORMATIONS_ANNOTATION: &str = "alpha.config.kubernetes.io/transformations";

/// A file, or the configuration of a generator or transformer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub path: String,
    pub configured_in: String,
    pub configured_by: Option<ConfiguredBy>,
}

/// Which generator or transformer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConfiguredBy {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
}

impl Origin {
    pub(crate) fn file(path: &str) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// A builtin generator or transformer that a field of the kustomization file configures.
    pub(crate) fn builtin(configured_in: &str, kind: &str) -> Self {
        Self {
            configured_in: configured_in.into(),
            configured_by: Some(ConfiguredBy {
                api_version: "builtin".into(),
                kind: kind.into(),
                ..ConfiguredBy::default()
            }),
            ..Self::default()
        }
    }

    /// A generator or transformer that an object configures.
    pub(crate) fn plugin(config: &Resource) -> Self {
        Self {
            path: String::new(),
            configured_in: config
                .origin
                .as_ref()
                .map(|own| own.path.clone())
                .unwrap_or_default(),
            configured_by: Some(ConfiguredBy {
                api_version: config.api_version().into(),
                kind: config.kind().into(),
                name: config.name().into(),
                namespace: config.namespace().into(),
            }),
        }
    }

    fn write(&self, out: &mut String, first: &str, indent: &str) {
        let mut prefix = first;
        let mut line = |key: &str, value: &str| {
            if !value.is_empty() {
                out.push_str(&format!(
                    "{prefix}{key}: {}\n",
                    yaml::to_yaml(&value.into()).trim_end()
                ));
                prefix = indent;
            }
        };
        line("path", &self.path);
        line("configuredIn", &self.configured_in);
        if let Some(by) = &self.configured_by {
            out.push_str(&format!("{prefix}configuredBy:\n"));
            let mut line = |key: &str, value: &str| {
                if !value.is_empty() {
                    let value = yaml::to_yaml(&value.into());
                    out.push_str(&format!("{indent}  {key}: {}\n", value.trim_end()));
                }
            };
            line("apiVersion", &by.api_version);
            line("kind", &by.kind);
            line("name", &by.name);
            line("namespace", &by.namespace);
        }
    }
}

/// Records that a transformer went over an object.
pub(crate) fn record(resource: &mut Resource, transformer: &Origin) {
    if resource.origin.is_none() {
        resource.origin = Some(transformer.clone());
    } else {
        resource.transformations.push(transformer.clone());
    }
}

impl Resource {
    /// Returns the annotation that tells where the object comes from.
    pub(crate) fn origin_text(&self) -> Option<String> {
        let mut text = String::new();
        self.origin.as_ref()?.write(&mut text, "", "");
        Some(text)
    }

    /// Returns the annotation that tells what changed the object.
    pub(crate) fn transformations_text(&self) -> Option<String> {
        let mut text = String::new();
        for one in &self.transformations {
            one.write(&mut text, "- ", "  ");
        }
        Some(text).filter(|text| !text.is_empty())
    }
}

/// Writes the annotations that were asked for.
pub(crate) fn annotate(resource: &mut Resource, origin: bool, transformations: bool) {
    let mut annotations = Vec::new();
    if let (true, Some(text)) = (origin, resource.origin_text()) {
        annotations.push((ORIGIN_ANNOTATION, text));
    }
    if let (true, Some(text)) = (transformations, resource.transformations_text()) {
        annotations.push((TRANSFORMATIONS_ANNOTATION, text));
    }
    for (key, text) in annotations {
        let metadata =
            crate::resource::get_or_insert(&mut resource.node, "metadata", Node::mapping);
        let map = crate::resource::get_or_insert(metadata, "annotations", Node::mapping);
        crate::resource::set_field(map, key, Node::string(text));
    }
}
