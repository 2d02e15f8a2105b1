//! Puts a table together from a row's columns and the cells of each object.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::age;
use super::columns::builtin_columns;
use super::json_path::JsonPath;
use super::{others, storage, workloads};
use crate::kinds::{Column, TypeInfo, describe};

/// What a row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// The object as `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// Returns a `Table` with one row for each item.
pub fn render(
    kind: &TypeInfo,
    items: &[Value],
    list_meta: Value,
    include: Include,
    now: DateTime<Utc>,
) -> Value {
    // The `scale` subresource of any kind answers with objects of one kind.
    let scale = items.first().is_some_and(|item| item["kind"] == "Scale");
    let columns = if scale {
        with_name(builtin_columns("Scale"))
    } else {
        columns(kind)
    };
    let paths: Vec<Option<JsonPath>> = columns
        .iter()
        .map(|column| JsonPath::parse(&column.json_path).ok())
        .collect();
    let rows: Vec<Value> = items
        .iter()
        .map(|item| {
            let cells = if scale {
                scale_cells(item, now)
            } else if kind.custom {
                custom_cells(item, &columns, &paths, now)
            } else {
                builtin_cells(kind, item, now)
            };
            json!({ "cells": cells, "object": carried(kind, item, include) })
        })
        .collect();
    let definitions: Vec<Value> = columns.iter().map(definition).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_meta,
        "columnDefinitions": definitions, "rows": rows,
    })
}

/// Returns all columns, the name among them.
fn columns(kind: &TypeInfo) -> Vec<Column> {
    let mut columns = kind.columns.clone();
    if columns.is_empty() {
        columns.push(Column {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: describe("meta.v1.ObjectMeta.creationTimestamp"),
            priority: 0,
            json_path: ".metadata.creationTimestamp".to_owned(),
        });
    }
    with_name(columns)
}

fn with_name(mut columns: Vec<Column>) -> Vec<Column> {
    if !columns.iter().any(|column| column.format == "name") {
        columns.insert(0, name_column(0));
    }
    columns
}

fn scale_cells(item: &Value, now: DateTime<Utc>) -> Vec<Value> {
    vec![
        name(item),
        Value::from(count(&item["spec"]["replicas"])),
        Value::from(count(&item["status"]["replicas"])),
        age_of(item, now),
    ]
}

pub(super) fn name_column(priority: i32) -> Column {
    Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: describe("meta.v1.ObjectMeta.name"),
        priority,
        json_path: ".metadata.name".to_owned(),
    }
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name, "type": column.kind, "format": column.format,
        "description": column.description, "priority": column.priority,
    })
}

fn carried(kind: &TypeInfo, item: &Value, include: Include) -> Value {
    match include {
        Include::None => Value::Null,
        Include::Object => item.clone(),
        Include::Metadata => {
            let mut metadata = item.get("metadata").cloned().unwrap_or_else(|| json!({}));
            if kind.kind == "DaemonSet" {
                hide_template_generation(&mut metadata);
            }
            json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
            })
        }
    }
}

/// Takes out an annotation that Kubernetes keeps as a field, so that its tables lack it.
fn hide_template_generation(metadata: &mut Value) {
    let Some(map) = metadata.as_object_mut() else {
        return;
    };
    let Some(annotations) = map.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    annotations.remove("deprecated.daemonset.template.generation");
    if annotations.is_empty() {
        map.remove("annotations");
    }
}

fn builtin_cells(kind: &TypeInfo, item: &Value, now: DateTime<Utc>) -> Vec<Value> {
    workloads::cells(&kind.group, &kind.kind, item, now)
        .or_else(|| others::cells(&kind.kind, item, now))
        .or_else(|| storage::cells(&kind.kind, item, now))
        .unwrap_or_else(|| {
            let created = &item["metadata"]["creationTimestamp"];
            vec![
                item["metadata"]["name"].clone(),
                Value::from(age::since(created, now)),
            ]
        })
}

fn custom_cells(
    item: &Value,
    columns: &[Column],
    paths: &[Option<JsonPath>],
    now: DateTime<Utc>,
) -> Vec<Value> {
    columns
        .iter()
        .zip(paths)
        .map(|(column, path)| {
            let found = path.as_ref().and_then(|path| path.first(item));
            found.map_or(Value::Null, |value| custom_cell(&column.kind, value, now))
        })
        .collect()
}

fn custom_cell(kind: &str, value: &Value, now: DateTime<Utc>) -> Value {
    match (kind, value) {
        ("string", _) => Value::from(printed(value)),
        ("integer", Value::Number(number)) => whole(number),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(_)) => match age::time(value) {
            Some(time) => Value::from(age::human_duration(now - time)),
            None => Value::from("<invalid>"),
        },
        _ => Value::Null,
    }
}

fn whole(number: &serde_json::Number) -> Value {
    if number.is_i64() || number.is_u64() {
        return Value::Number(number.clone());
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "Kubernetes cuts the fraction off"
    )]
    let cut = number.as_f64().unwrap_or_default() as i64;
    Value::from(cut)
}

/// Returns the value as Go prints it: text as it is, the rest as JSON.
fn printed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// Returns the object's name, as the first cell.
pub(super) fn name(item: &Value) -> Value {
    text(&item["metadata"]["name"])
}

/// Returns the object's age.
pub(super) fn age_of(item: &Value, now: DateTime<Utc>) -> Value {
    Value::from(age::since(&item["metadata"]["creationTimestamp"], now))
}

/// Returns a string cell; empty when there is none.
pub(super) fn text(value: &Value) -> Value {
    Value::from(value.as_str().unwrap_or_default())
}

/// Returns a string cell; `<none>` when there is none.
pub(super) fn text_or_none(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if !text.is_empty() => Value::from(text),
        _ => Value::from("<none>"),
    }
}

/// Returns an integer cell; 0 when there is none.
pub(super) fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// Returns the items of a list; none when there is no list.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns a map as `a=b,c=d`; `<none>` when it is empty.
pub(super) fn pairs(value: &Value) -> String {
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    let mut listed: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if listed.is_empty() {
        return "<none>".to_owned();
    }
    listed.sort_unstable();
    listed.join(",")
}

/// Returns a label selector as `kubectl` writes it; `<none>` when it selects everything.
pub(super) fn selector(value: &Value) -> String {
    let mut parts = Vec::new();
    if value["matchLabels"]
        .as_object()
        .is_some_and(|it| !it.is_empty())
    {
        parts.push(pairs(&value["matchLabels"]));
    }
    for expression in items(&value["matchExpressions"]) {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = items(&expression["values"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    if parts.is_empty() {
        "<none>".to_owned()
    } else {
        parts.join(",")
    }
}
