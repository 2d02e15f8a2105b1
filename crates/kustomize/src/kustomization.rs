//! The kustomization file as a record.
//!
//! In: the text of a `kustomization.yaml`. Out: its fields, the old spellings folded into those
//! that replaced them where that does not change their place in the build. It reads by YAML 1.1,
//! as kustomize does; a field that nobody knows is an error.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::decode::{Decode, Unknown, record};

/// The file names that a kustomization may have.
pub(crate) const FILE_NAMES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

const KUSTOMIZATION_VERSION: &str = "kustomize.config.k8s.io/v1beta1";
const COMPONENT_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";

/// Strings by name.
pub(crate) type Strings = BTreeMap<String, String>;

record! {
    /// Everything that a kustomization file can say.
    Kustomization {
        api_version: String = "apiVersion",
        kind: String = "kind",
        metadata: Option<Metadata> = "metadata",
        openapi: Strings = "openapi",
        name_prefix: String = "namePrefix",
        name_suffix: String = "nameSuffix",
        namespace: String = "namespace",
        common_labels: Strings = "commonLabels",
        labels: Vec<Labels> = "labels",
        common_annotations: Strings = "commonAnnotations",
        patches_strategic_merge: Vec<String> = "patchesStrategicMerge",
        patches_json6902: Vec<Patch> = "patchesJson6902",
        patches: Vec<Patch> = "patches",
        images: Vec<Image> = "images",
        image_tags: Vec<Image> = "imageTags",
        replacements: Vec<ReplacementField> = "replacements",
        replicas: Vec<Replica> = "replicas",
        vars: Vec<Var> = "vars",
        sort_options: Option<SortOptions> = "sortOptions",
        resources: Vec<String> = "resources",
        components: Vec<String> = "components",
        crds: Vec<String> = "crds",
        bases: Vec<String> = "bases",
        config_map_generator: Vec<Generator> = "configMapGenerator",
        secret_generator: Vec<Generator> = "secretGenerator",
        generator_options: Option<GeneratorOptions> = "generatorOptions",
        helm_globals: Option<HelmGlobals> = "helmGlobals",
        helm_charts: Vec<Value> = "helmCharts",
        helm_chart_inflation_generator: Vec<Value> = "helmChartInflationGenerator",
        configurations: Vec<String> = "configurations",
        generators: Vec<String> = "generators",
        transformers: Vec<String> = "transformers",
        validators: Vec<String> = "validators",
        build_metadata: Vec<String> = "buildMetadata",
    }
}

record! {
    /// Where Helm charts would be; without charts it has no effect.
    HelmGlobals {
        chart_home: String = "chartHome",
        config_home: String = "configHome",
    }
}

record! {
    /// The metadata of a kustomization; it has no effect.
    Metadata {
        name: String = "name",
        namespace: String = "namespace",
        labels: Strings = "labels",
        annotations: Strings = "annotations",
    }
}

record! {
    /// One entry of `labels`.
    Labels {
        pairs: Strings = "pairs",
        include_selectors: bool = "includeSelectors",
        include_templates: bool = "includeTemplates",
        fields: Vec<FieldSpecRecord> = "fields",
    }
}

record! {
    /// A place in objects of a kind.
    FieldSpecRecord {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        path: String = "path",
        create: bool = "create",
    }
}

record! {
    /// One entry of `patches` or `patchesJson6902`.
    Patch {
        path: String = "path",
        patch: String = "patch",
        target: Option<Selector> = "target",
        options: Option<PatchOptions> = "options",
    }
}

record! {
    /// What a patch may change besides content.
    PatchOptions {
        allow_name_change: bool = "allowNameChange",
        allow_kind_change: bool = "allowKindChange",
    }
}

record! {
    /// Which objects are meant.
    Selector {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
        label_selector: String = "labelSelector",
        annotation_selector: String = "annotationSelector",
    }
}

record! {
    /// One entry of `images`.
    Image {
        name: String = "name",
        new_name: String = "newName",
        new_tag: String = "newTag",
        tag_suffix: String = "tagSuffix",
        digest: String = "digest",
    }
}

record! {
    /// One entry of `replicas`.
    Replica {
        name: String = "name",
        count: i64 = "count",
    }
}

record! {
    /// One entry of `replacements`: a file, or the replacement itself.
    ReplacementField {
        path: String = "path",
        source: Option<Source> = "source",
        source_value: Option<String> = "sourceValue",
        targets: Vec<Target> = "targets",
    }
}

record! {
    /// Where a replacement takes its value from.
    Source {
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
        field_path: String = "fieldPath",
        options: Option<FieldOptions> = "options",
    }
}

record! {
    /// Where a replacement puts its value.
    Target {
        select: Option<Selector> = "select",
        reject: Vec<Selector> = "reject",
        field_paths: Vec<String> = "fieldPaths",
        options: Option<FieldOptions> = "options",
    }
}

record! {
    /// Which part of a field is meant.
    FieldOptions {
        delimiter: String = "delimiter",
        index: i64 = "index",
        encoding: String = "encoding",
        create: bool = "create",
    }
}

