//! Builtin generators and transformers that are configured as objects.
//!
//! In: the objects that `generators`, `transformers` and `validators` name. Out: what they
//! configure. Only what kustomize has built in; executables and containers are refused.

use serde_json::Value;

use crate::decode::{Decode, Unknown, record};
use crate::error::{Error, Place};
use crate::field::FieldSpec;
use crate::fields::{patch_text, replacements};
use crate::generate::{Target, generate};
use crate::kustomization::{
    FieldSpecRecord, Generator, Image, Metadata, PatchOptions, ReplacementField, Replica, Selector,
    Strings,
};
use crate::load::Layer;
use crate::patch::json6902::JsonPatch;
use crate::patch::{self, Context, Parsed};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::select::TargetSelector;
use crate::state::Change;
use crate::transform::images::NewImage;
use crate::transform::labels::Labelling;
use crate::transform::name::Affix;
use crate::transform::namespace::{Namespace, Subjects};
use crate::transform::{name, namespace, replicas, value_add};

record! {
    /// Every field that the builtin plugins have.
    PluginRecord {
        metadata: Metadata = "metadata",
        field_specs: Vec<FieldSpecRecord> = "fieldSpecs",
        annotations: Strings = "annotations",
        labels: Strings = "labels",
        unset_only: bool = "unsetOnly",
        set_role_binding_subjects: String = "setRoleBindingSubjects",
        prefix: String = "prefix",
        suffix: String = "suffix",
        image_tag: Image = "imageTag",
        replica: Replica = "replica",
        path: String = "path",
        patch: String = "patch",
        target: Option<Selector> = "target",
        options: Option<PatchOptions> = "options",
        paths: Vec<String> = "paths",
        patches: String = "patches",
        json_op: String = "jsonOp",
        replacements: Vec<ReplacementField> = "replacements",
        value: String = "value",
        targets: Vec<value_add::Target> = "targets",
        target_file_path: String = "targetFilePath",
    }
}

record! {
    /// The fields of the generator of accounts for Google's cloud.
    PolicyRecord {
        cloud: String = "cloud",
        kubernetes_service: NameAndNamespace = "kubernetesService",
        service_account: ServiceAccount = "serviceAccount",
    }
}

record! {
    /// An account of Kubernetes.
    NameAndNamespace {
        name: String = "name",
        namespace: String = "namespace",
    }
}

record! {
    /// An account of Google's cloud.
    ServiceAccount {
        name: String = "name",
        project_id: String = "projectId",
    }
}

/// A transformer that has been configured.
pub(crate) enum Transformer {
    Annotations(Strings, Vec<FieldSpec>),
    Labels(Strings, Vec<FieldSpec>),
    Namespace {
        namespace: String,
        unset_only: bool,
        subjects: Subjects,
        specs: Vec<FieldSpec>,
    },
    Affixes {
        prefix: Option<String>,
        suffix: Option<String>,
        specs: Vec<FieldSpec>,
    },
    Image(Image, Vec<FieldSpec>),
    Replicas(Replica, Vec<FieldSpec>),
    Patch {
        patch: Parsed,
        target: Option<Selector>,
        options: PatchOptions,
    },
    StrategicPatches(Vec<Resource>),
    JsonPatch(JsonPatch, Box<TargetSelector>),
    Replacements(Vec<ReplacementField>),
    Hash,
    ValueAdd(String, Vec<value_add::Target>),
}

fn is_builtin(config: &Resource) -> Result<(), Error> {
    if config.api_version() == "builtin" {
        return Ok(());
    }
    Err(Error::Unsupported(format!(
        "external plugins disabled; unable to load external plugin '{}': an external plugin",
        config.kind()
    )))
}

fn decode<T: Decode>(config: &Resource) -> Result<T, Error> {
    let value = crate::value::from_object(config.node.clone()).map_err(Error::Invalid)?;
    T::decode(&value, Unknown::Ignored).map_err(Error::Invalid)
}

/// Returns what a generator's configuration makes.
///
/// Fails when it is not a builtin generator or its configuration is not valid.
pub(crate) fn run_generator(config: &Resource, layer: &Layer<'_>) -> Result<Resource, Error> {
    is_builtin(config)?;
    let target = match config.kind() {
        "ConfigMapGenerator" => Target::ConfigMap,
        "SecretGenerator" => Target::Secret,
        "IAMPolicyGenerator" => return policy(&decode(config)?),
        "HelmChartInflationGenerator" => {
            return Err(Error::Unsupported(
                "must specify --enable-helm: inflating charts".into(),
            ));
        }
        other => return Err(Error::invalid(format!("unable to load builtin {other}"))),
    };
    let mut entry: Generator = decode(config)?;
    entry.fold_env();
    if let Some(metadata) = entry.metadata.take() {
        if entry.name.is_empty() {
            entry.name = metadata.name;
        }
        if entry.namespace.is_empty() {
            entry.namespace = metadata.namespace;
        }
    }
    generate(&entry, target, None, &|path| layer.bytes(path))
}

