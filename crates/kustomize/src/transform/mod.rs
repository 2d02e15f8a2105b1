//! The transformers that walk over places in objects, one file each.
//!
//! Each takes the objects of a layer and changes them in place. None looks at files.

pub(crate) mod images;
pub(crate) mod labels;
pub(crate) mod name;
pub(crate) mod namespace;
pub(crate) mod replicas;
pub(crate) mod value_add;
