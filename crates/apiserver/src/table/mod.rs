//! The `Table` representation: what `kubectl get` prints.
//!
//! Objects come in with their row, cells go out. Ages are counted to the `now` that is passed in.

mod age;
mod columns;
mod json_path;
mod others;
mod render;
mod storage;
mod workloads;

pub use age::human_duration;
pub use columns::builtin_columns;
pub use json_path::JsonPath;
pub use render::{Include, render};
