//! The transformers that the fields of a kustomization file configure, in kustomize's order.
//!
//! Patches first, then namespace, names, labels and annotations, the old JSON patches, replicas,
//! images and replacements. The order is fixed: it does not depend on the file.

use crate::build::{Build, Loaded};
use crate::decode::{Decode, Unknown};
use crate::error::{Error, Place};
use crate::kustomization::ReplacementField;
use crate::load::Layer;
use crate::origin::Origin;
use crate::patch::{self, Context};
use crate::resource::Resource;
use crate::state::{Change, State};
use crate::transform::images::NewImage;
use crate::transform::labels::Labelling;
use crate::transform::name::Affix;
use crate::transform::namespace::{Namespace, Subjects};
use crate::transform::{labels, name, namespace, replicas};
use crate::{read, replacements};

impl Build {
    /// Returns what transformers need to know of the build.
    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            growth: &self.growth,
            scopes: &self.scopes,
            schema: &self.schema,
        }
    }

    /// Runs the transformers that the fields of the file configure, in kustomize's order.
    pub(crate) fn transform(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let file = &loaded.file;
        let shown = layer.shown_path(loaded.name);
        let place = layer.tree_path(loaded.name);
        let origin = |kind: &str| Origin::builtin(&shown, kind);
        self.patch(layer, loaded, state)?;
        if !file.namespace.is_empty() {
            self.set_namespace(&file.namespace, state)
                .within(|| "namespace".into())?;
            self.record(state, &origin("NamespaceTransformer"))?;
        }
        let affixes = [
            (
                Affix::Prefix(file.name_prefix.as_str()),
                "namePrefix",
                "PrefixTransformer",
            ),
            (
                Affix::Suffix(file.name_suffix.as_str()),
                "nameSuffix",
                "SuffixTransformer",
            ),
        ];
        for (affix, field, kind) in affixes {
            if !affix.is_empty() {
                let (resources, config) = state.parts(&self.growth)?;
                let specs = match affix {
                    Affix::Prefix(_) => &config.name_prefix,
                    Affix::Suffix(_) => &config.name_suffix,
                };
                name::apply(resources.list_mut(), affix, specs, self.context())
                    .within(|| field.into())?;
                self.record(state, &origin(kind))?;
            }
        }
        self.label(layer, loaded, state)?;
        for entry in &file.patches_json6902 {
            self.patch_late(layer, entry, state)
                .within(|| "patchesJson6902".into())?;
            self.record(state, &origin("PatchJson6902Transformer"))?;
        }
        for replica in &file.replicas {
            let (resources, config) = state.parts(&self.growth)?;
            replicas::apply(resources, replica, &config.replicas).within(|| "replicas".into())?;
            self.record(state, &origin("ReplicaCountTransformer"))?;
        }
        for image in &file.images {
            let specs = state.config.images.clone();
            let image = NewImage::new(image.clone(), specs).within(|| "images".into())?;
            state.put_off(Change::Image(image), &place, "images");
            self.record(state, &origin("ImageTagTransformer"))?;
        }
        if !file.replacements.is_empty() {
            let entries = replacements(layer, &file.replacements)?;
            let resources = state.resources(&self.growth)?;
            replacements::apply(resources, &entries, self.context())?;
            self.record(state, &origin("ReplacementTransformer"))?;
        }
        Ok(())
    }

    fn label(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let file = &loaded.file;
        let shown = layer.shown_path(loaded.name);
        let place = layer.tree_path(loaded.name);
        for entry in &file.labels {
            let specs = labels::specs(entry, &state.config).within(|| "labels".into())?;
            let labelling = Labelling::new(&entry.pairs, specs);
            state.put_off(Change::Labels(labelling), &place, "labels");
            self.record(state, &Origin::builtin(&shown, "LabelTransformer"))?;
        }
        if !file.labels.is_empty() || !file.common_labels.is_empty() {
            let specs = state.config.common_labels.clone();
            let labelling = Labelling::new(&file.common_labels, specs);
            state.put_off(Change::Labels(labelling), &place, "commonLabels");
            self.record(state, &Origin::builtin(&shown, "LabelTransformer"))?;
        }
        if !file.common_annotations.is_empty() {
            let specs = state.config.common_annotations.clone();
            let labelling = Labelling::new(&file.common_annotations, specs);
            state.put_off(Change::Labels(labelling), &place, "commonAnnotations");
            self.record(state, &Origin::builtin(&shown, "AnnotationsTransformer"))?;
        }
        Ok(())
    }

    fn set_namespace(&self, namespace: &str, state: &mut State) -> Result<(), Error> {
        let (resources, config) = state.parts(&self.growth)?;
        let transformer = Namespace {
            namespace,
            unset_only: false,
            subjects: Subjects::DefaultOnly,
            specs: &config.namespace,
        };
        namespace::apply(resources.list_mut(), &transformer, self.context())?;
        resources
            .check_ids(&self.scopes)
            .within(|| "namespace transformation produces ID conflict".into())
    }

    fn patch(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let file = &loaded.file;
        let shown = layer.shown_path(loaded.name);
        if file.patches.is_empty() && file.patches_strategic_merge.is_empty() {
            return Ok(());
        }
        self.used_schema = true;
        let context = self.context();
        let resources = state.resources(&self.growth)?;
        if !file.patches_strategic_merge.is_empty() {
            let patches = strategic_patches(layer, &file.patches_strategic_merge)
                .within(|| "patchesStrategicMerge".into())?;
            for patch in patches {
                patch::merge_by_id(resources, patch, context)
                    .within(|| "patchesStrategicMerge".into())?;
            }
            resources.drop_empty();
            resources.check_ids(&self.scopes)?;
            self.record(
                state,
                &Origin::builtin(&shown, "PatchStrategicMergeTransformer"),
            )?;
        }
        let mut parsed = Vec::new();
        for (at, entry) in file.patches.iter().enumerate() {
            let place = || format!("patches[{at}]");
            let text = patch_text(layer, &entry.path, &entry.patch).within(place)?;
            parsed.push((place(), entry, patch::parse(&text).within(place)?));
        }
        for (place, entry, patch) in parsed {
            let options = entry.options.clone().unwrap_or_default();
            let context = self.context();
            patch::apply(
                state.resources(&self.growth)?,
                patch,
                entry.target.as_ref(),
                &options,
                context,
            )
            .map_err(|error| error.within(place))?;
            self.record(state, &Origin::builtin(&shown, "PatchTransformer"))?;
        }
        state.resources(&self.growth)?.drop_empty();
        Ok(())
    }

    fn patch_late(
        &self,
        layer: &Layer<'_>,
        entry: &crate::kustomization::Patch,
        state: &mut State,
    ) -> Result<(), Error> {
        let target = entry
            .target
            .as_ref()
            .filter(|target| !target.name.is_empty());
        let Some(target) = target else {
            return Err(Error::invalid("must specify the target name"));
        };
        let text = patch_text(layer, &entry.path, &entry.patch)?;
        let patch = patch::json6902::JsonPatch::read(text.trim()).map_err(Error::Invalid)?;
        let selector = crate::select::TargetSelector::new(target)?;
        let context = self.context();
        let resources = state.resources(&self.growth)?;
        for at in selector.select(resources, &self.scopes) {
            patch::apply_json(resources, at, &patch, false, context)?;
        }
        Ok(())
    }
}

