//! One build: from the top kustomization down through its bases and back up to a list of objects.
//!
//! In: the view of the top folder and the options. Out: the objects in order. A layer is worked
//! off in a fixed order: resources, generators, components, transformers, validators; hashes,
//! references and variables are the top's alone.

use std::sync::{Arc, LazyLock};

use crate::absorb::absorb;
use crate::config::Config;
use crate::error::{Error, Place};
use crate::files::Kind;
use crate::generate::{self, Target};
use crate::growth::Growth;
use crate::id::Scopes;
use crate::kustomization::{FILE_NAMES, Kustomization};
use crate::load::{Entry, Layer};
use crate::options::Options;
use crate::order::{self, Order};
use crate::origin::{self, Origin};
use crate::patch::schema::{self, Schema};
use crate::resource::Resource;
use crate::state::State;
use crate::{crds, hash, plugins, read, references, remaining, vars};

/// How many kustomizations one build may load, those loaded again included.
const KUSTOMIZATIONS_MAX: usize = 5_000;
/// How many objects one build may read, those read again included.
const OBJECTS_MAX: usize = 1_000_000;
/// What one record of a transformer counts.
const RECORD_BYTES: u64 = 256;
/// The one version of the Kubernetes types that is built in.
const BUILTIN_SCHEMA: &str = "v1.21.2";
/// The places that kustomize knows; a constant that needs memory.
static DEFAULTS: LazyLock<Arc<Config>> = LazyLock::new(|| Arc::new(crate::defaults::config()));

/// What the top kustomization wants to know about where objects come from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Metadata {
    /// Anything was asked for, so origins are kept.
    pub tracked: bool,
    pub origin: bool,
    pub transformers: bool,
    pub managed_by: bool,
}

/// One build.
pub(crate) struct Build {
    pub scopes: Scopes,
    pub schema: Schema,
    pub metadata: Metadata,
    defaults: Arc<Config>,
    has_schema: bool,
    /// Whether the types of Kubernetes were looked at: then a schema that a base or component
    /// brings adds to them, otherwise it takes their place.
    pub used_schema: bool,
    n_kustomizations: usize,
    n_objects: usize,
    pub growth: Growth,
}

/// What a build comes to.
pub(crate) struct Built {
    pub resources: Vec<Resource>,
    pub metadata: Metadata,
    pub scopes: Scopes,
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
pub(crate) fn run(top: &Layer<'_>, options: &Options) -> Result<Built, Error> {
    let mut build = Build {
        scopes: Scopes::default(),
        schema: Schema::default(),
        metadata: Metadata::default(),
        defaults: DEFAULTS.clone(),
        has_schema: false,
        used_schema: false,
        n_kustomizations: 0,
        n_objects: 0,
        growth: Growth::default(),
    };
    let loaded = build.load(top)?;
    let place = top.tree_path(loaded.name);
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
        // The sorted list takes every id once.
        remaining::check_ids(list.iter(), &build.scopes)?;
        order::sort_legacy(&mut list, sort.as_ref());
    }
    Ok(Built {
        resources: list,
        metadata: build.metadata,
        scopes: build.scopes,
    })
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
                    .map_err(|error| error.within(layer.tree_path(name)))?;
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

    /// Takes the schema of a kustomization, unless one is in place already.
    ///
    /// Fails when the schema cannot be read or is not built in.
    fn take_schema(&mut self, layer: &Layer<'_>, file: &Kustomization) -> Result<(), Error> {
        let field = |name: &str| file.openapi.get(name).filter(|value| !value.is_empty());
        let path = match (field("path"), field("version")) {
            (Some(_), Some(_)) => {
                return Err(Error::invalid(
                    "builtin version and custom schema provided, cannot use both",
                ));
            }
            (None, Some(version)) if version != BUILTIN_SCHEMA => {
                return Err(Error::invalid(
                    "the specified OpenAPI version is not built in",
                ));
            }
            (None, version) => {
                self.has_schema |= version.is_some();
                return Ok(());
            }
            (Some(path), None) => path,
        };
        if self.has_schema {
            return Ok(());
        }
        self.has_schema = true;
        let text = layer.text(path)?;
        let document = yaml::to_values(&text).map_err(|source| Error::Yaml {
            file: path.clone(),
            source,
        })?;
        let document = document.into_iter().next().unwrap_or_default();
        self.scopes.added = schema::scopes(&document);
        let mut definitions = schema::Definitions::new(&document);
        definitions.over_builtin = self.used_schema;
        self.schema.replace(definitions);
        Ok(())
    }

