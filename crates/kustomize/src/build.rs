//! One build: from the top kustomization down through its bases and back up to a list of objects.
//!
//! In: the view of the top folder and the options. Out: the objects in order. A layer is worked
//! off in a fixed order: resources, generators, components, transformers, validators; hashes,
//! references and variables are the top's alone.

use std::rc::Rc;

use crate::absorb::absorb;
use crate::config::Config;
use crate::error::{Error, Place};
use crate::files::Kind;
use crate::generate::{self, Target};
use crate::id::Scopes;
use crate::kustomization::{FILE_NAMES, Kustomization};
use crate::load::{Entry, Layer};
use crate::options::Options;
use crate::order::{self, Order};
use crate::origin::{self, Origin};
use crate::patch::schema::Schema;
use crate::patch::{self, Context};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::transform::name::Affix;
use crate::transform::namespace::{Namespace, Subjects};
use crate::transform::{images, labels, name, namespace, replicas};
use crate::{hash, read, references};

/// How many kustomizations one build may load, those loaded again included.
const KUSTOMIZATIONS_MAX: usize = 10_000;

/// What the top kustomization wants to know about where objects come from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Metadata {
    /// Anything was asked for, so origins are kept.
    pub tracked: bool,
    pub origin: bool,
    pub transformers: bool,
    pub managed_by: bool,
}

/// What has been accumulated.
#[derive(Default)]
pub(crate) struct State {
    pub resources: Resources,
    pub config: Rc<Config>,
}

/// One build.
pub(crate) struct Build {
    pub scopes: Scopes,
    pub schema: Schema,
    pub metadata: Metadata,
    defaults: Rc<Config>,
    n_kustomizations: usize,
}

/// A kustomization file that has been read.
pub(crate) struct Loaded {
    pub file: Kustomization,
    /// Its name, as origins show it.
    pub name: &'static str,
}

/// Builds the top kustomization.
///
/// Fails at the first thing that is wrong in any layer.
pub(crate) fn run(top: &Layer<'_>, options: &Options) -> Result<(Vec<Resource>, Metadata), Error> {
    let mut build = Build {
        scopes: Scopes::default(),
        schema: Schema::default(),
        metadata: Metadata::default(),
        defaults: Rc::new(crate::defaults::config()),
        n_kustomizations: 0,
    };
    let loaded = build.load(top)?;
    let place = top.shown_path(loaded.name);
    build.metadata = metadata(&loaded.file, options);
    let sort = loaded.file.sort_options.clone();
    let mut order = options.order;
    if let Some(sort) = &sort {
        order = order::check(sort).map_err(|error| error.within(place.clone()))?;
    }
    let mut state = State::default();
    build.accumulate(top, loaded, &mut state)?;
    let mut list = build.finish(state).map_err(|error| error.within(place))?;
    if order == Order::Legacy {
        order::sort_legacy(&mut list, sort.as_ref());
    }
    Ok((list, build.metadata))
}

fn metadata(file: &Kustomization, options: &Options) -> Metadata {
    let asked = |name: &str| file.build_metadata.iter().any(|one| one == name);
    Metadata {
        tracked: !file.build_metadata.is_empty(),
        origin: asked("originAnnotations"),
        transformers: asked("transformerAnnotations"),
        managed_by: asked("managedByLabel") || options.managed_by_label,
    }
}

impl Build {
    /// Reads the kustomization file of a folder.
    ///
    /// Fails when there is none, more than one, or one that is not valid.
    fn load(&mut self, layer: &Layer<'_>) -> Result<Loaded, Error> {
        self.n_kustomizations += 1;
        if self.n_kustomizations > KUSTOMIZATIONS_MAX {
            return Err(Error::invalid("too many kustomizations"));
        }
        let mut found = Vec::new();
        for name in FILE_NAMES {
            let path = crate::files::join(&layer.root, name).unwrap_or_default();
            if layer
                .files
                .find(&path)
                .is_ok_and(|found| found.kind == Kind::File)
            {
                found.push(name);
            }
        }
        match found.as_slice() {
            [name] => {
                let text = layer.text(name)?;
                let file = Kustomization::read(&text)
                    .map_err(|error| error.within(layer.shown_path(name)))?;
                Ok(Loaded { file, name })
            }
            [] => Err(Error::invalid(format!(
                "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory '/{}'",
                layer.root
            ))),
            _ => Err(Error::invalid(format!(
                "found multiple kustomization files under: /{}",
                layer.root
            ))),
        }
    }