fn policy(record: &PolicyRecord) -> Result<Resource, Error> {
    if record.cloud != "gke" {
        return Err(Error::invalid(format!(
            "cloud provider {} not supported yet",
            record.cloud
        )));
    }
    let account = format!(
        "{}@{}.iam.gserviceaccount.com",
        record.service_account.name, record.service_account.project_id
    );
    let mut value = serde_json::json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "annotations": {"iam.gke.io/gcp-service-account": account},
            "name": record.kubernetes_service.name,
        },
    });
    if !record.kubernetes_service.namespace.is_empty() {
        value["metadata"]["namespace"] = record.kubernetes_service.namespace.clone().into();
    }
    Ok(Resource::new(crate::value::to_node(value)))
}

/// Returns what a transformer's configuration means.
///
/// Fails when it is not a builtin transformer or its configuration is not valid.
pub(crate) fn configure(config: &Resource, layer: &Layer<'_>) -> Result<Transformer, Error> {
    is_builtin(config)?;
    let record: PluginRecord = decode(config)?;
    let specs: Vec<FieldSpec> = record
        .field_specs
        .iter()
        .map(FieldSpec::from_record)
        .collect();
    Ok(match config.kind() {
        "AnnotationsTransformer" => Transformer::Annotations(record.annotations, specs),
        "LabelTransformer" => Transformer::Labels(record.labels, specs),
        "NamespaceTransformer" => Transformer::Namespace {
            namespace: record.metadata.namespace,
            unset_only: record.unset_only,
            subjects: subjects(&record.set_role_binding_subjects)?,
            specs,
        },
        "PrefixTransformer" => affixes(Some(record.prefix), None, specs)?,
        "SuffixTransformer" => affixes(None, Some(record.suffix), specs)?,
        "PrefixSuffixTransformer" => affixes(Some(record.prefix), Some(record.suffix), specs)?,
        "ImageTagTransformer" => Transformer::Image(record.image_tag, specs),
        "ReplicaCountTransformer" => Transformer::Replicas(record.replica, specs),
        "PatchTransformer" => {
            let text = patch_text(layer, &record.path, &record.patch)?;
            Transformer::Patch {
                patch: patch::parse(&text)?,
                target: record.target,
                options: record.options.unwrap_or_default(),
            }
        }
        "PatchStrategicMergeTransformer" => strategic_patches(&record, layer)?,
        "PatchJson6902Transformer" => json_patch(&record, layer)?,
        "ReplacementTransformer" => {
            Transformer::Replacements(replacements(layer, &record.replacements)?)
        }
        "HashTransformer" => Transformer::Hash,
        "ValueAddTransformer" => value_add(record, layer)?,
        other => return Err(Error::invalid(format!("unable to load builtin {other}"))),
    })
}

fn subjects(text: &str) -> Result<Subjects, Error> {
    match text {
        "" | "defaultOnly" => Ok(Subjects::DefaultOnly),
        "allServiceAccounts" => Ok(Subjects::AllServiceAccounts),
        "none" => Ok(Subjects::None),
        other => Err(Error::invalid(format!(
            "invalid value {other:?} for setRoleBindingSubjects"
        ))),
    }
}

fn affixes(
    prefix: Option<String>,
    suffix: Option<String>,
    specs: Vec<FieldSpec>,
) -> Result<Transformer, Error> {
    if specs.is_empty() {
        return Err(Error::invalid("fieldSpecs is not expected to be nil"));
    }
    Ok(Transformer::Affixes {
        prefix,
        suffix,
        specs,
    })
}

fn strategic_patches(record: &PluginRecord, layer: &Layer<'_>) -> Result<Transformer, Error> {
    if record.paths.is_empty() && record.patches.is_empty() {
        return Err(Error::invalid("empty file path and empty patch content"));
    }
    let mut patches = Vec::new();
    for path in &record.paths {
        let text = layer.text(path)?;
        patches.extend(crate::read::resources(&text, path)?);
    }
    if !record.patches.is_empty() {
        patches.extend(crate::read::resources(&record.patches, "patches")?);
    }
    if patches.is_empty() {
        return Err(Error::invalid("patch appears to be empty"));
    }
    Ok(Transformer::StrategicPatches(patches))
}