    /// Adds what a kustomization makes to the state.
    fn accumulate(
        &mut self,
        layer: &Layer<'_>,
        loaded: Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        let place = layer.tree_path(loaded.name);
        self.take_schema(layer, &loaded.file)
            .map_err(|error| error.within("openapi").within(place.clone()))?;
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
        for (field, charts) in [
            ("helmCharts", &file.helm_charts),
            (
                "helmChartInflationGenerator",
                &file.helm_chart_inflation_generator,
            ),
        ] {
            if !charts.is_empty() {
                let problem = format!("must specify --enable-helm: the field {field}");
                return Err(Error::Unsupported(problem));
            }
        }
        self.add_resources(layer, &file.resources, state)
            .within(|| "resources".into())?;
        self.add_config(layer, file, state)?;
        self.generate(layer, loaded, state)?;
        self.add_components(layer, file, state)
            .within(|| "components".into())?;
        self.transform(layer, loaded, state)?;
        let configs = self
            .plugins(layer, loaded, &file.transformers)
            .within(|| "transformers".into())?;
        self.run_plugins(layer, &configs, state)
            .within(|| "transformers".into())?;
        self.validate(layer, loaded, state)
            .within(|| "validators".into())?;
        self.record_vars(file, state).within(|| "vars".into())
    }

    fn record_vars(&self, file: &Kustomization, state: &mut State) -> Result<(), Error> {
        if file.vars.is_empty() {
            return Ok(());
        }
        let mut vars = std::mem::take(&mut state.vars);
        let resources = state.resources(&self.growth)?;
        vars::record(&mut vars, &file.vars, resources, &self.scopes)?;
        state.vars = vars;
        Ok(())
    }

    /// Runs the configured validators, which must leave the objects as they are.
    fn validate(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        state: &mut State,
    ) -> Result<(), Error> {
        if loaded.file.validators.is_empty() {
            return Ok(());
        }
        let configs = self.plugins(layer, loaded, &loaded.file.validators)?;
        let resources = state.resources(&self.growth)?;
        let before: Vec<yaml::Node> = resources
            .iter()
            .map(|resource| {
                let mut node = resource.node.clone();
                crate::shared::part(&mut node);
                node
            })
            .collect();
        // A validator is not recorded.
        for (validator, _) in configured(layer, &configs)? {
            validator.run(resources, self.context())?;
        }
        let is_same = before.len() == resources.len()
            && resources
                .iter()
                .zip(&before)
                .all(|(now, before)| unvalidated(now) == *before);
        if is_same {
            Ok(())
        } else {
            Err(Error::invalid(
                "validator shouldn't modify the resource map",
            ))
        }
    }

    /// Returns the objects that configure plugins: texts in the file, files and folders.
    fn plugins(
        &mut self,
        layer: &Layer<'_>,
        loaded: &Loaded,
        entries: &[String],
    ) -> Result<Vec<Resource>, Error> {
        let mut state = State::default();
        let mut paths = Vec::new();
        let origin = Origin::file(&layer.shown_path(loaded.name));
        for entry in entries {
            match read::resources(entry, "inline configuration") {
                Ok(inline) if !inline.is_empty() => {
                    for mut resource in inline {
                        resource.origin = self.metadata.tracked.then(|| origin.clone());
                        let resources = state.resources(&self.growth)?;
                        resources.append(resource, &self.scopes)?;
                    }
                }
                _ => paths.push(entry.clone()),
            }
        }
        self.add_resources(layer, &paths, &mut state)?;
        Ok(std::mem::take(state.resources(&self.growth)?).into_list())
    }