    /// Adds what a kustomization makes to the state.
    fn accumulate(
        &mut self,
        layer: &Layer<'_>,
        loaded: Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let place = layer.shown_path(loaded.name);
        self.accumulate_layer(layer, &loaded, state)
            .map_err(|error| error.within(place))
    }

    fn accumulate_layer(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let file = &loaded.file;
        refuse_missing(file)?;
        self.add_resources(layer, file, state)
            .within(|| "resources".into())?;
        self.add_config(layer, file, state)?;
        self.generate(layer, loaded, state)?;
        self.add_components(layer, file, state)
            .within(|| "components".into())?;
        self.transform(layer, loaded, state)
    }

    /// Adds the places of the file: its own first, so that the known ones give way to them.
    fn add_config(
        &self,
        layer: &Layer<'_>,
        file: &Kustomization,
        state: &mut State,
    ) -> Result<(), Error> {
        let mut own = Config::default();
        for path in &file.configurations {
            let text = layer.text(path).within(|| "configurations".into())?;
            Config::read(&text)
                .and_then(|config| own.merge(&config))
                .map_err(|error| error.within(path.clone()).within("configurations"))?;
        }
        if file.configurations.is_empty() {
            return merge_config(&mut state.config, self.defaults.clone());
        }
        own.merge(&self.defaults)
            .within(|| "configurations".into())?;
        merge_config(&mut state.config, Rc::new(own)).within(|| "configurations".into())
    }

    fn add_resources(
        &mut self,
        layer: &Layer<'_>,
        file: &Kustomization,
        state: &mut State,
    ) -> Result<(), Error> {
        for path in &file.resources {
            match layer.entry(path)? {
                Entry::File(text) => {
                    let origin = self
                        .metadata
                        .tracked
                        .then(|| Origin::file(&layer.shown_path(path)));
                    for mut resource in read::resources(&text, path)? {
                        resource.origin.clone_from(&origin);
                        state
                            .resources
                            .append(resource, &self.scopes)
                            .within(|| path.clone())?;
                    }
                }
                Entry::Folder(child) => {
                    let below = self.accumulate_base(&child)?;
                    state
                        .resources
                        .append_all(below.resources, &self.scopes)
                        .within(|| path.clone())?;
                    merge_config(&mut state.config, below.config).within(|| path.clone())?;
                }
            }
        }
        Ok(())
    }

    fn accumulate_base(&mut self, child: &Layer<'_>) -> Result<State, Error> {
        let loaded = self.load(child)?;
        if loaded.file.is_component() {
            return Err(Error::invalid(format!(
                "expected kind != 'Component' for path '/{}'",
                child.root
            )));
        }
        let mut state = State::default();
        self.accumulate(child, loaded, &mut state)?;
        Ok(state)
    }

    fn add_components(
        &mut self,
        layer: &Layer<'_>,
        file: &Kustomization,
        state: &mut State,
    ) -> Result<(), Error> {
        for path in &file.components {
            let child = layer.folder(path)?;
            let loaded = self.load(&child)?;
            if !loaded.file.is_component() {
                return Err(Error::invalid(format!(
                    "expected kind 'Component' for path '/{}' but got '{}'",
                    child.root, loaded.file.kind
                )));
            }
            self.accumulate(&child, loaded, state)?;
        }
        Ok(())
    }

