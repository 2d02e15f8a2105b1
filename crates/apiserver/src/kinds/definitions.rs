//! The OpenAPI definitions of Kubernetes that are packed into the crate.
//!
//! They are unpacked once, on first use. `data/generate.py` makes the packed file.

use std::io::Read;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

use crate::schema::{Definitions, Schema};

/// The name of the definition of `metadata`.
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

static PACKED: &[u8] = include_bytes!("../../data/definitions.json.gz");

static SOURCE: LazyLock<Map<String, Value>> = LazyLock::new(unpack);

static TREES: LazyLock<Mutex<Definitions<'static>>> =
    LazyLock::new(|| Mutex::new(Definitions::new(&SOURCE)));

fn unpack() -> Map<String, Value> {
    let mut text = Vec::new();
    GzDecoder::new(PACKED)
        .read_to_end(&mut text)
        .expect("because the packed definitions are part of the crate");
    serde_json::from_slice(&text).expect("because the packed definitions are one JSON object")
}

/// Returns the tree of a definition.
pub(crate) fn schema(name: &str) -> Arc<Schema> {
    let mut trees = TREES.lock().unwrap_or_else(PoisonError::into_inner);
    trees.schema(name)
}

/// Returns the tree of `metadata`.
pub(crate) fn object_meta() -> Arc<Schema> {
    schema(OBJECT_META)
}

/// Returns a definition as it is written in OpenAPI.
pub(crate) fn source(name: &str) -> Option<&'static Value> {
    SOURCE.get(name)
}

/// Returns the description of `Definition.field`, where the definition ends so, such as
/// `meta.v1.ObjectMeta.name`; empty when there is none.
pub(crate) fn describe(place: &str) -> String {
    let Some((definition, field)) = place.rsplit_once('.') else {
        return String::new();
    };
    let suffix = format!(".{definition}");
    let node = SOURCE.iter().find(|(name, _)| name.ends_with(&suffix));
    node.and_then(|(_, node)| {
        node.get("properties")?
            .get(field)?
            .get("description")?
            .as_str()
    })
    .unwrap_or_default()
    .to_owned()
}
