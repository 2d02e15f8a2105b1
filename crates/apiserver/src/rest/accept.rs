//! Which representation a client wants: the first of its list that there is.
//!
//! Pure: the `Accept` header comes in, an [`Accept`] goes out, or 406.

use crate::error::ApiError;

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    #[default]
    Json,
    Yaml,
}

/// In which shape objects are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shape {
    /// As they are.
    #[default]
    Plain,
    /// As a `Table`; the version is `v1` or `v1beta1`.
    Table(&'static str),
    /// Their metadata alone; the version is `v1` or `v1beta1`.
    Partial(&'static str),
    /// Discovery in one document; the version is `v2` or `v2beta1`.
    Discovery(&'static str),
}

/// What the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Accept {
    pub(crate) format: Format,
    pub(crate) shape: Shape,
}

/// Which shapes an endpoint can answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offers {
    /// Objects and lists.
    Objects,
    /// `/api` and `/apis`.
    Discovery,
    /// One shape only.
    Plain,
}

/// Returns the first representation of the header that there is; 406 when there is none.
pub(crate) fn accept(header: &str, offers: Offers) -> Result<Accept, ApiError> {
    if header.trim().is_empty() {
        return Ok(Accept::default());
    }
    let found = header.split(',').find_map(|range| choose(range, offers));
    found.ok_or_else(|| {
        let text =
            "only the following media types are accepted: application/json, application/yaml";
        ApiError::new(406, "NotAcceptable", text)
    })
}

fn choose(range: &str, offers: Offers) -> Option<Accept> {
    let mut parts = range.split(';').map(str::trim);
    let format = match parts.next()? {
        "application/json" | "*/*" | "application/*" => Format::Json,
        "application/yaml" => Format::Yaml,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = ("", "", "");
    for part in parts {
        match part.split_once('=')? {
            ("as", value) => kind = value,
            ("g", value) => group = value,
            ("v", value) => version = value,
            _ => {}
        }
    }
    let meta = group == "meta.k8s.io" && offers == Offers::Objects;
    let shape = match (kind, version) {
        ("", _) => Shape::Plain,
        ("Table", "v1") if meta => Shape::Table("v1"),
        ("Table", "v1beta1") if meta => Shape::Table("v1beta1"),
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "v1") if meta => {
            Shape::Partial("v1")
        }
        ("PartialObjectMetadata" | "PartialObjectMetadataList", "v1beta1") if meta => {
            Shape::Partial("v1beta1")
        }
        ("APIGroupDiscoveryList", v)
            if offers == Offers::Discovery && group == "apidiscovery.k8s.io" =>
        {
            match v {
                "v2" => Shape::Discovery("v2"),
                "v2beta1" => Shape::Discovery("v2beta1"),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Accept { format, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_representation_there_is_wins() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let got = accept(table, Offers::Objects).expect("a table");
        assert_eq!(got.shape, Shape::Table("v1"));
        let got = accept(table, Offers::Discovery).expect("plain");
        assert_eq!(got.shape, Shape::Plain);
        let typed = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(
            accept(typed, Offers::Objects).expect("json"),
            Accept::default()
        );
        assert_eq!(
            accept("text/html", Offers::Objects).expect_err("none").code,
            406
        );
    }
}
