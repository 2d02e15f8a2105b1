//! The document of version 2 as protobuf, which older `kubectl` asks for.
//!
//! A document comes in as JSON, the message `openapi.v2.Document` goes out. Only the fields that
//! our documents have are written; values of any shape go as YAML, which JSON is.

use serde_json::Value;

/// The wire types that are used.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

/// Texts of a schema: the keyword and its field number.
const TEXTS: [(&str, u64); 5] = [
    ("$ref", 1),
    ("format", 2),
    ("title", 3),
    ("description", 4),
    ("pattern", 13),
];

/// Counts of a schema.
const COUNTS: [(&str, u64); 6] = [
    ("maxLength", 11),
    ("minLength", 12),
    ("maxItems", 14),
    ("minItems", 15),
    ("maxProperties", 17),
    ("minProperties", 18),
];

/// Numbers of a schema.
const NUMBERS: [(&str, u64); 3] = [("multipleOf", 6), ("maximum", 7), ("minimum", 9)];

/// Flags of a schema.
const FLAGS: [(&str, u64); 3] = [
    ("exclusiveMaximum", 8),
    ("exclusiveMinimum", 10),
    ("uniqueItems", 16),
];

/// Operations of a path.
const OPERATIONS: [(&str, u64); 5] = [
    ("get", 2),
    ("put", 3),
    ("post", 4),
    ("delete", 5),
    ("patch", 8),
];

/// Returns a document of version 2 as protobuf.
pub(super) fn encode(document: &Value) -> Vec<u8> {
    let mut out = Message::default();
    out.text(1, &document["swagger"]);
    let mut info = Message::default();
    info.text(1, &document["info"]["title"]);
    info.text(2, &document["info"]["version"]);
    out.message(2, info);
    let mut paths = Message::default();
    for (name, item) in entries(&document["paths"]) {
        paths.named(2, name, path_item(item));
    }
    out.message(8, paths);
    let mut definitions = Message::default();
    for (name, node) in entries(&document["definitions"]) {
        definitions.named(1, name, schema(node));
    }
    out.message(9, definitions);
    out.0
}

/// A protobuf message while it is written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn message(&mut self, field: u64, message: Self) {
        self.bytes(field, &message.0);
    }

    /// Writes a text where there is one.
    fn text(&mut self, field: u64, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u64, value: &Value) {
        for item in value.as_array().into_iter().flatten() {
            self.text(field, item);
        }
    }

    /// Writes an entry of a map: a name and a message.
    fn named(&mut self, field: u64, name: &str, value: Self) {
        let mut entry = Self::default();
        entry.bytes(1, name.as_bytes());
        entry.message(2, value);
        self.message(field, entry);
    }

    /// Writes the keys that begin with `x-`.
    fn extensions(&mut self, field: u64, node: &Value) {
        for (name, value) in entries(node).filter(|(name, _)| name.starts_with("x-")) {
            self.named(field, name, any(value));
        }
    }
}

fn entries(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flatten()
}

fn any(value: &Value) -> Message {
    let mut out = Message::default();
    out.bytes(2, value.to_string().as_bytes());
    out
}

fn schema(node: &Value) -> Message {
    let mut out = Message::default();
    for (key, field) in TEXTS {
        out.text(field, &node[key]);
    }
    for (key, field) in COUNTS {
        if let Some(count) = node[key].as_u64() {
            out.key(field, VARINT);
            out.varint(count);
        }
    }
    for (key, field) in NUMBERS {
        if let Some(number) = node[key].as_f64() {
            out.key(field, FIXED64);
            out.0.extend_from_slice(&number.to_le_bytes());
        }
    }
    for (key, field) in FLAGS {
        if node[key] == true {
            out.key(field, VARINT);
            out.varint(1);
        }
    }
    if !node["default"].is_null() {
        out.message(5, any(&node["default"]));
    }
    out.texts(19, &node["required"]);
    for value in node["enum"].as_array().into_iter().flatten() {
        out.message(20, any(value));
    }
    parts(node, &mut out);
    out.extensions(31, node);
    out
}

/// Writes the schemas that a schema is made of.
fn parts(node: &Value, out: &mut Message) {
    if node["additionalProperties"].is_object() {
        let mut item = Message::default();
        item.message(1, schema(&node["additionalProperties"]));
        out.message(21, item);
    }
    if node["type"].is_string() {
        let mut item = Message::default();
        item.text(1, &node["type"]);
        out.message(22, item);
    }
    if node["items"].is_object() {
        let mut item = Message::default();
        item.message(1, schema(&node["items"]));
        out.message(23, item);
    }
    if node["properties"].is_object() {
        let mut properties = Message::default();
        for (name, child) in entries(&node["properties"]) {
            properties.named(1, name, schema(child));
        }
        out.message(25, properties);
    }
}

fn path_item(node: &Value) -> Message {
    let mut out = Message::default();
    for (key, field) in OPERATIONS {
        if node[key].is_object() {
            out.message(field, operation(&node[key]));
        }
    }
    out
}

fn operation(node: &Value) -> Message {
    let mut out = Message::default();
    for parameter in node["parameters"].as_array().into_iter().flatten() {
        let mut query = Message::default();
        query.text(2, &parameter["in"]);
        query.text(4, &parameter["name"]);
        query.text(6, &parameter["type"]);
        // The choices: a parameter, that is not the body, that is in the query.
        let mut wrapped = query;
        for field in [3, 2, 1] {
            let mut outer = Message::default();
            outer.message(field, wrapped);
            wrapped = outer;
        }
        out.message(8, wrapped);
    }
    out.extensions(13, node);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::encode;

    #[test]
    fn a_small_document_has_the_expected_bytes() {
        let document = json!({
            "swagger": "2.0", "info": { "title": "t", "version": "v" },
            "definitions": { "d": { "type": "string" } },
        });
        let want: &[u8] = &[
            0x0a, 3, b'2', b'.', b'0', // swagger
            0x12, 6, 0x0a, 1, b't', 0x12, 1, b'v', // info
            0x42, 0, // paths
            0x4a, 18, 0x0a, 16, 0x0a, 1, b'd', 0x12, 11, // definitions, entry
            0xb2, 0x01, 8, 0x0a, 6, b's', b't', b'r', b'i', b'n', b'g', // type
        ];
        assert_eq!(encode(&document), want);
    }
}
