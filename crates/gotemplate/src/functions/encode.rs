//! sprig's functions that encode: JSON, base64 and base32, sums, URLs.
//!
//! In: arguments. Out: text and what is read of it. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;
use sha2::{Digest, Sha256, Sha512};

use super::builtin::url_escaped;
use super::{Called, Row, any_at, list, text, text_at};
use crate::DEPTH_MAX;
use crate::exec::{Fault, Memory};
use crate::float::{exponent_text, float_text};
use crate::value::Value;

/// Letters of base32.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub(super) const FUNCTIONS: &[Row] = &[
    ("toJson", "a", |m, a| json_or_empty(m, a, JSON)),
    ("toPrettyJson", "a", |m, a| json_or_empty(m, a, PRETTY)),
    ("toRawJson", "a", |m, a| json_or_empty(m, a, RAW)),
    ("mustToJson", "a", |m, a| json_text(m, a, JSON)),
    ("mustToPrettyJson", "a", |m, a| json_text(m, a, PRETTY)),
    ("mustToRawJson", "a", |m, a| json_text(m, a, RAW)),
    ("fromJson", "s", |m, a| match from_json(m, text_at(a, 0)) {
        Err(Fault::Said(_)) => Ok(Value::Nil),
        other => other,
    }),
    ("mustFromJson", "s", |m, a| from_json(m, text_at(a, 0))),
    ("b64enc", "s", |m, a| {
        text(m, &STANDARD.encode(text_at(a, 0)))
    }),
    ("b64dec", "s", |m, a| {
        let decoded = from_base64(text_at(a, 0));
        text(m, &decoded)
    }),
    ("b32enc", "s", |m, a| {
        text(m, &to_base32(text_at(a, 0).as_bytes()))
    }),
    ("b32dec", "s", |m, a| {
        let decoded = from_base32(text_at(a, 0));
        text(m, &decoded)
    }),
    ("sha1sum", "s", |m, a| {
        text(m, &hex(&sha1(text_at(a, 0).as_bytes())))
    }),
    ("sha256sum", "s", |m, a| {
        text(m, &hex(&Sha256::digest(text_at(a, 0))))
    }),
    ("sha512sum", "s", |m, a| {
        text(m, &hex(&Sha512::digest(text_at(a, 0))))
    }),
    ("adler32sum", "s", |m, a| {
        text(m, &adler32(text_at(a, 0).as_bytes()).to_string())
    }),
    ("urlJoin", "d", url_join),
];

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// How JSON is written.
#[derive(Clone, Copy)]
struct Style {
    is_pretty: bool,
    hides_html: bool,
}

const JSON: Style = Style {
    is_pretty: false,
    hides_html: true,
};
const PRETTY: Style = Style {
    is_pretty: true,
    hides_html: true,
};
const RAW: Style = Style {
    is_pretty: false,
    hides_html: false,
};

fn json_or_empty(memory: &mut Memory, a: &[Value], style: Style) -> Called {
    match json_text(memory, a, style) {
        Err(Fault::Said(_)) => Ok(Value::text("")),
        other => other,
    }
}

fn json_text(memory: &mut Memory, a: &[Value], style: Style) -> Called {
    let mut writer = JsonWriter {
        style,
        out: String::new(),
    };
    writer.value(memory, any_at(a, 0), 0)?;
    text(memory, &writer.out)
}

struct JsonWriter {
    style: Style,
    out: String,
}