fn strategic_patches(layer: &Layer<'_>, entries: &[String]) -> Result<Vec<Resource>, Error> {
    let mut patches = Vec::new();
    for entry in entries {
        let inline = read::resources(entry, "inline patch");
        match inline {
            Ok(inline) if !inline.is_empty() => patches.extend(inline),
            _ => {
                let text = layer.text(entry)?;
                let read = read::resources(&text, entry)?;
                patches.extend(read);
            }
        }
    }
    if patches.is_empty() {
        return Err(Error::invalid("patch appears to be empty"));
    }
    Ok(patches)
}

/// Returns the replacements of a field, those in files included.
pub(crate) fn replacements(
    layer: &Layer<'_>,
    fields: &[ReplacementField],
) -> Result<Vec<ReplacementField>, Error> {
    let mut entries = Vec::new();
    for field in fields {
        let is_inline = field.source.is_some() || field.source_value.is_some();
        if field.path.is_empty() {
            entries.push(field.clone());
            continue;
        }
        if is_inline || !field.targets.is_empty() {
            return Err(Error::invalid(
                "cannot specify both path and inline replacement",
            ));
        }
        let place = || format!("replacements path {}", field.path);
        let text = layer.text(&field.path).within(place)?;
        let node = yaml::node::read_first(&text).map_err(|source| Error::Yaml {
            file: field.path.clone(),
            source,
        })?;
        let Some(node) = node else { continue };
        let value = yaml::json::to_value(&node).map_err(|source| Error::Yaml {
            file: field.path.clone(),
            source,
        })?;
        let listed = if value.is_array() {
            value
        } else {
            serde_json::Value::Array(vec![value])
        };
        let decoded = Vec::<ReplacementField>::decode(&listed, Unknown::Ignored);
        entries.extend(decoded.within(place)?);
    }
    Ok(entries)
}

/// Returns the text of a patch: the field's or the file's.
pub(crate) fn patch_text(layer: &Layer<'_>, path: &str, patch: &str) -> Result<String, Error> {
    match (path, patch.trim()) {
        ("", "") => Err(Error::invalid("must specify one of patch and path")),
        ("", patch) => Ok(patch.to_owned()),
        (path, "") => layer.text(path),
        _ => Err(Error::invalid(
            "patch and path can't be set at the same time",
        )),
    }
}
