//! `kustomize build`: files in, objects out.
//!
//! [`build`] works on any tree of [`Files`] and returns the objects in order; [`render`] prints
//! them byte for byte as kustomize does. [`FolderFiles`] is a folder on disk, [`MemoryFiles`] a
//! tree in memory. Nothing else is read: no network, no environment, no programs are run.
//!
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod absorb;
mod bookkeeping;
mod branches;
mod build;
mod config;
mod crds;
mod decode;
mod defaults;
mod error;
mod field;
mod fields;
mod files;
mod folder;
mod generate;
mod go_json;
mod growth;
mod hash;
mod id;
mod kustomization;
mod load;
mod options;
mod order;
mod origin;
mod output;
mod patch;
mod plugins;
mod read;
mod references;
mod remaining;
mod remote;
mod replacements;
mod resource;
mod resources;
mod select;
mod separate;
mod shared;
mod state;
mod transform;
mod value;
mod vars;

pub use error::Error;
pub use files::{FILE_BYTES_MAX, FileError, Files, Found, Kind, LINKS_MAX, MemoryFiles};
pub use folder::FolderFiles;
pub use options::{LoadRestrictor, Options, Order};
pub use output::{Object, render};
pub use separate::render_files;

/// Returns the objects that the kustomization in the folder `path` makes.
///
/// Fails at the first thing that is wrong, or that this engine does not support; the error names
/// the file and the field.
pub fn build(files: &dyn Files, path: &str, options: &Options) -> Result<Vec<Object>, Error> {
    let top = load::Layer::top(files, path, options.load_restrictor)?;
    let built = build::run(&top, options)?;
    let resources = built.resources.into_iter();
    resources
        .map(|resource| output::finish(resource, built.metadata, &built.scopes))
        .collect()
}