impl JsonWriter {
    fn value(&mut self, memory: &mut Memory, value: &Value, depth: usize) -> Result<(), Fault> {
        memory.charge(1)?;
        if depth > DEPTH_MAX || self.out.len() > memory.limits.output_bytes {
            return Err(Fault::Limit(
                "JSON is too large or nested too deep".to_owned(),
            ));
        }
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(value) => self.out.push_str(&value.to_string()),
            Value::Int(value, _) => self.out.push_str(&value.to_string()),
            Value::Float(value) if value.is_finite() => self.out.push_str(&number(*value)),
            Value::Float(value) => {
                let value = float_text(*value, None);
                return Err(format!("json: unsupported value: {value}").into());
            }
            Value::Complex(..) => return Err("json: unsupported type: complex128".into()),
            Value::Text(text) => self.text(text),
            Value::Time(time) => self.text(&time.to_rfc3339()),
            Value::List(list) => {
                self.open("[", list.items.is_empty(), depth);
                for (n, item) in list.items.iter().enumerate() {
                    self.next(n, depth);
                    self.value(memory, item, depth + 1)?;
                }
                self.close("]", list.items.is_empty(), depth);
            }
            Value::Map(map) if map.is_nil => self.out.push_str("null"),
            Value::Map(map) if !map.has_text_keys => {
                let type_name = &map.type_name;
                return Err(format!("json: unsupported type: {type_name}").into());
            }
            Value::Map(map) => {
                let entries = map.entries.iter();
                let entries = entries.map(|(key, value)| match key {
                    Value::Text(key) => (key.to_string(), value.clone()),
                    _ => (String::new(), value.clone()),
                });
                let entries: Vec<_> = entries.collect();
                self.object(memory, &entries, depth)?;
            }
            Value::Dict(dict) => {
                let entries: Vec<_> = memory.dicts[dict.0].clone().into_iter().collect();
                self.object(memory, &entries, depth)?;
            }
            Value::Struct(structure) => match &structure.display {
                Some(display) if structure.fields.is_empty() => self.text(display),
                _ => {
                    let fields = structure.fields.iter();
                    let fields = fields.map(|field| (field.name.clone(), field.value.clone()));
                    let fields: Vec<_> = fields.collect();
                    self.object(memory, &fields, depth)?;
                }
            },
        }
        Ok(())
    }

    fn object(
        &mut self,
        memory: &mut Memory,
        entries: &[(String, Value)],
        depth: usize,
    ) -> Result<(), Fault> {
        self.open("{", entries.is_empty(), depth);
        for (n, (key, value)) in entries.iter().enumerate() {
            self.next(n, depth);
            self.text(key);
            self.out
                .push_str(if self.style.is_pretty { ": " } else { ":" });
            self.value(memory, value, depth + 1)?;
        }
        self.close("}", entries.is_empty(), depth);
        Ok(())
    }

    fn open(&mut self, sign: &str, is_empty: bool, depth: usize) {
        self.out.push_str(sign);
        if self.style.is_pretty && !is_empty {
            self.line(depth + 1);
        }
    }

    fn next(&mut self, n: usize, depth: usize) {
        if n > 0 {
            self.out.push(',');
            if self.style.is_pretty {
                self.line(depth + 1);
            }
        }
    }

    fn close(&mut self, sign: &str, is_empty: bool, depth: usize) {
        if self.style.is_pretty && !is_empty {
            self.line(depth);
        }
        self.out.push_str(sign);
    }

    fn line(&mut self, depth: usize) {
        self.out.push('\n');
        self.out.push_str(&"  ".repeat(depth));
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if c < ' '
                    || matches!(c, '\u{2028}' | '\u{2029}')
                    || (self.style.hides_html && matches!(c, '<' | '>' | '&')) =>
                {
                    // Writing to a String cannot fail.
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// Prints a float as JSON has it: an exponent only for the very large and small.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = exponent_text(value, None);
        return text.replace("e-0", "e-");
    }
    value.to_string()
}

fn from_json(memory: &mut Memory, text: &str) -> Called {
    let json: Json = serde_json::from_str(text).map_err(|error| match error.is_eof() {
        true => "unexpected end of JSON input".to_owned(),
        false => format!("invalid JSON: {error}"),
    })?;
    of_json(memory, json)
}