    fn generate(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let file = &loaded.file;
        let maps = file
            .config_map_generator
            .iter()
            .map(|entry| (entry, Target::ConfigMap));
        let secrets = file
            .secret_generator
            .iter()
            .map(|entry| (entry, Target::Secret));
        for (entry, target) in maps.chain(secrets) {
            let (field, kind) = match target {
                Target::ConfigMap => ("configMapGenerator", "ConfigMapGenerator"),
                Target::Secret => ("secretGenerator", "SecretGenerator"),
            };
            let place = || format!("{field} {}", entry.name);
            let read = |path: &str| layer.bytes(path);
            let mut resource =
                generate::generate(entry, target, file.generator_options.as_ref(), &read)
                    .within(place)?;
            if self.metadata.tracked {
                resource.origin = Some(Origin::builtin(&layer.shown_path(loaded.name), kind));
            }
            absorb(&mut state.resources, resource, &self.scopes).within(place)?;
        }
        Ok(())
    }

    /// Runs the transformers that the fields of the file configure, in kustomize's order.
    fn transform(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let file = &loaded.file;
        let origin = |kind: &str| Origin::builtin(&layer.shown_path(loaded.name), kind);
        self.patch(layer, loaded, state)?;
        if !file.namespace.is_empty() {
            self.set_namespace(&file.namespace, state)
                .within(|| "namespace".into())?;
            self.record(state, &origin("NamespaceTransformer"));
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
                let specs = match affix {
                    Affix::Prefix(_) => &state.config.name_prefix,
                    Affix::Suffix(_) => &state.config.name_suffix,
                };
                name::apply(state.resources.list_mut(), affix, specs, &self.scopes)
                    .within(|| field.into())?;
                self.record(state, &origin(kind));
            }
        }
        self.label(layer, loaded, state)?;
        for entry in &file.patches_json6902 {
            self.patch_late(layer, entry, state)
                .within(|| "patchesJson6902".into())?;
            self.record(state, &origin("PatchJson6902Transformer"));
        }
        for replica in &file.replicas {
            replicas::apply(&mut state.resources, replica, &state.config.replicas)
                .within(|| "replicas".into())?;
            self.record(state, &origin("ReplicaCountTransformer"));
        }
        for image in &file.images {
            images::apply(state.resources.contents_mut(), image, &state.config.images)
                .within(|| "images".into())?;
            self.record(state, &origin("ImageTagTransformer"));
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
        for entry in &file.labels {
            let place = || "labels".into();
            let specs = labels::specs(entry, &state.config).within(place)?;
            labels::apply(state.resources.contents_mut(), &entry.pairs, &specs).within(place)?;
            self.record(state, &Origin::builtin(&shown, "LabelTransformer"));
        }
        if !file.labels.is_empty() || !file.common_labels.is_empty() {
            let specs = &state.config.common_labels;
            labels::apply(state.resources.contents_mut(), &file.common_labels, specs)
                .within(|| "commonLabels".into())?;
            self.record(state, &Origin::builtin(&shown, "LabelTransformer"));
        }
        if !file.common_annotations.is_empty() {
            let specs = &state.config.common_annotations;
            labels::apply(
                state.resources.contents_mut(),
                &file.common_annotations,
                specs,
            )
            .within(|| "commonAnnotations".into())?;
            self.record(state, &Origin::builtin(&shown, "AnnotationsTransformer"));
        }
        Ok(())
    }

