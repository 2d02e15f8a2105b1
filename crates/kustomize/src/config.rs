//! The places that the transformers of a build work on, and how those of the user join them.
//!
//! In: files of `configurations`, and what custom resource definitions say. Out: one [`Config`]
//! a build state. A place that is there already is not added; one that is there with another
//! `create` is a conflict.

use std::cmp::Ordering;

use crate::decode::{Decode, Unknown, record};
use crate::error::Error;
use crate::field::FieldSpec;
use crate::id::Gvk;
use crate::kustomization::FieldSpecRecord;
use crate::order;

/// The places that the transformers of a build work on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    pub name_prefix: Vec<FieldSpec>,
    pub name_suffix: Vec<FieldSpec>,
    pub namespace: Vec<FieldSpec>,
    pub common_labels: Vec<FieldSpec>,
    pub labels: Vec<FieldSpec>,
    pub template_labels: Vec<FieldSpec>,
    pub common_annotations: Vec<FieldSpec>,
    pub name_reference: Vec<NameReference>,
    pub var_reference: Vec<FieldSpec>,
    pub images: Vec<FieldSpec>,
    pub replicas: Vec<FieldSpec>,
}

/// The places that hold the name of an object of one kind.
#[derive(Debug, Clone)]
pub(crate) struct NameReference {
    pub target: Gvk,
    pub specs: Vec<FieldSpec>,
}

record! {
    /// A file of `configurations`.
    ConfigRecord {
        name_prefix: Vec<FieldSpecRecord> = "namePrefix",
        name_suffix: Vec<FieldSpecRecord> = "nameSuffix",
        namespace: Vec<FieldSpecRecord> = "namespace",
        common_labels: Vec<FieldSpecRecord> = "commonLabels",
        labels: Vec<FieldSpecRecord> = "labels",
        template_labels: Vec<FieldSpecRecord> = "templateLabels",
        common_annotations: Vec<FieldSpecRecord> = "commonAnnotations",
        name_reference: Vec<NameReferenceRecord> = "nameReference",
        var_reference: Vec<FieldSpecRecord> = "varReference",
        images: Vec<FieldSpecRecord> = "images",
        replicas: Vec<FieldSpecRecord> = "replicas",
    }
}

record! {
    /// One entry of `nameReference`.
    NameReferenceRecord {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        specs: Vec<FieldSpecRecord> = "fieldSpecs",
    }
}

impl Config {
    /// Returns the places of a configuration file.
    ///
    /// Fails when the text is not YAML or has a field that is not known.
    pub(crate) fn read(text: &str) -> Result<Self, Error> {
        let values =
            yaml::to_values_strict(text).map_err(|error| Error::invalid(error.to_string()))?;
        let Some(value) = values.into_iter().next() else {
            return Ok(Self::default());
        };
        let record =
            ConfigRecord::decode(&value, Unknown::RefusedConverting).map_err(Error::Invalid)?;
        let specs =
            |records: &[FieldSpecRecord]| records.iter().map(FieldSpec::from_record).collect();
        Ok(Self {
            name_prefix: specs(&record.name_prefix),
            name_suffix: specs(&record.name_suffix),
            namespace: specs(&record.namespace),
            common_labels: specs(&record.common_labels),
            labels: specs(&record.labels),
            template_labels: specs(&record.template_labels),
            common_annotations: specs(&record.common_annotations),
            name_reference: record
                .name_reference
                .iter()
                .map(|reference| NameReference {
                    target: Gvk {
                        group: reference.group.clone(),
                        version: reference.version.clone(),
                        kind: reference.kind.clone(),
                    },
                    specs: specs(&reference.specs),
                })
                .collect(),
            var_reference: specs(&record.var_reference),
            images: specs(&record.images),
            replicas: specs(&record.replicas),
        })
    }

    /// Returns whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.name_prefix.is_empty() && self.name_reference.is_empty() && self.images.is_empty()
    }

    /// Adds the places of another configuration.
    ///
    /// Fails when one is there with another `create`.
    pub(crate) fn merge(&mut self, other: &Config) -> Result<(), Error> {
        merge(&mut self.name_prefix, &other.name_prefix)?;
        merge(&mut self.name_suffix, &other.name_suffix)?;
        merge(&mut self.namespace, &other.namespace)?;
        merge(&mut self.common_labels, &other.common_labels)?;
        merge(&mut self.labels, &other.labels)?;
        merge(&mut self.template_labels, &other.template_labels)?;
        merge(&mut self.common_annotations, &other.common_annotations)?;
        merge(&mut self.var_reference, &other.var_reference)?;
        merge(&mut self.images, &other.images)?;
        merge(&mut self.replicas, &other.replicas)?;
        for reference in &other.name_reference {
            let same = |own: &&mut NameReference| own.target == reference.target;
            match self.name_reference.iter_mut().find(same) {
                Some(own) => merge(&mut own.specs, &reference.specs)?,
                None => self.name_reference.push(reference.clone()),
            }
        }
        self.name_reference
            .sort_by(|a, b| gvk_order(&a.target, &b.target));
        Ok(())
    }
}

fn gvk_order(a: &Gvk, b: &Gvk) -> Ordering {
    let rank = |gvk: &Gvk| order::default_rank(&gvk.kind);
    rank(a)
        .cmp(&rank(b))
        .then_with(|| a.sort_text().cmp(&b.sort_text()))
}

/// Adds places to a list, each unless the list covers it.
///
/// Fails when one is there with another `create`.
pub(crate) fn merge(own: &mut Vec<FieldSpec>, incoming: &[FieldSpec]) -> Result<(), Error> {
    for spec in incoming {
        let covers = |own: &&FieldSpec| own.path == spec.path && own.gvk.is_selected(&spec.gvk);
        match own.iter().find(covers) {
            Some(own) if own.create != spec.create => {
                return Err(Error::invalid(format!(
                    "conflicting fieldspecs for the path '{}'",
                    spec.path
                )));
            }
            Some(_) => {}
            None => own.push(spec.clone()),
        }
    }
    Ok(())
}