fn json_patch(record: &PluginRecord, layer: &Layer<'_>) -> Result<Transformer, Error> {
    let target = record
        .target
        .as_ref()
        .filter(|target| !target.name.is_empty());
    let Some(target) = target else {
        return Err(Error::invalid("must specify the target name"));
    };
    let text = match (record.path.as_str(), record.json_op.as_str()) {
        ("", "") => return Err(Error::invalid("empty file path and empty jsonOp")),
        (path, "") => layer.text(path)?,
        ("", operations) => operations.to_owned(),
        _ => {
            return Err(Error::invalid(
                "must specify a file path or jsonOp, not both",
            ));
        }
    };
    let patch = JsonPatch::read(text.trim()).map_err(Error::Invalid)?;
    Ok(Transformer::JsonPatch(
        patch,
        Box::new(TargetSelector::new(target)?),
    ))
}

fn value_add(record: PluginRecord, layer: &Layer<'_>) -> Result<Transformer, Error> {
    let mut targets = record.targets;
    if !record.target_file_path.is_empty() {
        let text = layer.text(&record.target_file_path)?;
        let place = || record.target_file_path.clone();
        let values = yaml::to_values(&text)
            .map_err(|e| e.to_string())
            .within(place)?;
        let value = values
            .first()
            .and_then(|value| value.get("targets"))
            .unwrap_or(&Value::Null);
        targets.extend(
            crate::decode::field::<Vec<value_add::Target>>("targets", value, Unknown::Ignored)
                .within(place)?,
        );
    }
    if targets.is_empty() {
        return Err(Error::invalid("must specify at least one target"));
    }
    for target in &targets {
        if target.field_path.is_empty() {
            return Err(Error::invalid("fieldPath cannot be empty"));
        }
        if target.file_path_position < 0 {
            return Err(Error::invalid(format!(
                "value of FilePathPosition ({}) cannot be negative",
                target.file_path_position
            )));
        }
    }
    let value = match record.value.trim() {
        "" => crate::files::base_name(&layer.root),
        value => value,
    };
    Ok(Transformer::ValueAdd(value.to_owned(), targets))
}

impl Transformer {
    /// Changes the objects.
    ///
    /// Fails when they do not fit the transformer.
    pub(crate) fn run(self, resources: &mut Resources, context: Context<'_>) -> Result<(), Error> {
        let scopes = context.scopes;
        match self {
            Self::Annotations(strings, specs) | Self::Labels(strings, specs) => {
                let labelling = Labelling::new(&strings, specs);
                Change::Labels(labelling).make_all(resources, context.growth)
            }
            Self::Namespace { namespace, .. } if namespace.is_empty() => Ok(()),
            Self::Namespace {
                namespace,
                unset_only,
                subjects,
                specs,
            } => {
                let transformer = Namespace {
                    namespace: &namespace,
                    unset_only,
                    subjects,
                    specs: &specs,
                };
                namespace::apply(resources.list_mut(), &transformer, context)?;
                resources
                    .check_ids(scopes)
                    .within(|| "namespace transformation produces ID conflict".into())
            }
            Self::Affixes {
                prefix,
                suffix,
                specs,
            } => {
                if let Some(prefix) = &prefix {
                    name::apply(resources.list_mut(), Affix::Prefix(prefix), &specs, context)?;
                }
                if let Some(suffix) = &suffix {
                    name::apply(resources.list_mut(), Affix::Suffix(suffix), &specs, context)?;
                }
                Ok(())
            }
            Self::Image(image, specs) => {
                let image = NewImage::new(image, specs)?;
                Change::Image(image).make_all(resources, context.growth)
            }
            Self::Replicas(replica, specs) => replicas::apply(resources, &replica, &specs),
            Self::Patch {
                patch,
                target,
                options,
            } => {
                patch::apply(resources, patch, target.as_ref(), &options, context)?;
                resources.drop_empty();
                Ok(())
            }
            Self::StrategicPatches(patches) => {
                for patch in patches {
                    patch::merge_by_id(resources, patch, context)?;
                }
                resources.drop_empty();
                resources.check_ids(scopes)
            }
            Self::JsonPatch(patch, selector) => {
                for at in selector.select(resources, scopes) {
                    patch::apply_json(resources, at, &patch, false, context)?;
                }
                Ok(())
            }
            Self::Replacements(entries) => crate::replacements::apply(resources, &entries, context),
            Self::Hash => crate::build::add_hashes(resources.list_mut(), scopes),
            Self::ValueAdd(value, targets) => {
                value_add::apply(resources, &value, &targets, context)
            }
        }
    }
}
