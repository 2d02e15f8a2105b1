//! The hash of content that generated names end in.
//!
//! In: a ConfigMap or Secret. Out: ten characters over its data, its type and its kind; the name
//! does not count.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::resource::Resource;
use crate::value;

/// Returns the hash of the content of an object.
///
/// Fails when the data cannot be in a result.
pub(crate) fn hash(resource: &Resource) -> Result<String, String> {
    let field = |name: &str| {
        let node = resource.node.get(name);
        // Of a scalar the text counts, whatever it means.
        match node.and_then(yaml::Node::text) {
            Some(text) => Ok(Some(text.into())),
            None => node.cloned().map(value::from_node).transpose(),
        }
    };
    let kind = resource.kind();
    let content = match kind {
        "ConfigMap" => {
            let mut content = json!({"kind": kind, "name": "", "data": text(field("data")?)});
            if let Some(binary) = field("binaryData")? {
                content["binaryData"] = binary;
            }
            content
        }
        "Secret" => {
            let mut content = json!({
                "kind": kind,
                "name": "",
                "data": text(field("data")?),
                "type": text(field("type")?),
            });
            if let Some(strings) = field("stringData")? {
                content["stringData"] = strings;
            }
            content
        }
        _ => value::from_object(resource.node.clone())?,
    };
    Ok(encode(&crate::go_json::to_string(&content)))
}

fn text(value: Option<Value>) -> Value {
    value.unwrap_or_else(|| "".into())
}

fn encode(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex = digest
        .iter()
        .take(5)
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    let letters = hex.chars().map(|c| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        c => c,
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let mut node = yaml::node::read_first(text).expect(text).expect(text);
        node.settle_tags();
        assert_eq!(hash(&Resource::new(node)).as_deref(), Ok(want), "{text}");
    }

    #[test]
    fn the_hash_is_over_data_kind_and_type_only() {
        check("{kind: ConfigMap, metadata: {name: a}}", "6ct58987ht");
        check(
            "{kind: Secret, metadata: {name: b}, type: Opaque, data: {}}",
            "46f8b28mk5",
        );
    }
}