    fn run_plugins(
        &self,
        layer: &Layer<'_>,
        configs: &[Resource],
        state: &mut State,
    ) -> Result<(), Error> {
        for (transformer, origin) in configured(layer, configs)? {
            transformer.run(state.resources(&self.growth)?, self.context())?;
            self.record(state, &origin)?;
        }
        Ok(())
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
            merge_config(&mut state.config, self.defaults.clone())?;
        } else {
            own.merge(&self.defaults)
                .within(|| "configurations".into())?;
            merge_config(&mut state.config, Arc::new(own)).within(|| "configurations".into())?;
        }
        for path in &file.crds {
            let text = layer.text(path).within(|| "crds".into())?;
            let config = crds::read(&text).within(|| format!("crds {path}"))?;
            merge_config(&mut state.config, Arc::new(config)).within(|| "crds".into())?;
        }
        Ok(())
    }

    fn add_resources(
        &mut self,
        layer: &Layer<'_>,
        paths: &[String],
        state: &mut State,
    ) -> Result<(), Error> {
        for path in paths {
            match layer.entry(path)? {
                Entry::File(text) => {
                    let origin = self
                        .metadata
                        .tracked
                        .then(|| Origin::file(&layer.shown_path(path)));
                    for mut resource in read::resources(&text, path)? {
                        if origin.is_some() {
                            resource.drop_blank_annotations();
                        }
                        resource.origin.clone_from(&origin);
                        self.used_schema |= !schema::is_known(&resource);
                        self.n_objects += 1;
                        if self.n_objects > OBJECTS_MAX {
                            return Err(Error::invalid("too many objects"));
                        }
                        let resources = state.resources(&self.growth)?;
                        resources
                            .append(resource, &self.scopes)
                            .within(|| path.clone())?;
                    }
                }
                Entry::Folder(child) => {
                    let mut below = self.accumulate_base(&child)?;
                    state
                        .take_objects(&mut below, &self.growth, &self.scopes)
                        .within(|| path.clone())?;
                    merge_config(&mut state.config, below.config).within(|| path.clone())?;
                    vars::merge(&mut state.vars, below.vars).within(|| path.clone())?;
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
            absorb(state.resources(&self.growth)?, resource, &self.scopes).within(place)?;
        }
        let place = || "generators".into();
        for config in self
            .plugins(layer, loaded, &file.generators)
            .within(place)?
        {
            let place = || format!("generators {} {}", config.kind(), config.name());
            let mut resource = plugins::run_generator(&config, layer).within(place)?;
            if self.metadata.tracked {
                resource.origin = Some(Origin::plugin(&config));
            }
            absorb(state.resources(&self.growth)?, resource, &self.scopes).within(place)?;
        }
        Ok(())
    }

    /// Records that a transformer went over every object.
    ///
    /// Fails when the records take too much.
    pub(crate) fn record(&self, state: &mut State, transformer: &Origin) -> Result<(), Error> {
        if self.metadata.tracked {
            for resource in state.resources(&self.growth)?.contents_mut() {
                self.growth.add(RECORD_BYTES).map_err(Error::Invalid)?;
                origin::record(resource, transformer);
                resource.write_strings("annotations");
            }
        }
        Ok(())
    }

    /// Does what is done once, when every layer is accumulated.
    fn finish(&self, mut state: State) -> Result<Vec<Resource>, Error> {
        let mut list = std::mem::take(state.resources(&self.growth)?).into_list();
        let State { config, vars, .. } = state;
        add_hashes(&mut list, &self.scopes)?;
        references::fix(&mut list, &config, &self.scopes)?;
        vars::resolve(&mut list, &vars, &config, &self.growth)?;
        remaining::keep(&mut list, &self.scopes)?;
        Ok(list)
    }
}

/// Returns the transformers that objects configure, and how records name them.
fn configured(
    layer: &Layer<'_>,
    configs: &[Resource],
) -> Result<Vec<(plugins::Transformer, Origin)>, Error> {
    let each = configs.iter().map(|config| {
        let transformer = plugins::configure(config, layer)
            .within(|| format!("{} {}", config.kind(), config.name()))?;
        Ok((transformer, Origin::plugin(config)))
    });
    each.collect()
}

/// Adds places to those of a state, which may be the same ones.
fn merge_config(own: &mut Arc<Config>, other: Arc<Config>) -> Result<(), Error> {
    if Arc::ptr_eq(own, &other) {
        return Ok(());
    }
    if own.is_empty() {
        *own = other;
        return Ok(());
    }
    Arc::make_mut(own).merge(&other)
}

/// Gives every object that asks for it the hash of its content as the end of its name.
///
/// Fails when the content cannot be in a result.
pub(crate) fn add_hashes(list: &mut [Resource], scopes: &Scopes) -> Result<(), Error> {
    for resource in list.iter_mut().filter(|resource| resource.needs_hash) {
        let hash = hash::hash(resource).within(|| resource.id().to_string())?;
        let name = format!("{}-{hash}", resource.name());
        resource.remember_id(scopes);
        resource.set_name(&name);
    }
    Ok(())
}

/// Returns an object without the label that validators may add. Like kustomize, it writes the
/// other labels anew then, which counts as a change where they were written otherwise.
fn unvalidated(resource: &Resource) -> yaml::Node {
    let mut resource = resource.clone();
    if resource.string("labels", "validated-by").is_some() {
        resource.write_strings("labels");
        if let Some(metadata) = resource.node.get_mut("metadata") {
            if let Some(labels) = metadata.get_mut("labels") {
                crate::resource::remove_field(labels, "validated-by");
            }
            if metadata
                .get("labels")
                .is_some_and(crate::resource::is_blank)
            {
                crate::resource::remove_field(metadata, "labels");
            }
        }
    }
    crate::shared::part(&mut resource.node);
    resource.node
}
