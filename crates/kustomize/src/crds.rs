//! What the files of `crds` say about places in custom resources.
//!
//! In: definitions of types, as `kustomize` reads them. Out: places for annotations, labels,
//! names and references. They change neither merging nor scopes.

use serde_json::Value;

use crate::config::{Config, NameReference};
use crate::error::{Error, Place};
use crate::field::FieldSpec;
use crate::id::Gvk;

/// How deep types may refer to types.
const DEPTH_MAX: usize = 32;

/// Returns the places that a file of definitions names.
///
/// Fails when the text is not YAML, or types refer to each other without end.
pub(crate) fn read(text: &str) -> Result<Config, Error> {
    let values = yaml::to_values(text).map_err(|error| Error::invalid(error.to_string()))?;
    let mut config = Config::default();
    let Some(Value::Object(types)) = values.first() else {
        return Ok(config);
    };
    for (name, definition) in types {
        let Some(properties) = properties(definition) else {
            continue;
        };
        if !["apiVersion", "kind", "metadata"]
            .iter()
            .all(|field| properties.contains_key(*field))
        {
            continue;
        }
        let kind = name.rsplit('.').next().unwrap_or(name);
        let gvk = Gvk {
            kind: kind.into(),
            ..Gvk::default()
        };
        let mut walk = Walk {
            types,
            gvk,
            config: Config::default(),
        };
        walk.properties(name, &mut Vec::new())
            .within(|| name.clone())?;
        config.merge(&walk.config)?;
    }
    Ok(config)
}

fn properties(definition: &Value) -> Option<&serde_json::Map<String, Value>> {
    let schema = definition
        .get("Schema")
        .or_else(|| definition.get("schema"))?;
    schema.get("properties")?.as_object()
}

struct Walk<'a> {
    types: &'a serde_json::Map<String, Value>,
    gvk: Gvk,
    config: Config,
}

impl<'a> Walk<'a> {
    fn properties(&mut self, name: &str, path: &mut Vec<&'a str>) -> Result<(), String> {
        if path.len() > DEPTH_MAX {
            return Err("the types refer to each other too deeply".into());
        }
        let types = self.types;
        let Some(properties) = types.get(name).and_then(properties) else {
            return Ok(());
        };
        for (name, property) in properties {
            path.push(name);
            self.property(property, path)?;
            if let Some(reference) = property.get("$ref").and_then(Value::as_str) {
                self.properties(reference, path)?;
            }
            path.pop();
        }
        Ok(())
    }

    fn property(&mut self, property: &Value, path: &[&str]) -> Result<(), String> {
        let text = |field: &str| property.get(field).and_then(Value::as_str);
        let spec = |path: &str| FieldSpec::new(self.gvk.clone(), path, false);
        let own = path.join("/");
        if text("x-kubernetes-annotation").is_some() {
            self.config.common_annotations.push(spec(&own));
        }
        if text("x-kubernetes-label-selector").is_some() {
            self.config.common_labels.push(spec(&own));
        }
        if text("x-kubernetes-identity").is_some() {
            self.config.name_prefix.push(spec(&own));
        }
        let version = text("x-kubernetes-object-ref-api-version");
        if let (Some(version), Some(kind)) = (version, text("x-kubernetes-object-ref-kind")) {
            let key = text("x-kubernetes-object-ref-name-key").unwrap_or("name");
            let target = Gvk {
                group: String::new(),
                version: version.into(),
                kind: kind.into(),
            };
            let specs = vec![spec(&format!("{own}/{key}"))];
            let reference = Config {
                name_reference: vec![NameReference { target, specs }],
                ..Config::default()
            };
            self.config
                .merge(&reference)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