fn of_json(memory: &mut Memory, json: Json) -> Called {
    match json {
        Json::Null => Ok(Value::Nil),
        Json::Bool(value) => Ok(Value::Bool(value)),
        Json::Number(number) => Ok(Value::Float(number.as_f64().unwrap_or(0.0))),
        Json::String(value) => text(memory, &value),
        Json::Array(values) => {
            let mut items = Vec::with_capacity(values.len());
            for value in values {
                items.push(of_json(memory, value)?);
            }
            list(memory, items)
        }
        Json::Object(map) => {
            let mut entries = BTreeMap::new();
            for (key, value) in map {
                entries.insert(key, of_json(memory, value)?);
            }
            memory.dict(entries)
        }
    }
}

fn from_base64(text: &str) -> String {
    match STANDARD.decode(text) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            let at = match error {
                base64::DecodeError::InvalidByte(at, _)
                | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => at,
                _ => text.len().saturating_sub(text.len() % 4),
            };
            format!("illegal base64 data at input byte {at}")
        }
    }
}

fn to_base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0_u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let n_letters = (chunk.len() * 8).div_ceil(5);
        for n in 0..8 {
            match n < n_letters {
                true => {
                    let letter = (bits >> (35 - 5 * n)) & 31;
                    out.push(char::from(LETTERS[usize::try_from(letter).unwrap_or(0)]));
                }
                false => out.push('='),
            }
        }
    }
    out
}

fn from_base32(text: &str) -> String {
    let mut bytes = Vec::new();
    let (mut bits, mut n_bits) = (0_u32, 0);
    for (at, letter) in text.trim_end_matches('=').bytes().enumerate() {
        let Some(value) = (0_u32..32).zip(LETTERS).find(|(_, l)| **l == letter) else {
            return format!("illegal base32 data at input byte {at}");
        };
        bits = (bits << 5) | value.0;
        n_bits += 5;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push(u8::try_from((bits >> n_bits) & 255).unwrap_or(0));
        }
        bits &= 255;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    (b << 16) | a
}

/// SHA-1, for names only: nothing is trusted because of it.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let n_bits = u64::try_from(bytes.len()).unwrap_or(0).wrapping_mul(8);
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&n_bits.to_be_bytes());
    for block in message.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = bytes
                .iter()
                .fold(0, |word, byte| (word << 8) | u32::from(*byte));
        }
        for n in 16..80 {
            let mixed = words[n - 3] ^ words[n - 8] ^ words[n - 14] ^ words[n - 16];
            words[n] = mixed.rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (n, word) in words.iter().enumerate() {
            let (mix, key) = match n {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mix)
                .wrapping_add(e)
                .wrapping_add(key)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, part) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(part);
        }
    }
    let mut sum = [0; 20];
    for (bytes, word) in sum.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    sum
}

fn url_join(memory: &mut Memory, a: &[Value]) -> Called {
    let parts = match any_at(a, 0) {
        Value::Dict(dict) => memory.dicts[dict.0].clone(),
        _ => BTreeMap::new(),
    };
    let part = |name: &str| match parts.get(name) {
        Some(Value::Text(text)) => text.to_string(),
        _ => String::new(),
    };
    let mut url = String::new();
    if !part("scheme").is_empty() {
        let _ = write!(url, "{}:", part("scheme"));
    }
    let user = part("userinfo");
    if !part("host").is_empty() || !user.is_empty() {
        url.push_str("//");
        if !user.is_empty() {
            let _ = write!(url, "{user}@");
        }
        url.push_str(&part("host"));
    }
    let path: Vec<String> = part("path")
        .split('/')
        .map(|step| url_escaped(step).replace('+', "%20"))
        .collect();
    let path = path.join("/");
    if !part("host").is_empty() && !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    url.push_str(&path);
    if !part("query").is_empty() {
        let _ = write!(url, "?{}", part("query"));
    }
    if !part("fragment").is_empty() {
        let _ = write!(url, "#{}", part("fragment"));
    }
    text(memory, &url)
}
