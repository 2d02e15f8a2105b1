//! What the layers of a build have come to so far.
//!
//! Some changes go over every object by itself and leave ids alone: labels, annotations, images.
//! They are put off until somebody looks at the objects, and are then made in one walk, each object
//! by all of them: a tower of overlays costs one way through memory, not one for each. In: objects
//! and changes. Out: objects with every change made, in the order in which they were asked for.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Error;
use crate::field::FieldSpec;
use crate::growth::Growth;
use crate::id::Scopes;
use crate::kustomization::Var;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::transform::images::NewImage;
use crate::transform::labels::Labelling;

/// What has been accumulated.
#[derive(Default)]
pub(crate) struct State {
    resources: Resources,
    late: Vec<Late>,
    pub config: Arc<Config>,
    pub vars: Vec<Var>,
}

/// A change that has been put off, and the file and field that ask for it.
struct Late {
    change: Change,
    file: String,
    field: &'static str,
}

/// A change of every object by itself.
pub(crate) enum Change {
    Labels(Labelling),
    Image(NewImage),
}

impl Change {
    /// Changes every object now.
    ///
    /// Fails when the change does not fit one.
    pub(crate) fn make_all(self, resources: &mut Resources, growth: &Growth) -> Result<(), Error> {
        let mut list = resources.places_mut(self.specs()).iter_mut();
        list.try_for_each(|resource| self.make(resource, growth))
    }

    fn specs(&self) -> &[FieldSpec] {
        match self {
            Self::Labels(labelling) => &labelling.specs,
            Self::Image(image) => &image.specs,
        }
    }

    fn may_change_ids(&self) -> bool {
        self.specs().iter().any(FieldSpec::may_change_ids)
    }

    fn make(&self, resource: &mut Resource, growth: &Growth) -> Result<(), Error> {
        match self {
            Self::Labels(labelling) => labelling.put(resource, growth),
            Self::Image(image) => image.put(resource, growth),
        }
    }
}

impl State {
    /// Returns the objects as they are after every change.
    ///
    /// Fails when a change that was put off does not fit; the error names what asked for it.
    pub(crate) fn resources(&mut self, growth: &Growth) -> Result<&mut Resources, Error> {
        if !self.late.is_empty() {
            let late = std::mem::take(&mut self.late);
            if late.iter().any(|one| one.change.may_change_ids()) {
                self.resources.forget();
            }
            for resource in self.resources.contents_mut() {
                for one in &late {
                    one.change
                        .make(resource, growth)
                        .map_err(|error| error.within(one.field).within(one.file.clone()))?;
                }
            }
        }
        Ok(&mut self.resources)
    }

    /// Returns the objects as [`State::resources`] does, and the places beside them.
    ///
    /// Fails as that does.
    pub(crate) fn parts(&mut self, growth: &Growth) -> Result<(&mut Resources, &Config), Error> {
        self.resources(growth)?;
        Ok((&mut self.resources, &self.config))
    }

    /// Puts a change off until the objects are looked at.
    pub(crate) fn put_off(&mut self, change: Change, file: &str, field: &'static str) {
        let file = file.to_owned();
        self.late.push(Late {
            change,
            file,
            field,
        });
    }

    /// Puts the objects of a base at the end; its places and variables stay with it.
    ///
    /// Fails when an object with the same id is there, and as [`State::resources`] does.
    pub(crate) fn take_objects(
        &mut self,
        below: &mut State,
        growth: &Growth,
        scopes: &Scopes,
    ) -> Result<(), Error> {
        if self.late.is_empty() && self.resources.len() == 0 && !below.late_may_change_ids() {
            self.resources = std::mem::take(&mut below.resources);
            self.late = std::mem::take(&mut below.late);
            return self.resources.check_ids(scopes);
        }
        let below = std::mem::take(below.resources(growth)?);
        self.resources(growth)?.append_all(below, scopes)
    }

    fn late_may_change_ids(&self) -> bool {
        self.late.iter().any(|one| one.change.may_change_ids())
    }
}
