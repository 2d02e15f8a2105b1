//! Writes the tags that policies chose into the scalars that carry their markers.
//!
//! In: a tree of files, the path to begin at, and what each policy chose. Out: the files that
//! change with their new bytes, a report of every change in the order of the text, and what has no
//! effect: markers that name nothing, files that are not YAML, links that lead out of the tree.
//! Only the bytes of marked scalars change. It never touches a file system or a repository: the
//! caller hands in a [`Files`] and writes what comes out.

mod file;
mod marker;
mod setters;
mod survey;
mod visit;

pub use file::{Change, Ineffective, ObjectChanges, ObjectId, Problem, Rewritten, rewrite, survey};
pub use marker::Reason;
pub use setters::{Error as SettersError, PolicyChoice, Setters};
pub use survey::{Named, RULES, Survey};
pub use visit::{Error, FileReport, Files, Kind, Report, is_candidate, run};