record! {
    /// One entry of `vars`.
    Var {
        name: String = "name",
        objref: ObjectReference = "objref",
        fieldref: FieldReference = "fieldref",
    }
}

record! {
    /// The object that a var takes its value from.
    ObjectReference {
        api_version: String = "apiVersion",
        group: String = "group",
        version: String = "version",
        kind: String = "kind",
        name: String = "name",
        namespace: String = "namespace",
    }
}

record! {
    /// The field that a var takes its value from.
    FieldReference {
        field_path: String = "fieldPath",
    }
}

record! {
    /// How the result is sorted.
    SortOptions {
        order: String = "order",
        legacy: Option<LegacySortOptions> = "legacySortOptions",
    }
}

record! {
    /// The kinds that the legacy order puts first and last.
    LegacySortOptions {
        order_first: Vec<String> = "orderFirst",
        order_last: Vec<String> = "orderLast",
    }
}

record! {
    /// One entry of `configMapGenerator` or `secretGenerator`.
    Generator {
        name: String = "name",
        namespace: String = "namespace",
        behavior: String = "behavior",
        literals: Vec<String> = "literals",
        files: Vec<String> = "files",
        envs: Vec<String> = "envs",
        env: String = "env",
        options: Option<GeneratorOptions> = "options",
        secret_type: String = "type",
        metadata: Option<Metadata> = "metadata",
    }
}

record! {
    /// What every generated object gets.
    GeneratorOptions {
        labels: Strings = "labels",
        annotations: Strings = "annotations",
        disable_name_suffix_hash: bool = "disableNameSuffixHash",
        immutable: bool = "immutable",
    }
}

impl Kustomization {
    /// Returns the record of a kustomization file.
    ///
    /// Fails when the text is not YAML, has an unknown field or a value of the wrong type, or says
    /// nothing.
    pub(crate) fn read(text: &str) -> Result<Self, crate::Error> {
        let invalid =
            |problem: String| crate::Error::invalid(format!("invalid Kustomization: {problem}"));
        let node = yaml::node::read_first(text).map_err(|error| invalid(error.to_string()))?;
        let value = match node {
            Some(node) => {
                yaml::json::to_value(&node).map_err(|error| invalid(error.to_string()))?
            }
            None => Value::Null,
        };
        let mut file = Self::decode(&value, Unknown::Refused).map_err(invalid)?;
        file.refuse_fields_of_plugins()?;
        file.fold_old_fields();
        if says_nothing(&value) {
            return Err(crate::Error::invalid("the kustomization file is empty"));
        }
        file.check_header()?;
        Ok(file)
    }

    /// Returns whether this is a component.
    pub(crate) fn is_component(&self) -> bool {
        self.kind == "Component"
    }

    /// The record of a generator serves its plugin too, which has fields that the file has not.
    fn refuse_fields_of_plugins(&self) -> Result<(), crate::Error> {
        let generators = self
            .config_map_generator
            .iter()
            .chain(&self.secret_generator);
        for generator in generators {
            if generator.metadata.is_some() {
                return Err(crate::Error::invalid(
                    "invalid Kustomization: unknown field \"metadata\"",
                ));
            }
        }
        if self
            .config_map_generator
            .iter()
            .any(|generator| !generator.secret_type.is_empty())
        {
            return Err(crate::Error::invalid(
                "invalid Kustomization: configMapGenerator: unknown field \"type\"",
            ));
        }
        Ok(())
    }

    fn fold_old_fields(&mut self) {
        self.resources.append(&mut self.bases);
        self.images.append(&mut self.image_tags);
        for generator in self
            .config_map_generator
            .iter_mut()
            .chain(&mut self.secret_generator)
        {
            generator.fold_env();
        }
    }

    fn check_header(&mut self) -> Result<(), crate::Error> {
        if self.kind.is_empty() {
            self.kind = "Kustomization".into();
        }
        let version = if self.is_component() {
            COMPONENT_VERSION
        } else {
            KUSTOMIZATION_VERSION
        };
        if self.api_version.is_empty() {
            self.api_version = version.into();
        }
        if self.kind != "Kustomization" && self.kind != "Component" {
            return Err(crate::Error::invalid(
                "kind should be Kustomization or Component",
            ));
        }
        if self.api_version != version {
            let problem = format!("apiVersion for {} should be {version}", self.kind);
            return Err(crate::Error::invalid(problem));
        }
        Ok(())
    }
}

/// Returns whether a file holds its header at most; an empty list is something.
fn says_nothing(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return true;
    };
    let header = ["apiVersion", "kind"];
    object
        .iter()
        .filter(|(key, _)| !header.iter().any(|name| key.eq_ignore_ascii_case(name)))
        .all(|(_, value)| match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            _ => false,
        })
}

impl Generator {
    /// Moves the old field `env` into `envs`.
    pub(crate) fn fold_env(&mut self) {
        if !self.env.is_empty() {
            self.envs.push(std::mem::take(&mut self.env));
        }
    }
}