    fn set_namespace(&self, namespace: &str, state: &mut State) -> Result<(), Error> {
        let transformer = Namespace {
            namespace,
            unset_only: false,
            subjects: Subjects::DefaultOnly,
            specs: &state.config.namespace,
        };
        namespace::apply(state.resources.list_mut(), &transformer, &self.scopes)?;
        state
            .resources
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
        let context = Context {
            scopes: &self.scopes,
            schema: &self.schema,
        };
        if !file.patches_strategic_merge.is_empty() {
            let patches = strategic_patches(layer, &file.patches_strategic_merge)
                .within(|| "patchesStrategicMerge".into())?;
            for patch in patches {
                patch::merge_by_id(&mut state.resources, patch, context)
                    .within(|| "patchesStrategicMerge".into())?;
            }
            state.resources.drop_empty();
            state.resources.check_ids(&self.scopes)?;
            self.record(
                state,
                &Origin::builtin(&shown, "PatchStrategicMergeTransformer"),
            );
        }
        let mut parsed = Vec::new();
        for (at, entry) in file.patches.iter().enumerate() {
            let place = || format!("patches[{at}]");
            let text = patch_text(layer, &entry.path, &entry.patch).within(place)?;
            parsed.push((place(), entry, patch::parse(&text).within(place)?));
        }
        for (place, entry, patch) in parsed {
            let options = entry.options.clone().unwrap_or_default();
            let context = Context {
                scopes: &self.scopes,
                schema: &self.schema,
            };
            patch::apply(
                &mut state.resources,
                patch,
                entry.target.as_ref(),
                &options,
                context,
            )
            .map_err(|error| error.within(place))?;
            self.record(state, &Origin::builtin(&shown, "PatchTransformer"));
        }
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
        let context = Context {
            scopes: &self.scopes,
            schema: &self.schema,
        };
        for at in selector.select(&mut state.resources, &self.scopes) {
            patch::apply_json(&mut state.resources, at, &patch, false, context)?;
        }
        state.resources.forget();
        Ok(())
    }

    /// Records that a transformer went over every object.
    fn record(&self, state: &mut State, transformer: &Origin) {
        if self.metadata.tracked {
            for resource in state.resources.contents_mut() {
                origin::record(resource, transformer);
            }
        }
    }

    /// Does what is done once, when every layer is accumulated.
    fn finish(&self, state: State) -> Result<Vec<Resource>, Error> {
        let mut list = state.resources.into_list();
        for resource in list.iter_mut().filter(|resource| resource.needs_hash) {
            let hash = hash::hash(resource).within(|| resource.id().to_string())?;
            let name = format!("{}-{hash}", resource.name());
            resource.remember_id(&self.scopes);
            resource.set_name(&name);
        }
        references::fix(&mut list, &state.config, &self.scopes)?;
        list.retain(|resource| {
            let local = resource.string("annotations", "config.kubernetes.io/local-config");
            local.is_none_or(|value| value == "false")
        });
        Ok(list)
    }
}

/// Adds places to those of a state, which may be the same ones.
fn merge_config(own: &mut Rc<Config>, other: Rc<Config>) -> Result<(), Error> {
    if Rc::ptr_eq(own, &other) {
        return Ok(());
    }
    if own.is_empty() {
        *own = other;
        return Ok(());
    }
    Rc::make_mut(own).merge(&other)
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

/// Returns the text of a patch: the field's or the file's.
fn patch_text(layer: &Layer<'_>, path: &str, patch: &str) -> Result<String, Error> {
    match (path, patch.trim()) {
        ("", "") => Err(Error::invalid("must specify one of patch and path")),
        ("", _) => Ok(patch.to_owned()),
        (path, "") => layer.text(path),
        _ => Err(Error::invalid(
            "patch and path can't be set at the same time",
        )),
    }
}

/// Refuses the fields that this engine does not build.
fn refuse_missing(file: &Kustomization) -> Result<(), Error> {
    let fields = [
        ("helmCharts", !file.helm_charts.is_empty()),
        ("replacements", !file.replacements.is_empty()),
        ("vars", !file.vars.is_empty()),
        ("crds", !file.crds.is_empty()),
        ("openapi", !file.openapi.is_empty()),
        ("generators", !file.generators.is_empty()),
        ("transformers", !file.transformers.is_empty()),
        ("validators", !file.validators.is_empty()),
    ];
    match fields.iter().find(|(_, is_set)| *is_set) {
        Some((field, _)) => Err(Error::Unsupported(format!("the field {field}"))),
        None => Ok(()),
    }
}
